"""Records with lists of parts: a tax and its shares, payment terms and their lines, a fiscal position and what it replaces.

Callers hand in the whole list under the name of the part (``{"name": "30 days", "lines": [{"percent": …}]}``); each item is a
dict of fields, with ``id`` when it changes one that is there. Items that are left out are deleted, and nothing is written
where nothing differs. Errors are named ``<list>.<place>.<field>``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext as _

from apps.core.actor import Actor
from apps.core.errors import Conflict, ValidationFailed
from apps.core.links import check_targets, company_line, pk_of
from apps.core.models.base import company_mode
from apps.core.records import RecordService, Values
from apps.core.unit_of_work import unit_of_work

M = TypeVar("M", bound=models.Model)
P = TypeVar("P", bound=models.Model)


@dataclass(frozen=True, slots=True)
class PartList:
    """A list of parts: their model, the link to the owner, the fields callers may write. ``ordered``: their ``sequence`` follows
    the list, counted for each value of ``within`` where that is given."""

    model: type[models.Model]
    owner: str
    fields: tuple[str, ...]
    ordered: bool = True
    within: str = ""

    def field(self, name: str) -> Any:
        return self.model._meta.get_field(name)


class OwnerService(RecordService[M]):
    """A ``RecordService`` whose records have lists of parts. Subclasses name them in ``parts`` and override ``check_parts``."""

    parts: ClassVar[dict[str, PartList]] = {}

    def check_parts(self, records: Sequence[M], actor: Actor) -> None:
        """Raise ``ValidationFailed`` for what a record says together with its parts; both are written by then."""

    def default_parts(self, record: M, name: str) -> list[Values]:
        """The list that a new record gets when none was handed in."""
        return []

    def create(self, rows: Sequence[Mapping[str, Any]], *, actor: Actor) -> list[M]:
        drafts, lists = self._split(rows)
        with unit_of_work(actor):
            records = super().create(drafts, actor=actor)
            for name in self.parts:
                wanted = {
                    record.pk: given[name] if name in given else self.default_parts(record, name)
                    for record, given in zip(records, lists, strict=True)
                }
                self._write_parts(name, records, wanted, actor, many=len(records) > 1)
            self.check_parts(records, actor)
        return records

    def update(
        self,
        records: Iterable[M] | models.QuerySet[M],
        values: Mapping[str, Any],
        *,
        actor: Actor,
        expected_version: int | None = None,
        operation: str = "change",
    ) -> list[M]:
        (draft,), (lists,) = self._split([values])
        with unit_of_work(actor):
            written = super().update(
                records, draft, actor=actor, expected_version=expected_version, operation=operation
            )
            for name, given in lists.items():
                if len(written) > 1 and any(item.get("id") for item in given):
                    raise ValidationFailed(fields={name: [_("Parts with an id belong to one record.")]})
                self._write_parts(name, written, {record.pk: given for record in written}, actor, many=False)
            if written:
                self.check_parts(written, actor)
        return written

    # ------------------------------------------------------------------------------------------------------- internal
    def _split(
        self, rows: Sequence[Mapping[str, Any]]
    ) -> tuple[list[Values], list[dict[str, list[Mapping[str, Any]]]]]:
        drafts, lists = [], []
        for row in rows:
            draft = dict(row)
            given = {name: draft.pop(name) for name in self.parts if name in draft}
            for name, value in given.items():
                if not isinstance(value, (list, tuple)) or not all(isinstance(i, Mapping) for i in value):
                    raise ValidationFailed(fields={name: [_("This is a list of objects.")]})
            drafts.append(draft)
            lists.append(given)
        return drafts, lists

    def _write_parts(
        self,
        name: str,
        records: Sequence[M],
        wanted: Mapping[Any, Sequence[Mapping[str, Any]]],
        actor: Actor,
        *,
        many: bool,
    ) -> None:
        part = self.parts[name]
        held: dict[Any, dict[int, Any]] = {record.pk: {} for record in records}
        for row in part.model._base_manager.filter(**{f"{part.owner}__in": list(held)}):
            held[getattr(row, f"{part.owner}_id")][row.pk] = row
        errors: dict[str, list[str]] = {}
        made: list[tuple[Any, Mapping[str, Any]]] = []
        changed: list[tuple[Any, Mapping[str, Any]]] = []
        for number, record in enumerate(records):
            prefix = f"{number}.{name}" if many else name
            kept = held[record.pk]
            last: dict[Any, int] = {}
            for place, item in enumerate(wanted.get(record.pk, ())):
                row, fresh = self._row(part, record, kept, item, f"{prefix}.{place}", errors)
                if row is None:
                    continue
                self._fill(part, row, item, f"{prefix}.{place}", errors)
                if part.ordered:
                    _number(row, item, last, part.within)
                (made if fresh else changed).append((row, item))
        if errors:
            raise ValidationFailed(fields=errors)
        self._check_part_links(part, name, records, [*made, *changed], actor)
        gone = [pk for rows in held.values() for pk in rows]
        if gone:
            try:
                part.model._base_manager.filter(pk__in=gone).delete()
            except models.ProtectedError as exc:
                text = _("The books use what would be removed here; make a new record instead.")
                raise Conflict(text, code="in_use", fields={name: [text]}) from exc
        part.model._base_manager.bulk_create([row for row, _item in made])
        self._save_changed(part, [row for row, _item in changed])
        self._write_sets(part, made, changed)

    def _row(
        self,
        part: PartList,
        record: M,
        held: dict[int, Any],
        item: Mapping[str, Any],
        where: str,
        errors: dict[str, list[str]],
    ) -> tuple[Any, bool]:
        """The row of an item: one that is there (taken out of ``held``), or a new one."""
        for key in item:
            if key != "id" and key not in part.fields:
                errors[f"{where}.{key}"] = [_("There is no such field.")]
        if item.get("id") is None:
            return part.model(**{part.owner: record}), True
        row = held.pop(item["id"], None)
        if row is None:
            errors[f"{where}.id"] = [_("There is no such part of this record.")]
            return None, False
        row.old_values = {f.attname: getattr(row, f.attname) for f in part.model._meta.concrete_fields}
        return row, False

    def _fill(
        self,
        part: PartList,
        row: Any,
        item: Mapping[str, Any],
        where: str,
        errors: dict[str, list[str]],
    ) -> None:
        for key, value in item.items():
            if key == "id" or key not in part.fields:
                continue
            field = part.field(key)
            if isinstance(field, models.ManyToManyField):
                continue
            if isinstance(field, models.ForeignKey):
                setattr(row, field.attname, pk_of(value))
            else:
                setattr(row, field.name, value)
        for key in part.fields:
            field = part.field(key)
            if isinstance(field, models.ManyToManyField):
                continue
            value = getattr(row, field.attname)
            if isinstance(field, models.ForeignKey):
                if value is None and not field.null:
                    errors[f"{where}.{key}"] = [_("This field is required.")]
                continue
            if field.blank and value in field.empty_values:
                continue
            try:
                setattr(row, field.name, field.clean(value, row))
            except ValidationError as exc:
                errors[f"{where}.{key}"] = list(exc.messages)

    def _check_part_links(
        self,
        part: PartList,
        name: str,
        records: Sequence[M],
        rows: Sequence[tuple[Any, Mapping[str, Any]]],
        actor: Actor,
    ) -> None:
        """What parts point to exists, is the actor's to see, and belongs to the owner's company or its parents."""
        owners = {record.pk: getattr(record, "company_id", None) for record in records}
        lines = {pk: company_line(pk) for pk in set(owners.values()) if pk is not None}
        wanted: dict[str, set[Any]] = {}
        used: dict[str, list[tuple[Any, int | None]]] = {}
        for row, item in rows:
            company = owners[getattr(row, f"{part.owner}_id")]
            for key in part.fields:
                field = part.field(key)
                if isinstance(field, models.ManyToManyField):
                    pks = {pk_of(value) for value in item.get(key) or ()}
                elif isinstance(field, models.ForeignKey):
                    pks = {getattr(row, field.attname)} - {None}
                else:
                    continue
                wanted.setdefault(key, set()).update(pks)
                used.setdefault(key, []).extend((pk, company) for pk in pks)
        try:
            check_targets(part.model, wanted, actor)
        except ValidationFailed as exc:
            raise ValidationFailed(
                fields={f"{name}.{key}": texts for key, texts in exc.fields.items()}
            ) from exc
        for key, pairs in used.items():
            target = part.field(key).related_model
            if not pairs or company_mode(target) == "none":
                continue
            homes = dict(target._base_manager.filter(pk__in=wanted[key]).values_list("pk", "company_id"))
            for pk, company in pairs:
                home = homes.get(pk)
                if home is not None and company is not None and home not in lines[company]:
                    text = _("The %(kind)s belongs to another company.") % {
                        "kind": part.field(key).verbose_name
                    }
                    raise ValidationFailed(code="company_mismatch", fields={f"{name}.{key}": [text]})

    def _save_changed(self, part: PartList, rows: Sequence[Any]) -> None:
        """Write rows that differ from what is stored, and no others: a used tax may be sent back as it is."""
        differing = [
            row for row in rows if any(getattr(row, name) != old for name, old in row.old_values.items())
        ]
        if not differing:
            return
        names = [
            name
            for name in (
                *part.fields,
                *(("sequence",) if part.ordered and "sequence" not in part.fields else ()),
            )
            if not isinstance(part.field(name), models.ManyToManyField)
        ]
        part.model._base_manager.bulk_update(differing, names)

    def _write_sets(
        self,
        part: PartList,
        made: Sequence[tuple[Any, Mapping[str, Any]]],
        changed: Sequence[tuple[Any, Mapping[str, Any]]],
    ) -> None:
        for key in part.fields:
            field = part.field(key)
            if not isinstance(field, models.ManyToManyField):
                continue
            through: Any = field.remote_field.through
            source, target = f"{field.m2m_field_name()}_id", f"{field.m2m_reverse_field_name()}_id"
            wanted = {
                (row.pk, pk_of(value))
                for row, item in (*made, *changed)
                if key in item
                for value in item[key] or ()
            }
            owners = [row.pk for row, item in changed if key in item]
            held: dict[tuple[int, int], int] = {}
            if owners:
                for pk, owner, linked in through._base_manager.filter(
                    **{f"{source}__in": owners}
                ).values_list("pk", source, target):
                    held[(owner, linked)] = pk
            surplus = [pk for pair, pk in held.items() if pair not in wanted]
            if surplus:
                through._base_manager.filter(pk__in=surplus).delete()
            through._base_manager.bulk_create(
                [through(**{source: owner, target: linked}) for owner, linked in sorted(wanted - set(held))]
            )


def _number(row: Any, item: Mapping[str, Any], last: dict[Any, int], within: str) -> None:
    """Place a part behind the one before; a place that is right already stays, so that nothing is written for it."""
    key = getattr(row, within) if within else None
    fresh = item.get("id") is None
    if "sequence" not in item and (fresh or row.sequence <= last.get(key, 0)):
        row.sequence = last.get(key, 0) + 1
    if isinstance(row.sequence, int):
        last[key] = row.sequence


class PartService(RecordService[P]):
    """For models that are written with their owner only."""

    def create(self, rows: Sequence[Mapping[str, Any]], *, actor: Actor) -> list[P]:
        raise self._refusal()

    def update(
        self,
        records: Iterable[P] | models.QuerySet[P],
        values: Mapping[str, Any],
        *,
        actor: Actor,
        expected_version: int | None = None,
        operation: str = "change",
    ) -> list[P]:
        raise self._refusal()

    def delete(self, records: Iterable[P] | models.QuerySet[P], *, actor: Actor) -> int:
        raise self._refusal()

    def _refusal(self) -> Conflict:
        return Conflict(
            _("%(kind)s are written with the record they are part of.")
            % {"kind": str(self.model._meta.verbose_name_plural).capitalize()},
            code="part_of_document",
        )
