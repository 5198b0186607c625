"""REST: resources, OpenAPI, tokens, idempotency and webhooks. Other apps import ``apps.api.base`` only."""
