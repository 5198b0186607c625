"""Documents by e-mail: the PDF to the right people, once; and bills that come in by e-mail."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from apps.accounting.models import Invoice, InvoiceLine
from apps.accounting.selectors.documents import official_documents
from apps.accounting.services.intake import set_mail_address
from apps.accounting.services.sending import send_invoices, send_pro_forma
from apps.accounting.services.unposting import reset_invoices
from apps.chatter.models import Attachment, Follower, Message
from apps.chatter.selectors.files import read_attachment
from apps.contacts.models import Partner
from apps.core.errors import PermissionDenied, ValidationFailed, WrongState
from apps.core.jobs.engine import run_background
from apps.core.models import JobRun
from apps.core.records import service_for
from apps.core.testkit import drain_outbox
from apps.mail.models import Alias, AliasDomain, OutgoingMail
from apps.mail.services.intake import receive
from apps.mail.services.sending import send_queue
from tests.accounting.factories import make_partner
from tests.accounting.portal_tools import draft, files, posted, shop, text_of
from tests.mail.support import mail_server
from tests.projects.factories import make_user

__all__ = ["files", "shop"]  # fixtures
pytestmark = pytest.mark.django_db(transaction=True)


def sent(
    invoices: list[Invoice], shop: SimpleNamespace, action: Any = send_invoices, **inputs: Any
) -> JobRun:
    """Send, and let the worker do its part."""
    answer = action(invoices, actor=shop.books.actor("billing"), **inputs)
    run = run_background(answer["run"])
    assert run is not None
    drain_outbox()
    return run


def test_an_invoice_reaches_its_customer_with_the_official_pdf(shop: SimpleNamespace) -> None:
    invoice = posted(shop.books, shop.prime, "100.00")

    with mail_server() as server:
        run = sent([invoice], shop)
        assert send_queue() == 1

    assert (run.state, run.result) == ("done", {"done": 1, "refused": [], "refused_count": 0})
    mail = server.mail_to("invoices@prime.example")
    assert mail["Subject"] == f"Invoice {invoice.number} of Alpha Ltd"
    (enclosed,) = mail.iter_attachments()
    pdf = read_attachment(official_documents([invoice.pk])[invoice.pk])
    assert enclosed.get_filename() == f"{invoice.number.replace('/', '_')}.pdf"
    assert enclosed.get_content_type() == "application/pdf"
    assert enclosed.get_payload(decode=True) == pdf
    assert "PROFORMA" not in text_of(pdf)
    body = mail.get_body(("html",)).get_content()
    assert "€121.00" in body and invoice.payment_reference in body
    invoice.refresh_from_db()
    assert invoice.sent_at is not None
    # The link in the mail opens the page for who has no login.
    link = body.split('href="')[1].split('"')[0].replace("&amp;", "&")
    assert f"/my/invoices/{invoice.pk}?access_token={invoice.access_token}" in link
    assert Client().get(link[link.index("/my/") :]).status_code == 200
    message = Message.objects.get(
        model="accounting.invoice", object_id=invoice.pk, subject__startswith="Invoice"
    )
    assert message.author.name == "Billing"


def test_sending_again_encloses_the_same_bytes(shop: SimpleNamespace) -> None:
    invoice = posted(shop.books, shop.prime)

    with mail_server() as server:
        for _time in range(2):
            sent([invoice], shop)
            send_queue()

    first, second = (next(mail.iter_attachments()).get_payload(decode=True) for mail in server.mails())
    assert first == second
    assert Attachment.objects.filter(model="accounting.invoice", object_id=invoice.pk).count() == 1


def test_a_run_that_is_repeated_sends_no_second_mail(shop: SimpleNamespace) -> None:
    invoices = [posted(shop.books, shop.prime) for _n in range(2)]
    run = sent(invoices, shop)
    JobRun.objects.filter(pk=run.pk).update(state="queued", finished_at=None, lease=None)

    again = run_background(run.pk)
    drain_outbox()

    assert again is not None and again.result["done"] == 2
    assert OutgoingMail.objects.count() == 2


def test_who_gets_it_by_default(shop: SimpleNamespace) -> None:
    books = shop.books
    accounts = make_partner(
        "Accounts", parent=shop.rival, type="invoice", email="ap@rival.example", is_company=False
    )
    person = Partner.objects.get(user=shop.users.pia)
    service_for(Partner).update([person], {"email": "pia@prime.example"}, actor=books.system)
    silent = make_partner("Silent", parent=shop.prime, is_company=False)
    to_rival, to_pia, to_silent = (posted(books, partner) for partner in (shop.rival, person, silent))

    sent([to_rival, to_pia, to_silent], shop)

    found = dict(OutgoingMail.objects.values_list("message__object_id", "to_address"))
    assert accounts.email in found[to_rival.pk]
    assert "pia@prime.example" in found[to_pia.pk]
    assert "invoices@prime.example" in found[to_silent.pk]


def test_named_recipients_own_words_and_nobody_else(shop: SimpleNamespace) -> None:
    invoice = posted(shop.books, shop.prime)
    lawyer = make_partner("Lawyer", email="law@example.org")
    Follower.objects.get_or_create(model="accounting.invoice", object_id=invoice.pk, partner=shop.prime)

    with mail_server() as server:
        sent(
            [invoice],
            shop,
            recipients=[lawyer.pk],
            subject="Last call",
            message="Pay\n<script>x</script> now",
        )
        send_queue()

    assert server.recipients == ["law@example.org"]
    mail = server.mail_to("law@example.org")
    assert mail["Subject"] == "Last call"
    assert "<script" not in mail.get_body(("html",)).get_content()


def test_a_letter_is_in_the_language_of_its_reader(shop: SimpleNamespace) -> None:
    service_for(Partner).update([shop.prime], {"language": "de"}, actor=shop.books.system)
    invoice = posted(shop.books, shop.prime, "1000.00")

    sent([invoice], shop)

    assert "1.210,00\u00a0€" in OutgoingMail.objects.get().body_html.replace("&nbsp;", "\u00a0")


def test_drafts_go_out_as_pro_forma_without_a_number(shop: SimpleNamespace) -> None:
    invoice = draft(shop.books, shop.prime, "100.00")
    with pytest.raises(WrongState):
        send_invoices([invoice], actor=shop.books.actor("billing"))

    with mail_server() as server:
        sent([invoice], shop, send_pro_forma)
        send_queue()

    mail = server.mail_to("invoices@prime.example")
    (enclosed,) = mail.iter_attachments()
    text = text_of(enclosed.get_payload(decode=True))
    assert mail["Subject"] == "Pro forma of Alpha Ltd"
    assert "PROFORMA" in text and "INV/" not in text
    invoice.refresh_from_db()
    assert (invoice.state, invoice.number, invoice.sent_at) == ("draft", "", None)


def test_what_cannot_be_sent_is_refused_at_once(shop: SimpleNamespace) -> None:
    books = shop.books
    nowhere = posted(books, make_partner("Nowhere"))
    bill = posted(books, shop.prime, type="vendor_bill", reference="V-1")
    good = posted(books, shop.prime)
    clerk, auditor = books.actor("billing"), books.actor("auditor")
    runs = JobRun.objects.count()

    with pytest.raises(ValidationFailed) as refused:
        send_invoices([good, nowhere], actor=clerk)
    assert refused.value.fields == {"recipients": [f"{nowhere.number}: Nowhere has no e-mail address."]}
    with pytest.raises(ValidationFailed, match="came from the vendor"):
        send_invoices([bill], actor=clerk)
    with pytest.raises(PermissionDenied):
        send_invoices([good], actor=auditor)

    assert JobRun.objects.count() == runs
    assert not OutgoingMail.objects.exists()


def test_many_are_sent_with_a_result_for_each(shop: SimpleNamespace) -> None:
    books = shop.books
    one, two, three = (posted(books, shop.prime) for _n in range(3))
    answer = send_invoices([one, two, three], actor=books.actor("billing"))
    reset_invoices([two], actor=books.actor("billing"))

    run = run_background(answer["run"])
    drain_outbox()

    assert run is not None
    assert run.result["done"] == 2
    assert run.result["refused"] == [
        [two.pk, f"{two.number} has changed meanwhile: it is in state 'draft' now."]
    ]
    assert sorted(OutgoingMail.objects.values_list("message__object_id", flat=True)) == [one.pk, three.pk]
    assert list(
        Invoice.objects.filter(sent_at__isnull=False).order_by("pk").values_list("pk", flat=True)
    ) == [
        one.pk,
        three.pk,
    ]


# ------------------------------------------------------------------------------------------------------ bills by e-mail
def incoming(
    *, sender: str = "Vera Vendor <vera@vendor.example>", to: str = "bills@example.com", number: int = 1
) -> bytes:
    return "\r\n".join(
        [
            f"From: {sender}",
            f"To: {to}",
            f"Message-ID: <{number}@vendor.example>",
            "Subject: Our invoice 2026-77",
            "Date: Fri, 20 Nov 2026 10:00:00 +0000",
            "MIME-Version: 1.0",
            'Content-Type: multipart/mixed; boundary="x"',
            "",
            "--x",
            "Content-Type: text/plain; charset=utf-8",
            "",
            "Please pay within a week.",
            "--x",
            "Content-Type: application/pdf",
            'Content-Disposition: attachment; filename="invoice-77.pdf"',
            "",
            "%PDF-1.4 bill",
            "--x--",
            "",
        ]
    ).encode()


@pytest.fixture
def mailbox(shop: SimpleNamespace) -> SimpleNamespace:
    AliasDomain.objects.create(name="example.com", company=None)
    journal = shop.books.journals.purchase
    answer = set_mail_address([journal], actor=shop.books.actor("adviser"), local_part="Bills")
    assert answer == {str(journal.pk): "bills@example.com"}
    return shop


def test_a_mailed_bill_becomes_a_draft_with_its_files(mailbox: SimpleNamespace) -> None:
    receipt = receive(incoming())

    bill = Invoice.objects.get()
    vendor = Partner.objects.get(email="vera@vendor.example")
    assert receipt.exit_code == 0
    assert (bill.type, bill.state, bill.partner_id) == ("vendor_bill", "draft", vendor.pk)
    assert (bill.journal_id, bill.company_id) == (
        mailbox.books.journals.purchase.pk,
        mailbox.books.company.pk,
    )
    assert bill.origin == "Our invoice 2026-77"
    assert not InvoiceLine.objects.filter(invoice=bill).exists()
    file = Attachment.objects.get(model="accounting.invoice", object_id=bill.pk)
    assert (file.name, read_attachment(file)) == ("invoice-77.pdf", b"%PDF-1.4 bill")
    message = Message.objects.get(model="accounting.invoice", object_id=bill.pk, message_type="email")
    assert message.author_id == vendor.pk and "within a week" in message.body
    receive(incoming())  # the same mail once more
    assert Invoice.objects.count() == 1


def test_a_bill_that_an_employee_passes_on_names_no_vendor(mailbox: SimpleNamespace) -> None:
    make_user("ann", company=mailbox.books.company)

    receive(incoming(sender="Ann <ann@example.com>"))

    assert Invoice.objects.get().partner_id is None


def test_strangers_are_refused_where_only_contacts_may_write(mailbox: SimpleNamespace) -> None:
    journal = mailbox.books.journals.purchase
    set_mail_address([journal], actor=mailbox.books.actor("adviser"), local_part="bills", policy="partners")

    receive(incoming())

    assert not Invoice.objects.exists()
    assert not Partner.objects.filter(email="vera@vendor.example").exists()


def test_addresses_are_for_purchase_journals_and_those_who_may_change_them(shop: SimpleNamespace) -> None:
    AliasDomain.objects.create(name="example.com", company=None)
    books = shop.books

    with pytest.raises(ValidationFailed) as refused:
        set_mail_address([books.journals.sale], actor=books.actor("adviser"), local_part="sales")
    assert refused.value.fields == {"local_part": ["Journal Customer invoices is not for purchases."]}
    with pytest.raises(PermissionDenied):
        set_mail_address([books.journals.purchase], actor=books.actor("billing"), local_part="bills")
    assert not Alias.objects.exists()

    set_mail_address([books.journals.purchase], actor=books.actor("adviser"), local_part="bills")
    set_mail_address([books.journals.purchase], actor=books.actor("adviser"), local_part="")
    assert not Alias.objects.exists()
