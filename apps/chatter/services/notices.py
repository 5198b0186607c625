"""Live notices about threads: who watches a record, and who got something in the inbox. Ids only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from apps.chatter.types import RecordRef
from apps.core import live


def public_channel(ref: RecordRef) -> str:
    """What customers who look at a record listen to: that an internal note exists is not their business."""
    return f"portal:{ref.model}:{ref.pk}"


def tell_watchers(ref: RecordRef, kind: str, data: Mapping[str, Any], *, public: bool) -> None:
    """Tell everybody who looks at the record, after commit."""
    body = {"model": ref.model, "pk": ref.pk, **data}
    notices = [(live.record_channel(ref.model, ref.pk), kind, body)]
    if public:
        notices.append((public_channel(ref), kind, body))
    live.publish_many(notices)


def tell_users(user_pks: Iterable[int], kind: str, data: Mapping[str, Any]) -> None:
    """Tell these users, wherever they are, after commit."""
    live.publish_many([(live.user_channel(pk), kind, data) for pk in sorted(set(user_pks))])
