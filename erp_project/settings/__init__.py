"""Settings, one module a way of running: development, production, test; all start from base."""
