"""Pure accounting arithmetic and data: plain modules without ORM, importable by every layer."""
