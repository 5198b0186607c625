"""Where other modules take part in what happens to partners, inside the same transaction."""

from __future__ import annotations

from apps.core.hooks import Collect, Filter, Veto

filter_commercial_fields = Filter(
    "contacts.filter_commercial_fields",
    "(names: tuple[str, ...]) – columns of Partner that belong to the commercial entity; return more to have them "
    "flow to its people and addresses.",
)
before_merge = Veto(
    "contacts.before_merge",
    "(destination: Partner, sources: list[Partner], actor) – before partners are merged; raise when a source is named where "
    "nothing may be changed any more.",
)
collect_merge = Collect(
    "contacts.collect_merge",
    "(destination: Partner, sources: list[Partner], journal: dict, actor) – while partners are merged: repoint what "
    "refers to them by other means than a foreign key, and answer with (name, undo data) for the journal.",
)
collect_merge_undo = Collect(
    "contacts.collect_merge_undo",
    "(destination: Partner, sources: list[Partner], journal: dict, actor) – while a merge is taken back.",
)
collect_pictures = Collect(
    "contacts.collect_pictures",
    "(pictures: list[tuple[Partner, bytes, str]], actor) – pictures (content and media type) that came with imported "
    "contacts, for whoever stores attachments.",
)
