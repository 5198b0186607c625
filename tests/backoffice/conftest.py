"""People and companies for the tests of the back office."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest
from django.db import transaction
from django.test import Client

from apps.access.models import Company, Role, RoleGrant, User, UserRole
from apps.access.selectors import actor_for
from apps.core.actor import Actor
from apps.core.models import Currency

_numbers = count(1)
# Country codes that ISO leaves to its users, less Kosovo's, which is in use.
SPARE_CODES = [f"X{chr(65 + n)}" for n in range(26) if n != 10] + [f"Q{chr(77 + n)}" for n in range(14)]


@pytest.fixture
def company(db: None) -> Company:
    return User.objects.first_company()


@pytest.fixture
def other_company(company: Company) -> Company:
    return Company.objects.create(name="Harbour Works", currency=company.currency)


@pytest.fixture
def boss(company: Company) -> User:
    """An administrator of the first company."""
    with transaction.atomic():  # the company of a user is checked at commit
        return User.objects.create_superuser("boss", "secret-boss", name="Ada Boss", company=company)


@pytest.fixture
def make_user(company: Company) -> Callable[..., User]:
    """Employees with exactly the given rights: ``make_user({"core.currency": "view change"})``."""

    def make(
        grants: dict[str, str] | None = None, *, roles: tuple[str, ...] = (), kind: str = "internal"
    ) -> User:
        number = next(_numbers)
        user = User.objects.create_user(
            f"user{number}", "secret-user", name=f"User {number}", kind=kind, company=company
        )
        for code in roles:
            UserRole.objects.create(user=user, role=Role.objects.get(code=code))
        if grants:
            role = Role.objects.create(code=f"tests.role{number}", name=f"Role {number}", kind=kind)
            for model, operations in grants.items():
                for operation in operations.split():
                    RoleGrant.objects.create(role=role, model=model, operation=operation)
            UserRole.objects.create(user=user, role=role)
        return user

    return make


@pytest.fixture
def actor() -> Callable[[User], Actor]:
    return lambda user: actor_for(User.objects.get(pk=user.pk), channel="admin")


@pytest.fixture
def sign_in() -> Callable[[User], Client]:
    """A browser in which the user is signed in."""

    def open_browser(user: User) -> Client:
        browser = Client()
        browser.force_login(user)
        return browser

    return open_browser


@pytest.fixture
def admin(boss: User, sign_in: Callable[[User], Client]) -> Client:
    """A browser with an administrator."""
    return sign_in(boss)


@pytest.fixture
def euro(company: Company) -> Currency:
    return company.currency
