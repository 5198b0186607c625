"""Reads about people, rights and companies."""

from apps.access.selectors.actors import (
    actor_for,
    actor_from_snapshot,
    allowed_company_pks,
    api_token_days,
    forget_rights,
    public_actor,
    rights_of,
)
from apps.access.selectors.companies import companies_of, company_to_switch_to, root_of, with_branches
from apps.access.selectors.roles import (
    administrators,
    effective_roles,
    implied_role_pks,
    implying_role_pks,
    powerful_role_pks,
)

__all__ = [
    "actor_for",
    "actor_from_snapshot",
    "administrators",
    "allowed_company_pks",
    "api_token_days",
    "companies_of",
    "company_to_switch_to",
    "effective_roles",
    "forget_rights",
    "implied_role_pks",
    "implying_role_pks",
    "powerful_role_pks",
    "public_actor",
    "rights_of",
    "root_of",
    "with_branches",
]
