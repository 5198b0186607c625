"""Writing records: one service per model, used by every interface.

``service_for(Model)`` answers the service an app registered with ``@service(Model)``, or a plain
``RecordService``. A service writes sets: the number of statements does not depend on the number of rows. The
order of checks is: model permission, field names and field roles, links, company consistency, the app's own
validation, hooks, the write, and the row rule *after* the write, so that nobody creates or moves a record beyond
his own reach.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, Generic, TypeVar

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.core import custom_fields, extensions
from apps.core.actor import Actor
from apps.core.errors import PermissionDenied, StaleVersion, ValidationFailed
from apps.core.events import RecordsCreated, RecordsDeleted, RecordsUpdated
from apps.core.hooks import before_create, before_delete, before_update, collect_deleting
from apps.core.links import check_company, check_targets, pk_of
from apps.core.models.base import company_mode, options_of
from apps.core.rows import read_records
from apps.core.rules import require_visible, visible
from apps.core.unit_of_work import UnitOfWork, unit_of_work

M = TypeVar("M", bound=models.Model)
Values = dict[str, Any]

NEVER_WRITABLE = frozenset(
    {"id", "version", "created_at", "updated_at", "created_by", "updated_by", "custom"}
)
SPECIAL = frozenset({"custom", "ext"})


class RecordService(Generic[M]):
    """Create, change, archive and delete records of ``model``. Subclass and override the seams."""

    model: type[M]
    # Fields that are not ``editable`` on the model but that services may pass on behalf of the system.
    internal_fields: ClassVar[frozenset[str]] = frozenset()
    # Whether others may go on linking to rows that are locked to be changed. Not where a change must wait for those links.
    may_be_linked: ClassVar[bool] = False

    def __init__(self, model: type[M]) -> None:
        self.model = model

    # ------------------------------------------------------------------ seams
    def prepare_create(self, rows: list[Values], actor: Actor) -> None:
        """Fill in defaults; may change the dicts in place."""

    def prepare_update(self, records: Sequence[M], values: Values, actor: Actor) -> None:
        """Adjust ``values`` before they are applied; may change the dict in place."""

    def validate(self, records: Sequence[M], actor: Actor) -> None:
        """Raise ``ValidationFailed`` for what the model's own fields cannot say. Links are set; new records have
        no primary key yet."""

    def after_create(self, records: Sequence[M], rows: Sequence[Values], actor: Actor) -> None:
        """Further writes in the same transaction."""

    def after_update(
        self, records: Sequence[M], before: Mapping[Any, Mapping[str, Any]], values: Values, actor: Actor
    ) -> None:
        """Further writes; ``before`` holds the old values of the written fields by primary key."""

    def before_delete(self, records: Sequence[M], actor: Actor) -> None:
        """Raise to refuse, or clean up what the database does not cascade."""

    def writable_fields(self, actor: Actor) -> set[str] | None:
        """Names this actor may write, or ``None`` for all editable ones."""
        return None

    # ----------------------------------------------------------------- public
    def create_one(self, values: Mapping[str, Any], *, actor: Actor) -> M:
        return self.create([values], actor=actor)[0]

    def create(self, rows: Sequence[Mapping[str, Any]], *, actor: Actor) -> list[M]:
        """Create all of ``rows`` or none. Values: foreign keys as instance or primary key, many-to-many as lists,
        ``custom`` and ``ext`` as dicts. Errors name the field; with several rows also the row (``2.name``)."""
        actor.require(self.model, "add")
        drafts: list[Values] = [dict(row) for row in rows]
        if not drafts:
            return []
        with unit_of_work(actor) as work:
            self._check_names(drafts, actor)
            for draft in drafts:
                self._default_company(draft, actor)
            self.prepare_create(drafts, actor)
            before_create.run(model=self.model, values=drafts, actor=actor)
            self._check_links(drafts, actor)
            definitions = custom_fields.definitions_for(self.model)
            records = [self._build(draft, actor, definitions) for draft in drafts]
            self._clean(records, actor, many=len(records) > 1)
            check_company(records)
            self.validate(records, actor)
            self.model._base_manager.bulk_create(records)
            self._write_many_to_many(records, drafts, fresh=True)
            extensions.write_rows(records, [draft.get("ext") for draft in drafts], actor, fresh=True)
            work.created(records)
            self.after_create(records, drafts, actor)
            require_visible(records, actor, "add")
            work.emit(
                RecordsCreated(self.model._meta.label_lower, tuple(r.pk for r in records), actor.company_pk)
            )
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
        """Apply the same ``values`` to all ``records``. Rows are locked in primary-key order first.

        ``expected_version`` (for one record) refuses a stale write with ``StaleVersion`` and writes nothing.
        """
        pks = [record.pk for record in records]
        actor.require(self.model, operation)
        draft = dict(values)
        if not pks:
            return []
        with unit_of_work(actor) as work:
            self._check_names([draft], actor)
            locked = self.lock(pks, actor, operation)
            if expected_version is not None and any(
                getattr(record, "version", expected_version) != expected_version for record in locked
            ):
                raise StaleVersion()
            self.prepare_update(locked, draft, actor)
            before_update.run(model=self.model, records=locked, values=draft, actor=actor)
            self._check_links([draft], actor)
            before = self._apply(locked, draft, actor, work)
            self._clean(locked, actor, names=set(draft), many=len(locked) > 1)
            check_company(locked, fields=set(draft))
            self.validate(locked, actor)
            written = self._save(locked, draft, actor)
            extensions.write_rows(locked, [draft.get("ext")] * len(locked), actor, fresh=False)
            self.after_update(locked, before, draft, actor)
            if written:
                self._require_still_visible(locked, actor)
            work.emit(
                RecordsUpdated(
                    self.model._meta.label_lower,
                    tuple(record.pk for record in locked),
                    tuple(sorted(draft)),
                    actor.company_pk,
                )
            )
        return locked

    def delete(self, records: Iterable[M] | models.QuerySet[M], *, actor: Actor) -> int:
        """Delete the records and what cascades from them; answers how many records were asked for."""
        pks = [record.pk for record in records]
        actor.require(self.model, "delete")
        if not pks:
            return 0
        with unit_of_work(actor) as work:
            locked = self.lock(pks, actor, "delete")
            before_delete.run(model=self.model, records=locked, actor=actor)
            self.before_delete(locked, actor)
            collect_deleting.run(records=list(locked), actor=actor)
            try:
                self.model._base_manager.filter(pk__in=pks).delete()
            except models.ProtectedError as exc:
                raise _in_use(exc.protected_objects) from exc
            except models.RestrictedError as exc:
                raise _in_use(exc.restricted_objects) from exc
            work.deleted(locked)
            work.emit(RecordsDeleted(self.model._meta.label_lower, tuple(pks), actor.company_pk))
        return len(pks)

    def archive(self, records: Iterable[M] | models.QuerySet[M], *, actor: Actor) -> list[M]:
        return self.update(records, {"active": False}, actor=actor)

    def unarchive(self, records: Iterable[M] | models.QuerySet[M], *, actor: Actor) -> list[M]:
        return self.update(records, {"active": True}, actor=actor)

    def lock(self, pks: Sequence[Any], actor: Actor, operation: str) -> list[M]:
        """The rows, locked in primary-key order, each within the actor's rules for ``operation``."""
        rows = visible(self.model, actor, operation, queryset=self.model._base_manager.all())
        rows = rows.filter(pk__in=pks).order_by("pk")
        locked = read_records(
            rows.select_for_update(of=("self",), no_key=self.may_be_linked and operation != "delete")
        )
        if len(locked) != len(set(pks)):
            missing = list(self.model._base_manager.filter(pk__in=pks))
            require_visible(missing, actor, operation)
            from apps.core.errors import NotVisible

            raise NotVisible()
        return locked

    # --------------------------------------------------------------- internal
    def _check_names(self, drafts: Sequence[Values], actor: Actor) -> None:
        allowed = editable_fields(self.model)
        narrowed = None if actor.is_system else self.writable_fields(actor)
        hidden = hidden_fields(self.model, actor)
        errors: dict[str, list[str]] = {}
        for name in {name for draft in drafts for name in draft}:
            if name in SPECIAL:
                continue
            if name in hidden or (name not in allowed and name not in self.internal_fields):
                errors[name] = [
                    _("%(model)s has no writable field '%(field)s'.")
                    % {"model": self.model._meta.verbose_name, "field": name}
                ]
            elif name in self.internal_fields and name not in allowed and not actor.is_system:
                errors[name] = [_("This field is set by the system.")]
            elif narrowed is not None and name not in narrowed:
                raise PermissionDenied(
                    _("You may not write '%(field)s' on this %(model)s.")
                    % {"field": name, "model": self.model._meta.verbose_name},
                    fields={name: [_("You may not write this field.")]},
                )
        if errors:
            raise ValidationFailed(fields=errors)

    def _default_company(self, draft: Values, actor: Actor) -> None:
        mode = company_mode(self.model)
        if mode in ("owned", "inherited") and draft.get("company") is None and actor.company_pk is not None:
            draft["company"] = actor.company_pk
        if mode != "none" and not actor.is_system:
            company_pk = pk_of(draft.get("company"))
            if company_pk is not None and company_pk not in actor.company_pks:
                raise ValidationFailed(
                    fields={"company": [_("You cannot work in this company, or it is not selected.")]}
                )

    def _check_links(self, drafts: Sequence[Values], actor: Actor) -> None:
        wanted: dict[str, set[Any]] = {}
        for draft in drafts:
            for name, value in draft.items():
                if name in SPECIAL:
                    continue
                field = _field(self.model, name)
                if isinstance(field, models.ForeignKey):
                    wanted.setdefault(name, set()).add(pk_of(value))
                elif isinstance(field, models.ManyToManyField):
                    wanted.setdefault(name, set()).update(pk_of(item) for item in value or ())
        if "company" in wanted:
            wanted.pop("company")
        check_targets(self.model, wanted, actor)

    def _build(self, draft: Values, actor: Actor, definitions: Sequence[Any]) -> M:
        plain: Values = {}
        for name, value in draft.items():
            field = _field(self.model, name) if name not in SPECIAL else None
            if isinstance(field, models.ForeignKey):
                plain[field.attname] = pk_of(value)
            elif field is not None and not isinstance(field, models.ManyToManyField):
                plain[name] = value
        record = self.model(**plain)
        if hasattr(record, "created_by_id"):
            record.created_by_id = record.updated_by_id = actor.user_pk  # type: ignore[attr-defined]
        if hasattr(record, "custom"):
            record.custom = custom_fields.clean_values(
                self.model, draft.get("custom") or {}, actor, partial=False, known=definitions
            )
        elif draft.get("custom"):
            raise ValidationFailed(fields={"custom": [_("This kind of record has no custom fields.")]})
        return record

    def _apply(
        self, records: Sequence[M], draft: Values, actor: Actor, work: UnitOfWork
    ) -> dict[Any, Values]:
        tracked = set(options_of(self.model).tracked)
        before: dict[Any, Values] = {record.pk: {} for record in records}
        relations = [n for n in draft if isinstance(_field_or_none(self.model, n), models.ManyToManyField)]
        old_sets = _linked_pks(self.model, [r.pk for r in records], relations)
        custom = (
            custom_fields.clean_values(self.model, draft["custom"], actor, partial=True)
            if draft.get("custom")
            else {}
        )
        for record in records:
            old = before[record.pk]
            new: Values = {}
            for name, value in draft.items():
                if name in SPECIAL:
                    continue
                field = _field(self.model, name)
                if isinstance(field, models.ManyToManyField):
                    old[name] = old_sets[name].get(record.pk, [])
                    new[name] = sorted(pk_of(item) for item in value or ())
                    continue
                attribute = field.attname
                old[name] = getattr(record, attribute)
                setattr(record, attribute, pk_of(value) if isinstance(field, models.ForeignKey) else value)
                new[name] = getattr(record, attribute)
            if custom:
                old["custom"] = dict(record.custom)  # type: ignore[attr-defined]
                record.custom = {**record.custom, **custom}  # type: ignore[attr-defined]
            followed = {name: value for name, value in new.items() if name in tracked}
            if followed:
                work.track(record, old, followed)
        return before

    def _clean(
        self, records: Sequence[M], actor: Actor, *, names: set[str] | None = None, many: bool = False
    ) -> None:
        """Field validation of Django without its per-row queries: links were checked, uniqueness is PostgreSQL's."""
        links = {f.name for f in self.model._meta.concrete_fields if isinstance(f, models.ForeignKey)}
        skip = {f.name for f in self.model._meta.fields if names is not None and f.name not in names}
        errors: dict[str, list[str]] = {}
        for number, record in enumerate(records):
            prefix = f"{number}." if many else ""
            for field in self.model._meta.concrete_fields:
                if field.primary_key or field.name in skip or field.generated:
                    continue
                value = getattr(record, field.attname)
                if field.name in links:
                    if value is None and not field.null:
                        errors[prefix + field.name] = [_("This field is required.")]
                    continue
                if field.blank and value in field.empty_values:
                    continue
                try:
                    setattr(record, field.attname, field.clean(value, record))
                except ValidationError as exc:
                    errors[prefix + field.name] = list(exc.messages)
            if not any(key.startswith(prefix) for key in errors) if prefix else not errors:
                try:
                    record.clean()
                except ValidationError as exc:
                    for name, texts in (
                        exc.message_dict.items()
                        if hasattr(exc, "error_dict")
                        else [("__all__", exc.messages)]
                    ):
                        errors[prefix + name] = list(texts)
        if errors:
            raise ValidationFailed(fields=errors)

    def _save(self, records: Sequence[M], draft: Values, actor: Actor) -> bool:
        columns = [
            name
            for name in draft
            if name not in SPECIAL and not isinstance(_field(self.model, name), models.ManyToManyField)
        ]
        if draft.get("custom"):
            columns.append("custom")
        stamps = [
            n for n in ("version", "updated_at", "updated_by") if _field_or_none(self.model, n) is not None
        ]
        now = timezone.now()
        for record in records:
            if "version" in stamps:
                record.version += 1  # type: ignore[attr-defined]
            if "updated_at" in stamps:
                record.updated_at = now  # type: ignore[attr-defined]
            if "updated_by" in stamps:
                record.updated_by_id = actor.user_pk  # type: ignore[attr-defined]
        self._update_rows(
            records, [*columns, *(name for name in stamps if name != "version")], "version" in stamps
        )
        self._write_many_to_many(records, [draft] * len(records), fresh=False)
        return bool(columns)

    def _update_rows(self, records: Sequence[M], columns: Sequence[str], versioned: bool) -> None:
        """One plain UPDATE for columns that are alike in all rows; row-wise values only for those that differ."""
        alike: Values = {"version": models.F("version") + 1} if versioned else {}
        differing = []
        for name in columns:
            attribute = _field(self.model, name).attname
            first = getattr(records[0], attribute)
            if all(getattr(record, attribute) == first for record in records[1:]):
                alike[attribute] = first
            else:
                differing.append(name)
        if alike:
            self.model._base_manager.filter(pk__in=[record.pk for record in records]).update(**alike)
        if differing:
            self.model._base_manager.bulk_update(records, differing, batch_size=2000)

    def _write_many_to_many(self, records: Sequence[M], drafts: Sequence[Values], *, fresh: bool) -> None:
        """Set the given many-to-many links of all records with at most two statements a field."""
        names = {
            n for d in drafts for n in d if isinstance(_field_or_none(self.model, n), models.ManyToManyField)
        }
        for name in sorted(names):
            field = self.model._meta.get_field(name)
            through = field.remote_field.through  # type: ignore[union-attr]
            source, target = field.m2m_field_name(), field.m2m_reverse_field_name()  # type: ignore[union-attr]
            wanted = {
                record.pk: {pk_of(item) for item in draft[name] or ()}
                for record, draft in zip(records, drafts, strict=True)
                if name in draft
            }
            held: dict[Any, set[Any]] = {}
            if not fresh:
                rows = through._base_manager.filter(**{f"{source}__in": wanted})
                for owner, linked in rows.values_list(f"{source}_id", f"{target}_id"):
                    held.setdefault(owner, set()).add(linked)
            gone = models.Q()
            for owner, pks in wanted.items():
                surplus = held.get(owner, set()) - pks
                if surplus:
                    gone |= models.Q(**{source: owner, f"{target}__in": surplus})
            if gone:
                through._base_manager.filter(gone).delete()
            through._base_manager.bulk_create(
                [
                    through(**{f"{source}_id": owner, f"{target}_id": pk})
                    for owner, pks in wanted.items()
                    for pk in sorted(pks - held.get(owner, set()))
                ],
                ignore_conflicts=True,
            )

    def _require_still_visible(self, records: Sequence[M], actor: Actor) -> None:
        """After a change the actor must still be allowed to see the rows: nobody pushes a record out of reach."""
        require_visible(records, actor, "view")


