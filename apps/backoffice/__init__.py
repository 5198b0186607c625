"""The back office: Django's admin with Unfold's looks, the platform's rights and the platform's writers."""
