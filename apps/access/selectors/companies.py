"""Which companies a user may choose, and which of them would show a hidden record."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Model, QuerySet

from apps.access.models import Company, User
from apps.access.selectors.actors import allowed_company_pks
from apps.core.models import company_mode


def companies_of(user: User) -> QuerySet[Company]:
    """The active companies that the user may select, for the switcher; in the order it shows them."""
    return Company.objects.filter(pk__in=allowed_company_pks(user)).order_by("sequence", "name", "pk")


def with_branches(company_pks: Iterable[int], *, allowed: Iterable[int]) -> list[int]:
    """The companies and all their branches, as far as allowed. Two columns of one small table are read."""
    children: dict[int | None, list[int]] = {}
    for pk, parent in Company.objects.active().order_by("sequence", "pk").values_list("pk", "parent_id"):
        children.setdefault(parent, []).append(pk)
    permitted, found, waiting = set(allowed), [], list(company_pks)
    while waiting:
        pk = waiting.pop(0)
        if pk in found:
            continue
        if pk in permitted:
            found.append(pk)
        waiting.extend(children.get(pk, ()))
    return found


def company_to_switch_to(
    model: type[Model], pk: int, *, user: User, selected: Iterable[int]
) -> Company | None:
    """The company whose selection would show a record that a person asked for and did not get, when it is one that
    he works for. ``None`` when the company is not the reason, so nothing is given away."""
    if company_mode(model) == "none":
        return None
    home = model._base_manager.filter(pk=pk).values_list("company_id", flat=True).first()
    if home is None or home in set(selected) or home not in allowed_company_pks(user):
        return None
    return Company.objects.filter(pk=home).first()


def root_of(company: Company) -> Company:
    """The company at the top of the tree a branch belongs to."""
    seen = {company.pk}
    while company.parent is not None and company.parent.pk not in seen:
        company = company.parent
        seen.add(company.pk)
    return company