_services: dict[type[models.Model], RecordService[Any]] = {}

S = TypeVar("S", bound=type[RecordService[Any]])


def service(model: type[models.Model]) -> Callable[[S], S]:
    """Register a ``RecordService`` subclass as the writer of ``model``."""

    def add(cls: S) -> S:
        if model in _services:
            raise ValueError(
                f"{model._meta.label} has a service already: {type(_services[model]).__qualname__}."
            )
        _services[model] = cls(model)
        return cls

    return add


def service_for(model: type[M]) -> RecordService[M]:
    """The one writer of a model."""
    if model not in _services:
        _services[model] = RecordService(model)
    return _services[model]


@cache
def editable_fields(model: type[models.Model]) -> frozenset[str]:
    """Names that an interface may write: editable concrete and many-to-many fields."""
    own = [*model._meta.concrete_fields, *model._meta.many_to_many]
    return frozenset(f.name for f in own if f.editable and not f.primary_key) - NEVER_WRITABLE


def hidden_fields(model: type[models.Model], actor: Actor) -> frozenset[str]:
    """Fields that do not exist for this actor: secrets, and those reserved for roles he lacks."""
    options = options_of(model)
    reserved = {name for name, roles in options.field_roles.items() if not actor.has_role(*roles)}
    return frozenset(reserved) | frozenset(options.secret)


