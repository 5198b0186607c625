"""Our own addresses, and whose an address is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from django.db.models import Case, IntegerField, Q, Value, When

from apps.chatter.models import Follower
from apps.chatter.types import RecordRef
from apps.contacts.models import Partner
from apps.mail.models import Alias, AliasDomain


def domain_for(company_pk: int | None) -> AliasDomain | None:
    """The mail domain of a company, else the shared one, else the first there is."""
    return (
        AliasDomain.objects.filter(active=True)
        .order_by(
            Case(
                When(company_id=company_pk, then=Value(0)),
                When(company_id__isnull=True, then=Value(1)),
                default=Value(2),
                output_field=IntegerField(),
            ),
            "sequence",
            "pk",
        )
        .first()
    )


def alias_of(owner: RecordRef) -> Alias | None:
    """The address of a record, if it has one."""
    return (
        Alias.objects.select_related("domain")
        .filter(owner_model=owner.model, owner_pk=owner.pk, active=True)
        .order_by("pk")
        .first()
    )


def aliases_of(model: str, pks: Collection[int]) -> dict[int, str]:
    """Addresses of many records of one kind, by primary key; one query."""
    rows = Alias.objects.select_related("domain").filter(owner_model=model, owner_pk__in=pks, active=True)
    return {int(row.owner_pk): row.address for row in rows.order_by("-pk") if row.owner_pk is not None}


def active_domains() -> list[AliasDomain]:
    return list(AliasDomain.objects.filter(active=True))


def own_addresses(addresses: Iterable[str], *, domains: Sequence[AliasDomain] | None = None) -> set[str]:
    """Those of the (normalised) addresses that are ours: aliases, catch-all, bounce and sender addresses. ``domains``
    are the active ones when the caller has them."""
    wanted = {address for address in addresses if "@" in address}
    if not wanted:
        return set()
    locals_ = {address.partition("@")[0] for address in wanted}
    ours: set[str] = set()
    for domain in active_domains() if domains is None else domains:
        ours |= {domain.bounce_address, domain.catchall_address, domain.notifications_address}
    for alias in Alias.objects.select_related("domain").filter(local_part__in=locals_, active=True):
        ours.add(alias.address)
    return wanted & ours


def find_author(
    address: str,
    *,
    thread: RecordRef | None = None,
    owner: RecordRef | None = None,
    company_pk: int | None = None,
    ours: Collection[str] | None = None,
) -> Partner | None:
    """Whose a normalised address is: a follower of the thread or its owner first, then somebody with a login, then
    anybody, of the company before those of no company. Our own addresses are nobody's; ``ours`` names them when the
    caller knows them."""
    if not address or address in (own_addresses([address]) if ours is None else ours):
        return None
    follows = Q(pk__in=[])
    for ref in (thread, owner):
        if ref is not None:
            follows |= Q(
                pk__in=Follower.objects.filter(model=ref.model, object_id=ref.pk).values("partner_id")
            )
    return (
        Partner.objects.filter(email_normalized=address, active=True)
        .order_by(
            Case(
                When(follows, then=Value(0)),
                When(user__isnull=False, user__active=True, then=Value(1)),
                When(company_id=company_pk, then=Value(2)),
                When(company_id__isnull=True, then=Value(3)),
                default=Value(4),
                output_field=IntegerField(),
            ),
            "pk",
        )
        .first()
    )
