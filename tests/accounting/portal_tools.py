"""A customer with a login, her rival, and the engine of documents without a worker. Import the fixtures that a test needs."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pypdfium2
import pytest
from django.test import Client
from django.utils import timezone

from apps.access.models import User
from apps.accounting.models import Invoice
from apps.accounting.services.posting import post_invoices
from apps.contacts.models import BankAccount, Partner
from apps.core.records import service_for
from apps.reports.services import rendering
from tests.accounting.factories import Books, make_partner
from tests.accounting.invoice_tools import line, make
from tests.projects.factories import make_user

TODAY = timezone.localdate()


def days(number: int) -> datetime.date:
    return TODAY + datetime.timedelta(days=number)


@pytest.fixture(autouse=True)
def files(settings: Any, tmp_path: Path) -> Path:
    """An empty object store."""
    folder = tmp_path / "files"
    backend = "django.core.files.storage.FileSystemStorage"
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": backend, "OPTIONS": {"location": str(folder)}},
    }
    return folder


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents are rendered where they are asked for."""
    monkeypatch.setattr(rendering, "enqueue_on_commit", lambda name, pk, queue=None: rendering.render(pk))


@pytest.fixture
def shop(books: Books) -> SimpleNamespace:
    """Pia and Paul buy for Prime, Rob for Rival; each has a login. The company has a bank account."""
    prime = make_partner(
        "Prime Ltd",
        country="BE",
        email="invoices@prime.example",
        street="Station street 5",
        zip="1000",
        city="Brussels",
        tax_id="BE0477472701",
    )
    rival = make_partner("Rival Ltd", country="BE", email="hello@rival.example")
    users = SimpleNamespace(
        pia=make_user("pia", kind="portal", company=books.company),
        paul=make_user("paul", kind="portal", company=books.company),
        rob=make_user("rob", kind="portal", company=books.company),
    )
    for user, parent in ((users.pia, prime), (users.paul, prime), (users.rob, rival)):
        service_for(Partner).update([Partner.objects.get(user=user)], {"parent": parent}, actor=books.system)
    bank = service_for(BankAccount).create_one(
        {
            "partner": Partner.objects.get(represents=books.company).pk,
            "number": "BE68 5390 0754 7034",
            "bic": "BBRUBEBB",
            "bank_name": "House Bank",
        },
        actor=books.system,
    )
    return SimpleNamespace(
        books=books,
        prime=prime,
        rival=rival,
        users=users,
        bank=bank,
        pia=signed_in(users.pia),
        paul=signed_in(users.paul),
        rob=signed_in(users.rob),
        visitor=Client(),
    )


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def draft(books: Books, partner: Partner, *prices: Any, **values: Any) -> Invoice:
    """A customer invoice of today; each price is one line."""
    lines = values.pop("lines", None) or [line(price) for price in prices or (100,)]
    return make(books, partner, **{"date": TODAY, "lines": lines, **values})


def posted(books: Books, partner: Partner, *prices: Any, **values: Any) -> Invoice:
    invoice = draft(books, partner, *prices, **values)
    post_invoices([invoice], actor=books.actor("billing"))
    invoice.refresh_from_db()
    return invoice


def text_of(pdf: bytes) -> str:
    """What a reader sees, in the order of the page, blanks as one."""
    pages = [page.get_textpage().get_text_bounded() for page in pypdfium2.PdfDocument(pdf)]
    return re.sub(r"[ \t\u00a0\u202f]+", " ", "\n".join(pages)).replace("\r", "")


def body_of(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content
