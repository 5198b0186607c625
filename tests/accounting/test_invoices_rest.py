"""The fixed shape of invoices in REST, from the draft to a part paid."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.access.services.tokens import make_token
from apps.contacts.models import Partner
from tests.accounting.factories import Books


@pytest.mark.django_db
def test_currencies_may_be_sent_by_their_code(books: Books, customer: Partner) -> None:
    """The form of the public surface: ``"currency": "EUR"``."""
    client = Client(headers={"authorization": f"Bearer {make_token(books.user('billing'), name='t')[0]}"})
    body = {
        "type": "customer_invoice",
        "partner": customer.pk,
        "date": "2026-11-20",
        "currency": "EUR",
        "lines": [
            {
                "description": "Work",
                "quantity": "3",
                "unit_price": "33.33",
                "discount": "0",
                "taxes": [books.taxes.sale15.pk],
                "account": None,
                "product": None,
            }
        ],
    }

    made = client.post("/api/v1/accounting/invoices/", body, content_type="application/json")
    wrong = client.post(
        "/api/v1/accounting/invoices/", {**body, "currency": "XQQ"}, content_type="application/json"
    )
    posted = client.post(
        f"/api/v1/accounting/invoices/{made.json()['id']}/actions/post/", {}, content_type="application/json"
    )

    assert made.status_code == 201, made.json()
    shown = made.json()
    assert (shown["untaxed_amount"], shown["tax_amount"], shown["total_amount"]) == (
        "99.99",
        "15.00",
        "114.99",
    )
    assert (shown["state"], shown["number"], shown["payment_state"]) == ("draft", "", "not_paid")
    assert shown["lines"][0]["subtotal"] == "99.99"
    assert (wrong.status_code, list(wrong.json()["fields"])) == (400, ["currency"])
    assert posted.status_code == 200, posted.json()
    assert posted.json()["state"] == "posted"
    assert posted.json()["number"]
    paid = client.post(
        f"/api/v1/accounting/invoices/{shown['id']}/actions/register_payment/",
        {
            "amount": "50.00",
            "date": "2026-11-21",
            "journal": books.journals.bank.pk,
            "currency": "EUR",
            "write_off_account": None,
        },
        content_type="application/json",
    )
    assert paid.status_code == 200, paid.json()
    after = client.get(f"/api/v1/accounting/invoices/{shown['id']}/").json()
    assert (after["payment_state"], after["residual_amount"]) == ("partial", "64.99")
