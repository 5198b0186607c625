"""Content security policies: strict everywhere, with the exceptions that the admin theme needs on /admin/ only."""

from __future__ import annotations

from typing import Any

from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE

CSP_STRICT: dict[str, Any] = {
    "default-src": [SELF],
    "script-src": [SELF],
    "style-src": [SELF],
    # Mail bodies may show pictures that came with the message, as data or from our own attachment URLs.
    "img-src": [SELF, "data:", "blob:"],
    "font-src": [SELF, "data:"],
    "connect-src": [SELF],
    "object-src": [NONE],
    "base-uri": [SELF],
    "form-action": [SELF],
    "frame-ancestors": [SELF],
}

# The theme runs Alpine, which evaluates the expressions of its attributes, and sets inline styles.
CSP_BACKOFFICE: dict[str, Any] = {
    **CSP_STRICT,
    "script-src": [SELF, UNSAFE_EVAL],
    "style-src": [SELF, UNSAFE_INLINE],
}
