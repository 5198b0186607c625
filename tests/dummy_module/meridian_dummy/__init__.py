"""A third-party module for Meridian."""
