"""Following records: who is told about what."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from django.db import models
from django.utils.translation import gettext as _

from apps.chatter.constants import LIVE_CHANGED
from apps.chatter.models import Follower
from apps.chatter.models.threads import ref_of
from apps.chatter.selectors.people import employee_partner_pks
from apps.chatter.selectors.subtypes import default_subtype_pks, subtypes_of
from apps.chatter.services.notices import tell_watchers
from apps.chatter.types import RecordRef
from apps.contacts.models import Partner
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.links import check_targets
from apps.core.rules import get_visible
from apps.core.unit_of_work import unit_of_work


def add_followers(
    rows: Iterable[tuple[RecordRef, int]],
    *,
    extra: dict[tuple[RecordRef, int], set[int]] | None = None,
) -> None:
    """Make partners follow records with the default kinds, and those in ``extra`` for some; who follows already keeps
    what he chose. Two statements for any number. Rights are the caller's business."""
    pairs = dict.fromkeys(rows)
    if not pairs:
        return
    added = extra or {}
    employees = employee_partner_pks(pk for _ref, pk in pairs)
    defaults: dict[tuple[str, bool], list[int]] = {}
    internal_pks = {info.pk for ref, _pk in pairs for info in subtypes_of(ref.model) if info.internal}
    made = []
    for ref, partner_pk in pairs:
        is_employee = partner_pk in employees
        key = (ref.model, is_employee)
        if key not in defaults:
            defaults[key] = default_subtype_pks(ref.model, internal=is_employee)
        kinds = set(defaults[key]) | added.get((ref, partner_pk), set())
        if not is_employee:
            kinds -= internal_pks
        made.append(
            Follower(model=ref.model, object_id=ref.pk, partner_id=partner_pk, subtype_pks=sorted(kinds))
        )
    Follower.objects.bulk_create(made, ignore_conflicts=True)


def follow(
    record: models.Model,
    partner_pks: Sequence[int] | None = None,
    *,
    actor: Actor,
    subtypes: Collection[str] | None = None,
) -> None:
    """Make partners follow a record. Oneself (``None``) needs to see it, others need the right to change it.

    ``subtypes`` (codes) replaces what a partner is told about; without it, new followers get the default kinds and
    others keep theirs. Nobody but an employee ever follows internal kinds.
    """
    pks = _partners(partner_pks, actor)
    own = set(pks) == {actor.partner_pk}
    get_visible(type(record), record.pk, actor, "view" if own or actor.is_system else "change")
    if not own:
        check_targets(Follower, {"partner": pks}, actor)
    ref = ref_of(record)
    chosen = _chosen(ref.model, subtypes) if subtypes is not None else None
    with unit_of_work(actor):
        add_followers([(ref, pk) for pk in pks])
        if chosen is not None:
            _choose(ref, pks, chosen)
        tell_watchers(ref, LIVE_CHANGED, {}, public=False)


def unfollow(record: models.Model, partner_pks: Sequence[int] | None = None, *, actor: Actor) -> int:
    """Stop following; oneself always, others with the right to change the record. Answers how many stopped."""
    pks = _partners(partner_pks, actor)
    if set(pks) != {actor.partner_pk} and not actor.is_system:
        get_visible(type(record), record.pk, actor, "change")
    ref = ref_of(record)
    with unit_of_work(actor):
        gone, _rows = Follower.objects.filter(model=ref.model, object_id=ref.pk, partner_id__in=pks).delete()
        tell_watchers(ref, LIVE_CHANGED, {}, public=False)
    return gone


def follow_as(record: models.Model, partners: Iterable[Partner | int], *, actor: Actor) -> None:
    """On behalf of the program (customer of a document, author of a mail): without a look at the actor's rights."""
    ref = ref_of(record)
    with unit_of_work(actor):
        add_followers((ref, item.pk if isinstance(item, Partner) else item) for item in partners)


def _partners(partner_pks: Sequence[int] | None, actor: Actor) -> list[int]:
    if partner_pks is not None:
        return sorted(set(partner_pks))
    if actor.partner_pk is None:
        raise ValidationFailed(_("You have no contact that could follow. Ask an administrator for one."))
    return [actor.partner_pk]


def _chosen(model_label: str, codes: Collection[str]) -> set[int]:
    known = {info.code: info.pk for info in subtypes_of(model_label)}
    unknown = sorted(set(codes) - set(known))
    if unknown:
        raise ValidationFailed(
            fields={"subtypes": [_("Not a kind of message here: %(codes)s.") % {"codes": ", ".join(unknown)}]}
        )
    return {known[code] for code in codes}


def _choose(ref: RecordRef, pks: Sequence[int], chosen: set[int]) -> None:
    internal = {info.pk for info in subtypes_of(ref.model) if info.internal}
    employees = employee_partner_pks(pks)
    rows = Follower.objects.filter(model=ref.model, object_id=ref.pk)
    rows.filter(partner_id__in=employees).update(subtype_pks=sorted(chosen))
    rows.filter(partner_id__in=set(pks) - employees).update(subtype_pks=sorted(chosen - internal))
