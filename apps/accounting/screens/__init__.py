"""The back-office screens of accounting, one module a subject; ``admin.py`` registers them."""
