"""Pages of the back office that belong to no single model."""
