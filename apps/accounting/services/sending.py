"""Sending documents by e-mail: the PDF, a short text in the recipient's language, a link to the portal page.

The actions check who would get what and hand the work to a background run, because making a PDF takes longer than a request
should. The run deals with one document after the other, each in a unit of work of its own, and answers what became of each. A
run that is repeated writes no second mail: every message carries an id made of the run and the document.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import F
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounting.constants import SALE_TYPES, EntryState, InvoiceType
from apps.accounting.models import Invoice
from apps.chatter.constants import COMMENT
from apps.chatter.models import Attachment, Message
from apps.chatter.selectors.files import read_attachment
from apps.chatter.services.posting import post_message
from apps.chatter.types import NewFile
from apps.contacts.models import Partner
from apps.contacts.selectors.partners import address_get
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import BusinessError, Conflict, ValidationFailed, WrongState
from apps.core.html import sanitize_html, text_to_html
from apps.core.jobs.handle import RunHandle
from apps.core.jobs.registry import background
from apps.core.jobs.service import start_background
from apps.core.money import format_money
from apps.core.rules import get_visible
from apps.core.unit_of_work import unit_of_work
from apps.mail.services.aliases import ensure_domain
from apps.reports.services.rendering import render, request_document, wait_for

TASK = "accounting.send_invoices"
REPORT = "accounting.invoice"
KEPT_REFUSALS = 1_000
FAMILY = "parent", "commercial_entity"


def _is_sale(invoice: Invoice, actor: Actor) -> bool:
    return invoice.type in SALE_TYPES


@action(
    Invoice,
    name="send",
    permission="change",
    source={EntryState.POSTED},
    title=gettext_lazy("Send by e-mail"),
    icon="send",
    condition=_is_sale,
)
def send_invoices(
    invoices: Sequence[Invoice],
    *,
    actor: Actor,
    recipients: list[Partner] | None = None,
    subject: str = "",
    message: str = "",
) -> dict[str, Any]:
    """Send posted documents with their PDF. Without recipients each goes to its customer's address for invoices; without
    subject and message the texts of the house are used. Answers the key of the background run."""
    return _start(invoices, actor, recipients, subject, message)


@action(
    Invoice,
    name="send_pro_forma",
    permission="change",
    source={EntryState.DRAFT},
    title=gettext_lazy("Send as pro forma"),
    icon="outgoing_mail",
    condition=_is_sale,
)
def send_pro_forma(
    invoices: Sequence[Invoice],
    *,
    actor: Actor,
    recipients: list[Partner] | None = None,
    subject: str = "",
    message: str = "",
) -> dict[str, Any]:
    """Send drafts as pro forma, without a number; inputs as those of sending an invoice."""
    return _start(invoices, actor, recipients, subject, message)


def _start(
    invoices: Sequence[Invoice],
    actor: Actor,
    recipients: list[Partner] | None,
    subject: str,
    message: str,
) -> dict[str, Any]:
    for invoice in invoices:
        if invoice.type not in SALE_TYPES:
            raise ValidationFailed(
                _("%(document)s came from the vendor; it is not sent.") % {"document": invoice}
            )
    people = recipients_of(invoices) if recipients is None else {row.pk: recipients for row in invoices}
    for invoice in invoices:
        _check_addresses(invoice, people[invoice.pk])
    run = start_background(
        TASK,
        inputs={
            "pks": [invoice.pk for invoice in invoices],
            "state": invoices[0].state if invoices else "",
            "recipients": None if recipients is None else [partner.pk for partner in recipients],
            "subject": subject.strip()[:500],
            "message": message,
        },
        actor=actor,
        title=_("Send %(documents)s") % {"documents": _names(invoices)},
    )
    return {"run": run.pk}


def _names(invoices: Sequence[Invoice]) -> str:
    shown = ", ".join(str(invoice) for invoice in invoices[:3])
    return f"{shown} … ({len(invoices)})" if len(invoices) > 3 else shown


def recipients_of(invoices: Sequence[Invoice]) -> dict[int, list[Partner]]:
    """Who gets each document unless somebody else is named: the customer's address for invoices, else the customer, else
    the organisation, the first of them that has an e-mail address. Two queries for any number of documents."""
    pks = {invoice.partner_id for invoice in invoices if invoice.partner_id is not None}
    partners = {row.pk: row for row in Partner.objects.select_related(*FAMILY).filter(pk__in=pks)}
    addresses = address_get(list(partners.values()), ["invoice"]) if partners else {}
    found: dict[int, list[Partner]] = {}
    for invoice in invoices:
        partner = partners.get(invoice.partner_id or 0)
        if partner is None:
            found[invoice.pk] = []
            continue
        offered = (addresses[partner.pk]["invoice"], partner, partner.commercial_entity)
        found[invoice.pk] = [next((row for row in offered if row is not None and row.email), partner)]
    return found


def _check_addresses(invoice: Invoice, people: Sequence[Partner]) -> None:
    if not people:
        raise ValidationFailed(
            fields={"recipients": [_("%(document)s: name a recipient.") % {"document": invoice}]}
        )
    silent = [partner.complete_name for partner in people if not partner.email]
    if silent:
        text = _("%(document)s: %(names)s has no e-mail address.")
        raise ValidationFailed(
            fields={"recipients": [text % {"document": invoice, "names": ", ".join(silent)}]}
        )


# ------------------------------------------------------------------------------------------------------ the background
@background(TASK, title=gettext_lazy("Send documents"))
def send_in_background(run: RunHandle) -> dict[str, Any]:
    """Send the documents of the run; its result is ``{"done": number, "refused": [[pk, reason], …]}``."""
    pks, refused = list(run.inputs["pks"]), []
    run.progress(0, len(pks))
    for place, pk in enumerate(pks, 1):
        try:
            _send_one(pk, run)
        except BusinessError as exc:
            refused.append([pk, _reason(exc)])
            run.log(f"{pk}: {_reason(exc)}")
        run.progress(place, len(pks))
    return {
        "done": len(pks) - len(refused),
        "refused": refused[:KEPT_REFUSALS],
        "refused_count": len(refused),
    }


def _reason(exc: BusinessError) -> str:
    return "; ".join(text for texts in exc.fields.values() for text in texts) or exc.message


def _send_one(pk: int, run: RunHandle) -> None:
    actor, inputs = run.actor, run.inputs
    invoice = get_visible(Invoice, pk, actor, "change")
    domain = ensure_domain(invoice.company_id)
    rfc_id = f"<meridian.send.{run.pk}.{pk}@{domain.name}>"
    if Message.objects.filter(message_id=rfc_id).exists():
        return  # an earlier try of this run got this far
    document = official_pdf(pk, actor=actor)
    with unit_of_work(actor):
        invoice = (
            Invoice.objects.select_for_update(of=("self",), no_key=True)
            .select_related("company", "currency", "partner")
            .get(pk=pk)
        )
        if invoice.state != inputs["state"]:
            raise WrongState(
                _("%(document)s has changed meanwhile: it is in state '%(state)s' now.")
                % {"document": invoice, "state": invoice.state}
            )
        if inputs["recipients"] is None:
            people = recipients_of([invoice])[pk]
        else:
            people = list(Partner.objects.filter(pk__in=inputs["recipients"]).order_by("pk"))
        _check_addresses(invoice, people)
        subject, body = _letter(invoice, people[0], inputs["subject"], inputs["message"])
        post_message(
            invoice,
            actor=actor,
            subject=subject,
            body=body,
            subtype=COMMENT,
            attachments=[_enclosure(document, invoice)],
            recipients=people,
            message_id=rfc_id,
            notify_followers=False,  # exactly those who were named get it
            follow_author=False,
        )
        if invoice.state == EntryState.POSTED:
            Invoice.objects.filter(pk=pk).update(
                sent_at=timezone.now(),
                version=F("version") + 1,
                updated_at=timezone.now(),
                updated_by_id=actor.user_pk,
            )


def official_pdf(pk: int, *, actor: Actor) -> Attachment:
    """The PDF of a document, rendered here and now if there is none: the official one of a posted document, which it has from
    then on, or a pro forma of a draft. For workers. Errors: ``Unavailable`` when it cannot be rendered."""
    ordered = request_document(REPORT, [pk], actor=actor)
    render(ordered.pk)
    return wait_for(ordered, seconds=60)  # another worker may be at it


def _enclosure(document: Attachment, invoice: Invoice) -> Attachment | NewFile:
    """The official PDF is the document's own file; a pro forma belongs to the engine, and the message gets a copy."""
    if (document.model, document.object_id) == (Invoice._meta.label_lower, invoice.pk):
        if invoice.state == EntryState.POSTED and not document.field.endswith(f":{invoice.journal_entry_id}"):
            raise Conflict(_("%(document)s was posted anew meanwhile.") % {"document": invoice})
        return document
    return NewFile(document.name, read_attachment(document), mimetype=document.mimetype, trusted=True)


