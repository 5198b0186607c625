"""``manage.py createsuperuser``: the first administrator of an installation.

Asks for login, name and password, or takes them from the options and ``DJANGO_SUPERUSER_PASSWORD``. Makes the first
company when there is none.
"""

from __future__ import annotations

import getpass
import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from apps.access.constants import ROLE_ADMINISTRATOR
from apps.access.models import User
from apps.access.services import create_user
from apps.core.actor import system_actor
from apps.core.errors import BusinessError


class Command(BaseCommand):
    help = "Make an administrator."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--login", help="usually the e-mail address")
        parser.add_argument("--name")
        parser.add_argument("--email", default="")
        parser.add_argument("--noinput", "--no-input", action="store_true", help="ask nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        login = options["login"] or os.environ.get("DJANGO_SUPERUSER_LOGIN") or self._ask("Login", options)
        name = options["name"] or (login if options["noinput"] else self._ask("Name", options) or login)
        password = os.environ.get("DJANGO_SUPERUSER_PASSWORD") or self._password(options)
        try:
            with transaction.atomic():
                company = User.objects.first_company()
                user = create_user(
                    login,
                    name=name,
                    email=options["email"],
                    password=password,
                    company=company,
                    roles=[ROLE_ADMINISTRATOR],
                    actor=system_actor(company_pk=company.pk, channel="command"),
                )
        except BusinessError as exc:
            details = [text for texts in exc.fields.values() for text in texts]
            raise CommandError(" ".join([exc.message, *details])) from exc
        self.stdout.write(f"{user.name} administers {company.name}; the login is {user.login}.")

    def _ask(self, what: str, options: dict[str, Any]) -> str:
        if options["noinput"]:
            raise CommandError(f"Give --{what.lower()}, or leave --noinput away.")
        return input(f"{what}: ").strip()

    def _password(self, options: dict[str, Any]) -> str:
        if options["noinput"]:
            raise CommandError("Set DJANGO_SUPERUSER_PASSWORD, or leave --noinput away.")
        first, second = getpass.getpass("Password: "), getpass.getpass("The same again: ")
        if first != second:
            raise CommandError("The two passwords differ.")
        return first
