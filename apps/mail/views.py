"""The HTTP door for incoming mail: ``POST /mail/inbound/`` with the raw message, signed."""

from __future__ import annotations

import hashlib
import hmac
import time

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from apps.mail.constants import MAX_MAIL_BYTES
from apps.mail.services.intake import receive
from apps.mail.types import EX_DATA, EX_NO_USER, EX_TRY_AGAIN

MAX_AGE_SECONDS = 300
STATUS = {EX_DATA: 422, EX_NO_USER: 422, EX_TRY_AGAIN: 503}


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Hex HMAC-SHA256 over ``timestamp.body``; senders put it into ``X-Meridian-Signature``."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


@csrf_exempt
@require_POST
def inbound(request: HttpRequest) -> JsonResponse:
    """Take over one mail. Headers ``X-Meridian-Timestamp`` (Unix seconds, at most five minutes old) and
    ``X-Meridian-Signature``; body: the message as it is. Answers 200 with what became of it, 422 when it is no mail
    or nobody's, 503 when it should be sent again."""
    secret = settings.MAIL_INBOUND_SECRET
    if not secret:
        return _error("not_configured", "Set MAIL_INBOUND_SECRET to accept mail over HTTP.", 404)
    length = int(request.headers.get("Content-Length") or 0)
    if length > MAX_MAIL_BYTES:
        return _error("too_large", "The message is larger than the gateway takes.", 413)
    timestamp = request.headers.get("X-Meridian-Timestamp", "")
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > MAX_AGE_SECONDS:
        return _error("stale", "X-Meridian-Timestamp is missing or not of the last five minutes.", 401)
    body = request.read(MAX_MAIL_BYTES + 1)
    given = request.headers.get("X-Meridian-Signature", "").removeprefix("sha256=")
    if not hmac.compare_digest(sign(secret, timestamp, body).encode(), given.encode()):
        return _error("bad_signature", "X-Meridian-Signature does not fit the body.", 401)
    receipt = receive(body, source="http")
    return JsonResponse(
        {
            "state": str(receipt.state),
            "reason": receipt.reason,
            "log": receipt.log_pk,
            "records": [str(ref) for ref in receipt.records],
        },
        status=STATUS.get(receipt.exit_code, 200),
    )


def _error(code: str, message: str, status: int) -> JsonResponse:
    return JsonResponse({"code": code, "message": message, "fields": {}}, status=status)
