"""The OpenAPI 3.1 document, built from the same plans that the views run on, so that it cannot say anything else."""

from apps.api.openapi.build import document, forget_document
from apps.api.openapi.schemas import schema_name

__all__ = ["document", "forget_document", "schema_name"]
