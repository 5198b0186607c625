"""Reading a bank file into a journal: choose it, look at what is in it, say what its columns mean, import it.

The file is kept as an upload between the steps, so that it travels once. Large files are read in the background.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST
from unfold import widgets

from apps.accounting.models import BankStatement, Journal, StatementLine
from apps.accounting.screens.money import decimals, number
from apps.accounting.screens.previews import refusal
from apps.accounting.selectors.bank_screen import bank_journals
from apps.accounting.services.bank_file_previews import FilePreview, preview_bank_file
from apps.accounting.services.bank_import import import_attachment, start_import
from apps.backoffice.base import actor_of, link_field, record_url, site
from apps.chatter.models import Attachment
from apps.chatter.selectors.files import read_attachment, readable_attachment
from apps.chatter.services.attachments import upload_pending
from apps.chatter.types import NewFile
from apps.core.actor import Actor
from apps.core.errors import BusinessError, ValidationFailed
from apps.core.rules import get_visible

SCREEN = "admin:accounting_bank_import"
MANY = 2_000  # lines beyond which nobody should wait for the page
LARGE = 4 * 1024 * 1024  # bytes beyond which the file is not looked at before it is read
MOST_COLUMNS = 60
ROLES = {
    "date": gettext_lazy("Date"),
    "value_date": gettext_lazy("Value date"),
    "label": gettext_lazy("Label"),
    "amount": gettext_lazy("Amount"),
    "debit": gettext_lazy("Debit (sent)"),
    "credit": gettext_lazy("Credit (received)"),
    "debit_credit_mark": gettext_lazy("Mark of debit or credit"),
    "balance": gettext_lazy("Running balance"),
    "currency": gettext_lazy("Currency"),
    "partner": gettext_lazy("Name of the other side"),
    "bank_account": gettext_lazy("Account of the other side"),
    "bic": gettext_lazy("BIC of the other side"),
    "reference": gettext_lazy("Reference"),
    "structured_reference": gettext_lazy("Structured reference"),
    "transaction_type": gettext_lazy("Kind of transaction"),
    "unique_id": gettext_lazy("Id at the bank"),
    "foreign_amount": gettext_lazy("Foreign amount"),
    "foreign_currency": gettext_lazy("Foreign currency"),
    "rate": gettext_lazy("Rate"),
    "own_account": gettext_lazy("Own account"),
    "memo": gettext_lazy("Memo"),
}
DELIMITERS = (
    ("", gettext_lazy("found out")),
    (";", ";"),
    (",", ","),
    ("\t", gettext_lazy("tab")),
    ("|", "|"),
)
DATES = (
    "DD.MM.YYYY",
    "DD/MM/YYYY",
    "DD-MM-YYYY",
    "MM/DD/YYYY",
    "YYYY-MM-DD",
    "YYYYMMDD",
    "DD.MM.YY",
    "MM/DD/YY",
)


class FileForm(forms.Form):
    """Which file, into which journal."""

    file = forms.FileField(
        label=gettext_lazy("File"),
        help_text=gettext_lazy(
            "CAMT.053 or .054, MT940, OFX, QIF, CODA, CSV or XLSX; the content tells which."
        ),
        widget=widgets.UnfoldAdminFileFieldWidget(),
    )

    @classmethod
    def build(cls, actor: Actor, journal: int | None, data: Any = None, files: Any = None) -> FileForm:
        form = cls(data, files, initial={"journal": journal})
        form.fields["journal"] = link_field(
            Journal, actor, plain=True, rows=bank_journals(actor), label=_("Journal")
        )
        form.order_fields(["journal", "file"])
        return form


class TableForm(forms.Form):
    """How a table is read. The meaning of its columns is asked above them."""

    skip_rows = forms.IntegerField(
        label=gettext_lazy("Rows above the headers"),
        min_value=0,
        max_value=1000,
        required=False,
        widget=widgets.UnfoldAdminIntegerFieldWidget(),
    )
    has_header = forms.BooleanField(
        label=gettext_lazy("The first row holds headers"),
        required=False,
        widget=widgets.UnfoldBooleanSwitchWidget(),
    )
    delimiter = forms.ChoiceField(
        label=gettext_lazy("Between columns"),
        choices=DELIMITERS,
        required=False,
        widget=widgets.UnfoldAdminSelectWidget(),
    )
    date_format = forms.ChoiceField(
        label=gettext_lazy("Dates are written"),
        choices=[("", gettext_lazy("found out")), *((text, text) for text in DATES)],
        required=False,
        widget=widgets.UnfoldAdminSelectWidget(),
    )
    decimal = forms.ChoiceField(
        label=gettext_lazy("Decimal mark"),
        choices=[
            ("", gettext_lazy("found out")),
            (",", gettext_lazy("comma: 1.234,50")),
            (".", gettext_lazy("point: 1,234.50")),
        ],
        required=False,
        widget=widgets.UnfoldAdminSelectWidget(),
    )
    invert_sign = forms.BooleanField(
        label=gettext_lazy("Amounts have the opposite sign"),
        required=False,
        widget=widgets.UnfoldBooleanSwitchWidget(),
    )
    remember = forms.BooleanField(
        label=gettext_lazy("Read the next files of this journal likewise"),
        required=False,
        widget=widgets.UnfoldBooleanSwitchWidget(),
    )

    @classmethod
    def of_mapping(cls, mapping: dict[str, Any]) -> TableForm:
        known = {key for key, _title in cls.base_fields["date_format"].choices}  # type: ignore[attr-defined]
        form = cls(initial={**{name: mapping.get(name) for name in cls.base_fields}, "remember": True})
        if mapping.get("date_format") and mapping["date_format"] not in known:
            own = mapping["date_format"]
            form.fields["date_format"].choices = [*_formats(form), (own, own)]  # type: ignore[attr-defined]
        return form

    def mapping(self, data: Any) -> dict[str, Any]:
        """What was chosen, for the service. A column may mean one thing; several columns may be the label."""
        columns: dict[str, Any] = {}
        for place in range(MOST_COLUMNS):
            role = data.get(f"col_{place}", "")
            if role not in ROLES:
                continue
            if role == "label" and role in columns:
                held = columns[role]
                columns[role] = [*(held if isinstance(held, list) else [held]), place]
            elif role in columns:
                raise ValidationFailed(
                    fields={"columns": [_("Two columns are “%(role)s”; choose one.") % {"role": ROLES[role]}]}
                )
            else:
                columns[role] = place
        chosen = self.cleaned_data
        return {
            "columns": columns,
            "skip_rows": chosen["skip_rows"] or 0,
            "has_header": chosen["has_header"],
            "delimiter": chosen["delimiter"],
            "date_format": chosen["date_format"],
            "decimal": chosen["decimal"],
            "invert_sign": chosen["invert_sign"],
        }


def _formats(form: forms.Form) -> list[tuple[str, Any]]:
    return list(form.fields["date_format"].choices)  # type: ignore[attr-defined]


# ------------------------------------------------------------------------------------------------------------- the page
def import_page(request: HttpRequest) -> HttpResponseBase:
    """First the journal and the file; then what is in it; then the import."""
    actor = actor_of(request)
    actor.require(BankStatement, "add")
    actor.require(StatementLine, "add")
    if request.method == "POST" and request.POST.get("_step") == "import":
        return _import(request, actor)
    given = request.GET.get("journal", "")
    journal = int(given) if given.isdigit() and len(given) < 19 else None
    if journal is None:
        journal = bank_journals(actor).values_list("pk", flat=True).first()
    posted = request.method == "POST"
    form = FileForm.build(actor, journal, request.POST if posted else None, request.FILES if posted else None)
    if posted and form.is_valid():
        chosen, file = form.cleaned_data["journal"], form.cleaned_data["file"]
        try:
            upload = upload_pending(
                [NewFile(file.name or "", file.read(), file.content_type or "")], actor=actor
            )[0]
            return _look(request, actor, chosen, upload)
        except BusinessError as error:
            form.add_error("file", [error.message])
    context = {
        **site.each_context(request),
        "title": _("Import a bank file"),
        "form": form,
        "media": form.media,
        "back": reverse("admin:accounting_bank"),
    }
    return TemplateResponse(request, "accounting/bank_import.html", context)


def _look(
    request: HttpRequest,
    actor: Actor,
    journal: Journal,
    upload: Attachment,
    error: BusinessError | None = None,
) -> TemplateResponse:
    """The second page: what is in the file. After a refused import it shows what was chosen."""
    data = read_attachment(upload)
    context: dict[str, Any] = {
        **site.each_context(request),
        "title": _("Import a bank file"),
        "journal": journal,
        "upload": upload,
        "back": f"{reverse(SCREEN)}?{urlencode({'journal': journal.pk})}",
        "preview_url": reverse(f"{SCREEN}_preview"),
        "large": len(data) > LARGE,
    }
    if error is not None:
        context["refusal"] = " ".join([error.message, *(t for texts in error.fields.values() for t in texts)])
    if not context["large"]:
        preview = preview_bank_file(data, upload.name, journal, actor=actor)
        context["body"] = _shown(preview, journal)
        if preview.is_table and preview.mapping is not None:
            table = TableForm.of_mapping(preview.mapping)
            context |= {
                "table": table,
                "media": table.media,
                "saved": preview.saved,
                "columns": _columns(preview),
                "rows": [[*row, *[""] * (_width(preview) - len(row))] for row in preview.rows[:MOST_COLUMNS]],
            }
    return TemplateResponse(request, "accounting/bank_import_look.html", context)


def _width(preview: FilePreview) -> int:
    return min(MOST_COLUMNS, max((len(row) for row in preview.rows), default=0))


def _columns(preview: FilePreview) -> list[dict[str, Any]]:
    """A choice of meanings above every column of the table."""
    assert preview.mapping is not None
    meant: dict[int, str] = {}
    skip = preview.mapping["skip_rows"]
    titles = preview.rows[skip] if preview.mapping["has_header"] and skip < len(preview.rows) else []
    for role, column in preview.mapping["columns"].items():
        for place in column if isinstance(column, list) else [column]:
            if isinstance(place, str):
                place = titles.index(place) if place in titles else -1
            meant[place] = role
    return [
        {
            "name": f"col_{place}",
            "title": titles[place] if place < len(titles) else _("Column %(n)d") % {"n": place + 1},
            "role": meant.get(place, ""),
            "roles": [(role, title, role == meant.get(place, "")) for role, title in ROLES.items()],
        }
        for place in range(_width(preview))
    ]


def _shown(preview: FilePreview, journal: Journal) -> str:
    """What the file brings, in words; also the answer to a change of its columns."""
    currency = journal.currency or journal.company.currency
    digits = decimals(currency)
    context = {
        "preview": preview,
        "formats": preview.format.upper(),
        "currency": currency,
        "statements": [
            {
                "it": s,
                "start": date_format(s.start, "SHORT_DATE_FORMAT") if s.start else "",
                "end": date_format(s.end, "SHORT_DATE_FORMAT") if s.end else "",
                "opening": number(s.opening, digits),
                "closing": number(s.closing, digits),
                "total": number(s.total, digits),
                "fresh": s.lines - s.duplicates,
                "lines": [
                    (date_format(day, "SHORT_DATE_FORMAT"), who, label, number(amount, digits))
                    for day, who, label, amount in s.first
                ],
            }
            for s in preview.statements[:40]
        ],
        "more": max(0, len(preview.statements) - 40),
        "others": [
            {"name": other.name, "url": f"{reverse(SCREEN)}?{urlencode({'journal': other.pk})}"}
            for other in preview.others
        ],
        "background": preview.fresh > MANY,
    }
    return render_to_string("accounting/includes/bank_file.html", context)


@require_POST
def import_preview(request: HttpRequest) -> JsonResponse:
    """What the file brings when its columns are read as they are chosen now."""
    actor = actor_of(request)
    try:
        journal, upload, mapping, _remember = _given(request, actor)
        preview = preview_bank_file(read_attachment(upload), upload.name, journal, mapping, actor=actor)
    except BusinessError as error:
        return refusal(error)
    return JsonResponse({"html": _shown(preview, journal)})


def _given(request: HttpRequest, actor: Actor) -> tuple[Journal, Attachment, dict[str, Any] | None, bool]:
    """Journal, file and mapping as the second page sends them."""
    keys = [request.POST.get(name, "") for name in ("journal", "upload")]
    if not all(key.isdigit() and len(key) < 19 for key in keys):
        raise ValidationFailed(_("Choose the journal and the file again."))
    journal = get_visible(Journal, int(keys[0]), actor)
    upload = readable_attachment(int(keys[1]), actor, token=request.POST.get("token", ""))
    if "_table" not in request.POST:
        return journal, upload, None, False
    form = TableForm(request.POST)
    own = request.POST.get("date_format", "")
    if 0 < len(own) <= 30:
        form.fields["date_format"].choices = [*_formats(form), (own, own)]  # type: ignore[attr-defined]
    if not form.is_valid():
        raise ValidationFailed(fields={name: [str(t) for t in texts] for name, texts in form.errors.items()})
    return journal, upload, form.mapping(request.POST), form.cleaned_data["remember"]


def _import(request: HttpRequest, actor: Actor) -> HttpResponseBase:
    journal, upload, mapping, remember = None, None, None, False
    try:
        journal, upload, mapping, remember = _given(request, actor)
        if upload.size > LARGE or request.POST.get("background"):
            run = start_import(upload, journal, mapping, actor=actor, remember=remember)
            messages.info(request, _("The file is read in the background; this page follows it."))
            return HttpResponseRedirect(record_url(run) or reverse("admin:accounting_bank"))
        result = import_attachment(upload, journal, mapping, actor=actor, remember=remember)
    except BusinessError as error:
        if journal is None or upload is None:
            messages.error(request, json.dumps(error.fields) if not error.message else error.message)
            return HttpResponseRedirect(reverse(SCREEN))
        return _look(request, actor, journal, upload, error)
    messages.success(request, result.message)
    for problem in result.problems[:5]:
        messages.warning(request, str(problem))
    return HttpResponseRedirect(f"{reverse('admin:accounting_bank')}?{urlencode({'journal': journal.pk})}")