def _field(model: type[models.Model], name: str) -> Any:
    try:
        return model._meta.get_field(name)
    except FieldDoesNotExist:
        raise ValidationFailed(
            fields={
                name: [_("%(model)s has no field '%(field)s'.") % {"model": model._meta.label, "field": name}]
            }
        ) from None


def _field_or_none(model: type[models.Model], name: str) -> Any | None:
    if name in SPECIAL:
        return None
    try:
        return model._meta.get_field(name)
    except FieldDoesNotExist:
        return None


def _linked_pks(
    model: type[models.Model], pks: Sequence[Any], names: Sequence[str]
) -> dict[str, dict[Any, list[Any]]]:
    """Primary keys linked by many-to-many fields, sorted, by field and owner."""
    linked: dict[str, dict[Any, list[Any]]] = {}
    for name in names:
        field = model._meta.get_field(name)
        through = field.remote_field.through  # type: ignore[union-attr]
        source, target = field.m2m_field_name(), field.m2m_reverse_field_name()  # type: ignore[union-attr]
        by_owner: dict[Any, list[Any]] = linked.setdefault(name, {})
        rows = through._base_manager.filter(**{f"{source}__in": pks}).order_by(f"{target}_id")
        for owner, pk in rows.values_list(f"{source}_id", f"{target}_id"):
            by_owner.setdefault(owner, []).append(pk)
    return linked


def _in_use(objects: Iterable[models.Model]) -> Any:
    from apps.core.errors import Conflict

    kinds = sorted({str(item._meta.verbose_name_plural) for item in objects})
    return Conflict(
        _("It is still used by %(kinds)s and cannot be deleted. Archive it instead.")
        % {"kinds": ", ".join(kinds)},
        code="in_use",
    )
