"""Whom a partner is: an employee or somebody outside, reachable how."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import formataddr

from django.db import connection

from apps.access.constants import Notify, UserKind
from apps.contacts.models import Partner

# Asked with every message; written once, as the ORM would take longer over it than PostgreSQL.
_PEOPLE = """
SELECT p.id, p.name, p.complete_name, p.email, p.active, p.user_id, u.kind, u.active, u.notification
FROM contacts_partner p LEFT JOIN access_user u ON u.id = p.user_id WHERE p.id = ANY (%s)
"""


@dataclass(frozen=True, slots=True)
class Person:
    """A partner with what telling him something depends on. ``user_pk`` only of an active user."""

    pk: int
    name: str
    email: str
    active: bool
    user_pk: int | None
    is_employee: bool
    wants_inbox: bool

    @property
    def address(self) -> str:
        """``Name <address>``, or nothing without an address."""
        return formataddr((self.name, self.email)) if self.email else ""


def people(partner_pks: Iterable[int]) -> dict[int, Person]:
    """Partners by primary key with their users; one query."""
    wanted = list(set(partner_pks))
    if not wanted:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_PEOPLE, [wanted])
        rows = cursor.fetchall()
    found = {}
    for pk, name, complete_name, email, active, user_pk, kind, user_active, notification in rows:
        employee = bool(user_active) and kind == UserKind.INTERNAL
        found[pk] = Person(
            pk=pk,
            name=name or complete_name,
            email=email,
            active=active,
            user_pk=user_pk if user_active else None,
            is_employee=employee,
            wants_inbox=employee and notification == Notify.INBOX,
        )
    return found


def employee_partner_pks(partner_pks: Iterable[int]) -> set[int]:
    """Those of the partners that are active employees; one query."""
    return {pk for pk, person in people(partner_pks).items() if person.is_employee}


def partner_pk_of_user(user_pk: int | None) -> int | None:
    if user_pk is None:
        return None
    return Partner.objects.filter(user_id=user_pk).values_list("pk", flat=True).first()


def partner_pks_of_users(user_pks: Iterable[int]) -> dict[int, int]:
    """Partner of each user, by user; one query. Users without a contact are left out."""
    rows = Partner.objects.filter(user_id__in=set(user_pks)).values_list("user_id", "pk")
    return {user_pk: pk for user_pk, pk in rows if user_pk is not None}
