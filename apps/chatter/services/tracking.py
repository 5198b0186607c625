"""Log entries: what changed, who made a record, and who follows because of it.

The unit of work hands over the *net* changes and the new records of a transaction; this file turns any number of
them into messages with a number of statements that depends on the kinds of records and fields, not on the rows.
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import models
from django.utils.html import escape
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from apps.chatter.constants import NOTE, MessageType
from apps.chatter.hooks import filter_change_subtype, filter_creation_subtype, filter_default_followers
from apps.chatter.models import Activity, Attachment, Follower, Message
from apps.chatter.models.threads import has_thread, ref_of
from apps.chatter.selectors.people import partner_pk_of_user, partner_pks_of_users
from apps.chatter.selectors.subtypes import inherited_subtypes
from apps.chatter.services.following import add_followers
from apps.chatter.services.writing import write_messages
from apps.chatter.types import MessageDraft, RecordRef, TrackedDraft
from apps.core.actor import Actor
from apps.core.models import Currency
from apps.core.models.base import options_of
from apps.core.money.fields import MoneyField
from apps.core.unit_of_work import Change

_STAMPS = frozenset({"created_by", "updated_by"})


# ------------------------------------------------------------------------------------------------------- changes
def log_changes(changes: Sequence[Change], *, actor: Actor) -> None:
    """One log entry a record with its changed fields; assignees are made followers and told."""
    relevant = [change for change in changes if has_thread(type(change.record))]
    if not relevant:
        return
    by_record: dict[RecordRef, list[Change]] = defaultdict(list)
    records: dict[RecordRef, models.Model] = {}
    for change in relevant:
        ref = ref_of(change.record)
        by_record[ref].append(change)
        records[ref] = change.record
    texts = _Texts(relevant)
    author_pk = actor.partner_pk or partner_pk_of_user(actor.user_pk)
    _welcome_assignees(_new_assignees(relevant), records, actor, author_pk)
    drafts = []
    for ref, own in by_record.items():
        record = records[ref]
        code = filter_change_subtype.run("", model=type(record), record=record, changes=own, actor=actor)
        drafts.append(
            MessageDraft(
                ref=ref,
                subtype=code or NOTE,
                message_type=MessageType.NOTIFICATION,
                author_pk=author_pk,
                author_user_pk=actor.user_pk,
                tracked=tuple(texts.draft(change) for change in own),
                notify=bool(code),
                record_name=str(record),
            )
        )
    write_messages(drafts, actor=actor)


class _Texts:
    """How old and new values read: names of linked records are looked up once a kind of record."""

    def __init__(self, changes: Sequence[Change]) -> None:
        wanted: dict[type[models.Model], set[Any]] = defaultdict(set)
        currencies: set[int] = set()
        for change in changes:
            field = change.record._meta.get_field(change.field)
            target = field.related_model if field.is_relation else None
            if isinstance(target, type):
                wanted[target].update(pk for pk in (*_pks(change.old), *_pks(change.new)) if pk is not None)
            elif isinstance(field, MoneyField):
                currencies.add(getattr(change.record, "currency_id", None) or 0)
        self._names = {
            model: {pk: str(row) for pk, row in model._base_manager.in_bulk(pks).items()}
            for model, pks in wanted.items()
            if pks
        }
        rows = Currency.objects.filter(pk__in=currencies - {0}) if currencies - {0} else ()
        self._currencies = {row.pk: row for row in rows}

    def draft(self, change: Change) -> TrackedDraft:
        field = change.record._meta.get_field(change.field)
        old, new = self._value(field, change.old), self._value(field, change.new)
        return TrackedDraft(
            field=change.field,
            label=capfirst(str(getattr(field, "verbose_name", change.field))),
            kind=_kind(field),
            old=old,
            new=new,
            old_text=self._text(field, change.old, change.record),
            new_text=self._text(field, change.new, change.record),
        )

    def _name(self, field: Any, pk: Any) -> str:
        return self._names.get(field.related_model, {}).get(pk, f"#{pk}")

    def _value(self, field: Any, value: Any) -> Any:
        if field.is_relation and value is not None:
            named = [{"pk": pk, "name": self._name(field, pk)} for pk in _pks(value)]
            return named if field.many_to_many else named[0]
        return value

    def _text(self, field: Any, value: Any, record: models.Model) -> str:
        if value is None or value == "":
            return ""
        if field.is_relation:
            return ", ".join(self._name(field, pk) for pk in _pks(value))
        if isinstance(value, bool):
            return "Yes" if value else "No"
        if field.choices:
            return str(dict(field.flatchoices).get(value, value))
        if isinstance(field, MoneyField) and isinstance(value, Decimal):
            return self._money(value, self._currencies.get(getattr(record, "currency_id", None) or 0))
        if isinstance(value, Decimal):
            return f"{value.normalize():f}"
        if isinstance(value, datetime.datetime):
            return value.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
        if isinstance(value, (list, tuple, set)):
            return ", ".join(str(item) for item in value)
        return str(value)

    def _money(self, value: Decimal, currency: Currency | None) -> str:
        if currency is None:
            return f"{value:f}"
        rounded = value.quantize(Decimal(1).scaleb(-currency.decimals))
        return f"{rounded if rounded == value else value:f} {currency.code}"


def _pks(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple, set)) else [value]


def _kind(field: Any) -> str:
    if field.is_relation:
        return "links" if field.many_to_many else "link"
    if field.choices:
        return "choice"
    kinds: tuple[tuple[type[Any], str], ...] = (
        (models.BooleanField, "boolean"),
        (models.DateTimeField, "datetime"),
        (models.DateField, "date"),
        (MoneyField, "money"),
        (models.DecimalField, "decimal"),
        (models.IntegerField, "integer"),
    )
    return next((name for cls, name in kinds if isinstance(field, cls)), "text")


# ----------------------------------------------------------------------------------------------------- assignees
def _assignee_fields(model: type[models.Model]) -> list[Any]:
    """Tracked links to users: whoever is put there is to know about it."""
    tracked = options_of(model).tracked
    fields = [*model._meta.concrete_fields, *model._meta.many_to_many]
    return [
        field
        for field in fields
        if field.name in tracked
        and field.name not in _STAMPS
        and field.is_relation
        and isinstance(field.related_model, type)
        and field.related_model._meta.label == settings.AUTH_USER_MODEL
    ]


def _new_assignees(changes: Iterable[Change]) -> dict[RecordRef, set[int]]:
    found: dict[RecordRef, set[int]] = defaultdict(set)
    names: dict[type[models.Model], set[str]] = {}
    for change in changes:
        model = type(change.record)
        if model not in names:
            names[model] = {field.name for field in _assignee_fields(model)}
        if change.field in names[model]:
            found[ref_of(change.record)] |= set(_pks(change.new)) - set(_pks(change.old))
    return found


def _assignees_of_new(records: Sequence[models.Model]) -> dict[RecordRef, set[int]]:
    found: dict[RecordRef, set[int]] = defaultdict(set)
    by_model: dict[type[models.Model], list[models.Model]] = defaultdict(list)
    for record in records:
        by_model[type(record)].append(record)
    for model, own in by_model.items():
        for field in _assignee_fields(model):
            if not field.many_to_many:
                for record in own:
                    user_pk = getattr(record, field.attname)
                    if user_pk is not None:
                        found[ref_of(record)].add(user_pk)
                continue
            through = field.remote_field.through
            source, target = field.m2m_field_name(), field.m2m_reverse_field_name()
            links = through._base_manager.filter(**{f"{source}__in": [record.pk for record in own]})
            for owner_pk, user_pk in links.values_list(f"{source}_id", f"{target}_id"):
                found[RecordRef(model._meta.label_lower, owner_pk)].add(user_pk)
    return found


def _welcome_assignees(
    assigned: Mapping[RecordRef, set[int]],
    records: Mapping[RecordRef, models.Model],
    actor: Actor,
    author_pk: int | None,
) -> None:
    """Assignees follow; those who did not assign themselves get a personal notice."""
    users = {pk for pks in assigned.values() for pk in pks}
    if not users:
        return
    partners = partner_pks_of_users(users)
    add_followers(
        (ref, partners[pk]) for ref, pks in assigned.items() for pk in sorted(pks) if pk in partners
    )
    drafts = []
    for ref, pks in assigned.items():
        told = sorted(partners[pk] for pk in pks if pk in partners and pk != actor.user_pk)
        if not told:
            continue
        record = records[ref]
        kind, name = capfirst(str(record._meta.verbose_name)), str(record)
        line = _("You have been assigned to %(kind)s: %(name)s") % {"kind": kind, "name": name}
        drafts.append(
            MessageDraft(
                ref=ref,
                subject=line,
                body=f"<p>{escape(line)}</p>",
                subtype=NOTE,
                message_type=MessageType.USER_NOTIFICATION,
                author_pk=author_pk,
                author_user_pk=actor.user_pk,
                recipients=tuple(told),
                notify_followers=False,
                record_name=name,
            )
        )
    write_messages(drafts, actor=actor)


# --------------------------------------------------------------------------------------------------- new records
def log_created(created: Sequence[models.Model], *, actor: Actor) -> None:
    """A first log entry for each new record, and its first followers: its maker, assignees, and those who follow the
    parent for this kind of thing."""
    records = {ref_of(record): record for record in created if has_thread(type(record))}
    if not records:
        return
    author_pk = actor.partner_pk or partner_pk_of_user(actor.user_pk)
    pairs: list[tuple[RecordRef, int]] = []
    extra: dict[tuple[RecordRef, int], set[int]] = {}
    for ref, record in records.items():
        pks = {author_pk} if author_pk is not None and actor.is_internal else set()
        chosen = filter_default_followers.run(pks, record=record, actor=actor)
        pairs += [(ref, pk) for pk in sorted(chosen)]
    for (ref, partner_pk), kinds in _followers_from_parents(records).items():
        pairs.append((ref, partner_pk))
        extra[ref, partner_pk] = kinds
    add_followers(pairs, extra=extra)
    _welcome_assignees(_assignees_of_new(list(records.values())), records, actor, author_pk)
    drafts = []
    for ref, record in records.items():
        code = filter_creation_subtype.run("", model=type(record), record=record, actor=actor)
        line = _("%(kind)s created") % {"kind": capfirst(str(record._meta.verbose_name))}
        drafts.append(
            MessageDraft(
                ref=ref,
                body=f"<p>{escape(line)}</p>",
                subtype=code or NOTE,
                message_type=MessageType.NOTIFICATION,
                author_pk=author_pk,
                author_user_pk=actor.user_pk,
                notify=bool(code),
                record_name=str(record),
            )
        )
    write_messages(drafts, actor=actor)


def _followers_from_parents(
    records: Mapping[RecordRef, models.Model],
) -> dict[tuple[RecordRef, int], set[int]]:
    """Followers of parent records who follow the kind that stands for this one there, with the kinds that they get
    here besides the default ones. One query a relation."""
    found: dict[tuple[RecordRef, int], set[int]] = {}
    by_label: dict[str, list[RecordRef]] = defaultdict(list)
    for ref in records:
        by_label[ref.model].append(ref)
    for label, refs in by_label.items():
        relations: dict[str, dict[int, int]] = defaultdict(
            dict
        )  # relation -> parent's kind -> this one's kind
        for info in inherited_subtypes(label):
            if info.parent_pk is not None:
                relations[info.relation][info.parent_pk] = info.pk
        for relation, kinds in relations.items():
            field = records[refs[0]]._meta.get_field(relation)
            target = field.related_model
            if not isinstance(target, type):
                continue
            parents: dict[int, list[RecordRef]] = defaultdict(list)
            for ref in refs:
                parent_pk = getattr(records[ref], field.attname)  # type: ignore[union-attr]
                if parent_pk is not None:
                    parents[parent_pk].append(ref)
            rows = Follower.objects.filter(
                model=target._meta.label_lower, object_id__in=parents, subtype_pks__overlap=list(kinds)
            )
            for parent_pk, partner_pk, chosen in rows.values_list("object_id", "partner_id", "subtype_pks"):
                own = {kinds[pk] for pk in chosen if pk in kinds}
                for ref in parents[parent_pk]:
                    found.setdefault((ref, partner_pk), set()).update(own)
    return found


# ------------------------------------------------------------------------------------------------------ deletion
def forget_records(records: Sequence[models.Model], *, actor: Actor) -> None:
    """Messages, followers, activities and files go with their record; contents of files are collected later."""
    by_label: dict[str, list[int]] = defaultdict(list)
    for record in records:
        if isinstance(record.pk, int):
            by_label[record._meta.label_lower].append(record.pk)
    for label, pks in by_label.items():
        for model in (Activity, Message, Follower, Attachment):
            if label == model._meta.label_lower:
                continue
            model._base_manager.filter(model=label, object_id__in=pks).delete()


def move_threads(destination: models.Model, sources: Sequence[models.Model]) -> dict[str, list[int]]:
    """Give the threads of merged records to the one that stays; who followed both follows once. Answers the keys of
    the rows that moved, by table, so that it can be taken back."""
    target = ref_of(destination)
    pks = [record.pk for record in sources]
    moved: dict[str, list[int]] = {}
    for model in (Message, Activity, Attachment):
        rows = model._base_manager.filter(model=target.model, object_id__in=pks)
        if model is Attachment:
            rows = rows.filter(field="")  # type: ignore[misc]
        moved[model._meta.model_name or ""] = list(rows.values_list("pk", flat=True))
        model._base_manager.filter(pk__in=moved[model._meta.model_name or ""]).update(object_id=target.pk)
    followers = Follower.objects.filter(model=target.model, object_id__in=pks).values_list(
        "partner_id", flat=True
    )
    add_followers((target, partner_pk) for partner_pk in sorted(set(followers)))
    return moved