def _letter(invoice: Invoice, reader: Partner, subject: str, message: str) -> tuple[str, str]:
    """Subject and text: what the sender wrote, or the words of the house in the reader's language."""
    with translation.override(reader.language or translation.get_language()):
        language = translation.get_language() or "en"
        values = {
            "invoice": invoice,
            "reader": reader,
            "kind": InvoiceType(invoice.type),
            "pro_forma": invoice.state != EntryState.POSTED,
            "total": format_money(invoice.total_amount, language=language, currency=invoice.currency),
            "left": format_money(invoice.residual_amount, language=language, currency=invoice.currency),
            "company": invoice.company,
        }
        names = {"company": invoice.company.name, "number": invoice.number}
        if values["pro_forma"]:
            own = _("Pro forma of %(company)s") % names
        elif invoice.type == InvoiceType.CUSTOMER_CREDIT_NOTE:
            own = _("Credit note %(number)s of %(company)s") % names
        elif invoice.type == InvoiceType.CUSTOMER_RECEIPT:
            own = _("Receipt %(number)s of %(company)s") % names
        else:
            own = _("Invoice %(number)s of %(company)s") % names
        body = message.strip()
        if body:
            written = sanitize_html(body) if "<" in body else text_to_html(body)
        else:
            written = render_to_string("accounting/mail/invoice.html", values)
    return subject or own, written
