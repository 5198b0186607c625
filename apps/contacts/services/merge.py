"""Merging duplicates: everything that refers to a source refers to the destination afterwards.

Every foreign key and generic reference of every app is repointed; a row that would then be there twice goes. The
journal keeps what is needed to take a merge back within thirty days. One transaction a merge.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.core import serializers
from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, connection, models, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.access.constants import AuditKind
from apps.access.services import record
from apps.contacts.constants import ADDRESS_FIELDS, MERGE_LIMIT, MERGE_UNDO_DAYS
from apps.contacts.hooks import before_merge, collect_merge, collect_merge_undo
from apps.contacts.models import BankAccount, Partner, PartnerMerge
from apps.contacts.services import spread
from apps.contacts.services.partners import has_address, refresh
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import BusinessError, Conflict, PermissionDenied, ValidationFailed
from apps.core.hooks import collect_deleting
from apps.core.integrity import translate
from apps.core.unit_of_work import current

Journal = dict[str, Any]
_FREED = ("user", "represents", "barcode")  # unique: taken from the sources before the destination gets them
UNIQUE_STATES = ("23505", "23P01")
# Computed by triggers, or the merge's own business.
_KEPT = frozenset(
    {
        "id",
        "version",
        "created_at",
        "updated_at",
        "created_by",
        "updated_by",
        "complete_name",
        "commercial_entity",
        "parent",
        "email_normalized",
        "phone_digits",
        "customer_rank",
        "supplier_rank",
        "custom",
        "active",
        "is_company",
        "type",
        "company",
        *ADDRESS_FIELDS,
    }
)


@action(
    Partner,
    permission="merge",
    name="merge",
    title=gettext_lazy("Merge"),
    dangerous=True,
    icon="merge",
)
def merge_partners(partners: Sequence[Partner], *, actor: Actor, destination: Partner | None = None) -> None:
    """Merge two or three contacts into one: ``destination``, or the oldest active one of them. The others are gone
    afterwards; blank fields of the destination are filled from them."""
    target = _destination(partners, destination)
    sources = sorted((p for p in partners if p.pk != target.pk), key=lambda p: (not p.active, p.pk))
    _check(partners, actor)
    before_merge.run(destination=target, sources=sources, actor=actor)
    journal: Journal = {
        "destination": _row(target),
        "sources": [_row(source) for source in sources],
        "repointed": [],
        "removed": [],
        "hooks": {},
    }
    spread.defer_company_guards()
    freed = _free_unique_fields(sources)
    _merge_accounts(target, sources, journal)
    for answer in collect_merge.run(destination=target, sources=sources, journal=journal, actor=actor):
        journal["hooks"][answer[0]] = answer[1]
    for model, field in _references():
        _repoint(model, field, target, sources, journal)
    for model, generic in _generic_references():
        _repoint_generic(model, generic, target, sources, journal)
    _fill_blanks(target, sources, freed)
    collect_deleting.run(records=list(sources), actor=actor)
    Partner.objects.filter(pk__in=[source.pk for source in sources]).delete()
    work = current()
    if work is not None:
        work.deleted(sources)
    _write_destination(target)
    spread.check_company_guards()
    spread.spread_commercial_fields([target.commercial_entity_id or target.pk], actor=actor)
    refresh([target])
    names = [str(source) for source in sources]
    PartnerMerge.objects.create(
        destination=target,
        names=names,
        journal=json.loads(json.dumps(journal, cls=DjangoJSONEncoder)),
        created_by_id=actor.user_pk,
        updated_by_id=actor.user_pk,
    )
    record(
        AuditKind.MERGE,
        actor=actor,
        target=target,
        before={"merged": [s.pk for s in sources], "names": names},
    )


# ------------------------------------------------------------------------------------------------------ checks
def _destination(partners: Sequence[Partner], wanted: Partner | int | None) -> Partner:
    if wanted is not None:
        pk = getattr(wanted, "pk", wanted)
        found = next((partner for partner in partners if partner.pk == pk), None)
        if found is None:
            raise ValidationFailed(fields={"destination": [_("Choose one of the contacts that are merged.")]})
        return found
    if not partners:
        raise ValidationFailed(_("Choose two or three contacts to merge."))
    return min(partners, key=lambda partner: (not partner.active, partner.created_at, partner.pk))


def _check(partners: Sequence[Partner], actor: Actor) -> None:
    if not 2 <= len(partners) <= MERGE_LIMIT:
        raise ValidationFailed(
            _("Merge two or three contacts at a time, not %(count)d.") % {"count": len(partners)},
            code="merge_count",
        )
    pks = [partner.pk for partner in partners]
    if _related_by_blood(pks):
        raise Conflict(_("A contact cannot be merged with one that it belongs to."), code="merge_parent")
    if sum(1 for partner in partners if partner.user_id) > 1:
        raise Conflict(_("More than one of these contacts is the person behind a user."), code="merge_users")
    if sum(1 for partner in partners if partner.represents_id) > 1:
        raise Conflict(
            _("More than one of these contacts stands for a company of ours."), code="merge_companies"
        )
    addresses = {partner.email_normalized for partner in partners if partner.email_normalized}
    if len(addresses) > 1 and not actor.is_admin:
        raise PermissionDenied(
            _("These contacts have different e-mail addresses; only an administrator may merge them."),
            rule="contacts.merge.same_email",
        )


def _related_by_blood(pks: Sequence[int]) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH RECURSIVE up(start, id) AS (SELECT id, parent_id FROM contacts_partner WHERE id = ANY(%(pks)s) "
            "UNION SELECT up.start, p.parent_id FROM up JOIN contacts_partner p ON p.id = up.id "
            "WHERE p.parent_id IS NOT NULL) SELECT EXISTS (SELECT 1 FROM up WHERE id = ANY(%(pks)s))",
            {"pks": list(pks)},
        )
        row = cursor.fetchone()
    return bool(row and row[0])


# ------------------------------------------------------------------------------------------------- repointing
def _references() -> Iterator[tuple[type[models.Model], models.ForeignKey[Any, Any]]]:
    """Every foreign key to a partner that is a table column, many-to-many tables and extensions included."""
    for model in apps.get_models(include_auto_created=True):
        if not model._meta.managed or model._meta.proxy or model is PartnerMerge:
            continue
        for field in model._meta.local_concrete_fields:
            if isinstance(field, models.ForeignKey) and field.related_model is Partner:
                if model is Partner and field.name == "commercial_entity":
                    continue  # follows from the parent
                yield model, field


def _generic_references() -> Iterator[tuple[type[models.Model], GenericForeignKey]]:
    for model in apps.get_models(include_auto_created=True):
        if model._meta.managed and not model._meta.proxy:
            for field in model._meta.private_fields:
                if isinstance(field, GenericForeignKey):
                    yield model, field


def _repoint(
    model: type[models.Model],
    field: models.ForeignKey[Any, Any],
    target: Partner,
    sources: Sequence[Partner],
    journal: Journal,
) -> None:
    pks = [source.pk for source in sources]
    rows = model._base_manager.filter(**{f"{field.name}__in": pks})
    _move(model, rows, field.attname, target.pk, journal, key=field.name)


def _repoint_generic(
    model: type[models.Model],
    generic: GenericForeignKey,
    target: Partner,
    sources: Sequence[Partner],
    journal: Journal,
) -> None:
    kind = ContentType.objects.get_for_model(Partner)
    values: list[Any] = [source.pk for source in sources]
    column = model._meta.get_field(generic.fk_field)
    if isinstance(column, models.CharField | models.TextField):
        values = [str(value) for value in values]
    rows = model._base_manager.filter(**{generic.ct_field: kind, f"{generic.fk_field}__in": values})
    _move(model, rows, generic.fk_field, target.pk, journal, key=generic.name)


def _move(
    model: type[models.Model],
    rows: models.QuerySet[Any],
    attribute: str,
    value: Any,
    journal: Journal,
    *,
    key: str,
) -> None:
    """Let ``rows`` point to ``value``: all at once, or one by one where some are there already."""
    held = list(rows.values_list("pk", attribute))
    if not held:
        return
    label = model._meta.label_lower
    primary = key != attribute and bool(getattr(model._meta.get_field(key), "primary_key", False))
    stamp = {"version": models.F("version") + 1} if _has(model, "version") else {}
    moved: list[tuple[Any, Any]] = []
    try:
        with transaction.atomic():
            rows.update(**{attribute: value, **stamp})
        moved = held
    except IntegrityError as exc:
        if getattr(exc.__cause__, "sqlstate", "") not in UNIQUE_STATES:
            raise translate(exc) from exc
        for pk, old in held:
            single = model._base_manager.filter(pk=pk)
            try:
                with transaction.atomic():
                    single.update(**{attribute: value, **stamp})
                moved.append((pk, old))
            except IntegrityError as clash:
                if getattr(clash.__cause__, "sqlstate", "") not in UNIQUE_STATES:
                    raise translate(clash) from clash
                journal["removed"].extend(_serialized(single))
                single.delete()
    if moved:
        journal["repointed"].append(
            {
                "model": label,
                "attribute": attribute,
                "primary": primary,
                "rows": [list(item) for item in moved],
            }
        )


def _has(model: type[models.Model], name: str) -> bool:
    return any(field.name == name for field in model._meta.concrete_fields)


def _serialized(rows: models.QuerySet[Any]) -> list[Any]:
    return list(json.loads(serializers.serialize("json", rows)))


def _row(partner: Partner) -> dict[str, Any]:
    """The stored columns of a partner, for the journal."""
    return {
        field.attname: getattr(partner, field.attname)
        for field in Partner._meta.concrete_fields
        if not field.generated
    }


def _merge_accounts(target: Partner, sources: Sequence[Partner], journal: Journal) -> None:
    """The same account on both sides is one; the trusted of the two is kept."""
    own = {account.sanitized: account for account in BankAccount.objects.filter(partner=target)}
    for account in BankAccount.objects.filter(partner__in=sources):
        twin = own.get(account.sanitized)
        if twin is None:
            own[account.sanitized] = account
            continue
        if account.trusted and not twin.trusted:
            twin.trusted, twin.trusted_at, twin.trusted_by_id = (
                True,
                account.trusted_at,
                account.trusted_by_id,
            )
            twin.save(update_fields=["trusted", "trusted_at", "trusted_by"])
        _move_account_references(account, twin, journal)
        journal["removed"].extend(_serialized(BankAccount.objects.filter(pk=account.pk)))
        account.delete()


def _move_account_references(account: BankAccount, twin: BankAccount, journal: Journal) -> None:
    for model in apps.get_models(include_auto_created=True):
        for field in model._meta.local_concrete_fields:
            if (
                isinstance(field, models.ForeignKey)
                and field.related_model is BankAccount
                and model._meta.managed
            ):
                rows = model._base_manager.filter(**{field.name: account})
                _move(model, rows, field.attname, twin.pk, journal, key=field.name)


# ----------------------------------------------------------------------------------------------------- fields
def _free_unique_fields(sources: Sequence[Partner]) -> dict[str, Any]:
    """Take user, company and barcode from the sources, so that the destination may have them."""
    freed: dict[str, Any] = {}
    for source in sources:
        for name in ("user_id", "represents_id", "barcode"):
            value = getattr(source, name)
            if value and name not in freed:
                freed[name] = value
    Partner.objects.filter(pk__in=[source.pk for source in sources]).update(
        user=None, represents=None, barcode=""
    )
    return freed


def _fill_blanks(target: Partner, sources: Sequence[Partner], freed: dict[str, Any]) -> None:
    for name, value in freed.items():
        if not getattr(target, name):
            setattr(target, name, value)
    for source in sources:
        if not has_address(target) and has_address(source):
            for name in ADDRESS_FIELDS:
                setattr(target, spread.attribute(name), getattr(source, spread.attribute(name)))
        for field in Partner._meta.concrete_fields:
            if field.name in _KEPT or field.generated or field.name in _FREED:
                continue
            if getattr(target, field.attname) in (None, "", Decimal(0)) and getattr(source, field.attname):
                setattr(target, field.attname, getattr(source, field.attname))
        target.custom = {
            **source.custom,
            **{k: v for k, v in target.custom.items() if v not in (None, "", [])},
        }
        target.customer_rank += source.customer_rank
        target.supplier_rank += source.supplier_rank
        if target.parent_id is None and not target.is_company and source.parent_id not in (None, target.pk):
            target.parent_id = source.parent_id


def _write_destination(target: Partner) -> None:
    names = [
        field.name
        for field in Partner._meta.concrete_fields
        if not field.primary_key
        and not field.generated
        and field.name not in ("version", "updated_at", "updated_by")
    ]
    target.save(update_fields=names)


# ----------------------------------------------------------------------------------------------------- undoing
@action(
    PartnerMerge,
    permission="undo",
    name="undo",
    title=gettext_lazy("Take back"),
    dangerous=True,
    icon="undo",
    bulk=False,
    condition=lambda merge, actor: merge.undone_at is None,
)
def undo_merges(merges: Sequence[PartnerMerge], *, actor: Actor) -> None:
    """Bring the merged contacts back, with what referred to them, within thirty days. What happened to the kept
    contact since then stays with it."""
    for merge in merges:
        if merge.undone_at is not None:
            raise Conflict(_("This merge was taken back already."))
        if merge.created_at < timezone.now() - timedelta(days=MERGE_UNDO_DAYS):
            raise Conflict(_("A merge can be taken back for %(days)d days.") % {"days": MERGE_UNDO_DAYS})
        _undo(merge, actor)
        merge.undone_at = timezone.now()
        merge.save(update_fields=["undone_at"])
        record(AuditKind.MERGE, actor=actor, target=merge.destination, reason="merge taken back")


def _undo(merge: PartnerMerge, actor: Actor) -> None:
    journal = merge.journal
    target = Partner.objects.select_for_update(of=("self",)).get(pk=merge.destination_id)
    spread.defer_company_guards()
    before = journal["destination"]
    taken = {name: getattr(target, name) for name in ("user_id", "represents_id", "barcode")}
    for name, value in before.items():
        if name in (
            "id",
            "version",
            "created_at",
            "updated_at",
            "updated_by_id",
            "complete_name",
            "commercial_entity_id",
        ):
            continue
        merged = _merged_value(name, journal)
        if getattr(target, name) == merged or name in taken:
            setattr(target, name, value)
    _write_destination(target)
    sources = []
    for row in journal["sources"]:
        source = Partner(**row)
        source.save(force_insert=True)
        sources.append(source)
    for item in reversed(journal["repointed"]):
        model = apps.get_model(item["model"])
        for pk, old in item["rows"]:
            row_pk = target.pk if item["primary"] else pk
            model._base_manager.filter(pk=row_pk, **{item["attribute"]: target.pk}).update(
                **{item["attribute"]: old}
            )
    for data in journal["removed"]:
        for restored in serializers.deserialize("python", [data]):
            if not restored.object.__class__._base_manager.filter(pk=restored.object.pk).exists():
                restored.object.save(force_insert=True)
    collect_merge_undo.run(destination=target, sources=sources, journal=journal["hooks"], actor=actor)
    spread.check_company_guards()


def _merged_value(name: str, journal: Journal) -> Any:
    """What the merge put into a field of the destination, as far as it can be told."""
    before = journal["destination"][name]
    if name in ("customer_rank", "supplier_rank"):
        return before + sum(source[name] for source in journal["sources"])
    if before not in (None, "", {}):
        return before
    return next((source[name] for source in journal["sources"] if source[name] not in (None, "", {})), before)


def count_references(partner_pks: Sequence[int]) -> dict[str, int]:
    """How many rows of each kind refer to the partners: what a merge would repoint. One query a reference."""
    found: dict[str, int] = {}
    for model, field in _references():
        number = model._base_manager.filter(**{f"{field.name}__in": partner_pks}).count()
        if number:
            label = str(model._meta.verbose_name_plural)
            found[label] = found.get(label, 0) + number
    return found


def merge_groups(groups: Sequence[Sequence[int]], *, actor: Actor) -> tuple[int, list[str]]:
    """Merge groups of duplicates, each in a transaction of its own; answers how many and the refusals."""
    done, refusals = 0, []
    for group in groups:
        for start in range(0, max(len(group) - 1, 1), MERGE_LIMIT - 1):
            part = [group[0], *group[1 + start : 1 + start + MERGE_LIMIT - 1]]
            try:
                merge_partners(part, actor=actor)
            except BusinessError as exc:
                refusals.append(f"{part}: {exc.message}")
            else:
                done += 1
    return done, refusals
