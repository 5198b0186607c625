"""Pages and endpoints for signing in and looking after one's account."""
