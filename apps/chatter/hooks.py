"""Where other modules take part in threads, and what they say about their models. No ORM here."""

from __future__ import annotations

from apps.core.hooks import Collect, Filter

filter_change_subtype = Filter(
    "chatter.filter_change_subtype",
    "(code: str, model, record, changes: list[Change], actor) -> code – subtype of the log entry about changes of one "
    "record, such as 'projects.stage_changed'; '' keeps it an internal log entry that nobody is told about.",
)
filter_creation_subtype = Filter(
    "chatter.filter_creation_subtype",
    "(code: str, model, record, actor) -> code – subtype of the log entry about a new record; '' keeps it internal.",
)
filter_default_followers = Filter(
    "chatter.filter_default_followers",
    "(partner_pks: set[int], record, actor) -> set – partners who follow a new record from the start, besides its "
    "maker, its assignees and the followers of its parent.",
)
collect_token_access = Collect(
    "chatter.collect_token_access",
    "(record, params: Mapping[str, str]) -> TokenAccess | None – whether the query parameters (access_token, pid, hash) "
    "open the public part of this record's thread, and as whom.",
)
collect_record_urls = Collect(
    "chatter.collect_record_urls",
    "(record, audience: 'internal' | 'portal') -> str | None – where people of an audience look at a record.",
)

_post_access: dict[str, str] = {}
DEFAULT_POST_ACCESS = "change"


def set_post_access(model_label: str, operation: str) -> None:
    """Who may do ``operation`` on a record of this kind may write in its thread. ``view`` for tasks and the like."""
    _post_access[model_label.lower()] = operation


def post_access_of(model_label: str) -> str:
    return _post_access.get(model_label.lower(), DEFAULT_POST_ACCESS)


_public_fields: dict[str, frozenset[str]] = {}


def set_public_fields(model_label: str, *fields: str) -> None:
    """Tracked fields whose changes customers may read when the message about them is public. None unless named."""
    _public_fields[model_label.lower()] = frozenset(fields)


def public_fields_of(model_label: str) -> frozenset[str]:
    return _public_fields.get(model_label.lower(), frozenset())
