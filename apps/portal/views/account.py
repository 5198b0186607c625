"""One's own address."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from apps.access.services import update_profile
from apps.contacts.models import Partner
from apps.core.actor import Actor, system_actor
from apps.core.errors import BusinessError, NotVisible, ValidationFailed
from apps.core.models import Country, CountryState
from apps.core.records import service_for
from apps.core.rules import get_visible
from apps.core.unit_of_work import unit_of_work
from apps.portal.base import Crumb, actor_of, local_path, portal_page, see_other
from apps.portal.hooks import collect_frozen_account_fields

# What the page calls a field of the contact, where that differs.
PAGE_NAMES = {"zip": "zipcode", "country": "country_id", "state": "state_id", "tax_id": "vat"}
AUTOFILL = {
    "name": "name",
    "email": "email",
    "phone": "tel",
    "company_name": "organization",
    "street": "address-line1",
    "street2": "address-line2",
    "zipcode": "postal-code",
    "city": "address-level2",
}
OF_THE_ORGANISATION = ("tax_id", "company_name")


class AccountForm(forms.Form):
    """What a customer keeps up to date himself. Fields that are ``frozen`` show, but do not change."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    email = forms.EmailField(label=gettext_lazy("E-mail"))
    phone = forms.CharField(label=gettext_lazy("Phone"), max_length=40)
    company_name = forms.CharField(label=gettext_lazy("Organisation"), max_length=200, required=False)
    vat = forms.CharField(label=gettext_lazy("Tax id"), max_length=40, required=False)
    street = forms.CharField(label=gettext_lazy("Street"), max_length=200)
    street2 = forms.CharField(label=gettext_lazy("Street, second line"), max_length=200, required=False)
    zipcode = forms.CharField(label=gettext_lazy("Postal code"), max_length=24, required=False)
    city = forms.CharField(label=gettext_lazy("City"), max_length=120)
    country_id: Any = forms.ModelChoiceField(label=gettext_lazy("Country"), queryset=None, empty_label="–")
    state_id: Any = forms.ModelChoiceField(
        label=gettext_lazy("State"), queryset=None, required=False, empty_label="–"
    )

    def __init__(self, *args: Any, partner: Partner, frozen: frozenset[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        given = str(self.data.get("country_id") or partner.country_id or "")
        countries: Any = self.fields["country_id"]
        states: Any = self.fields["state_id"]
        countries.queryset = Country.objects.order_by("name")
        states.queryset = states_of(given)
        countries.widget.attrs |= {"data-states": "/my/account/states", "data-target": "id_state_id"}
        for name, hint in AUTOFILL.items():
            self.fields[name].widget.attrs["autocomplete"] = hint
        for name in frozen:
            field = self.fields.get(PAGE_NAMES.get(name, name))
            if field is not None:
                # Django then takes the value that the page was made with, whatever is sent.
                field.disabled = True
                field.required = False

    def values(self) -> dict[str, Any]:
        """Fields of the contact; frozen ones are left out."""
        inner = {page: name for name, page in PAGE_NAMES.items()}
        return {
            inner.get(name, name): self.cleaned_data[name]
            for name, field in self.fields.items()
            if not field.disabled
        }


def states_of(country: str) -> Any:
    known = country.isascii() and country.isdigit() and len(country) < 19
    rows = CountryState.objects.filter(country_id=int(country)) if known else CountryState.objects.none()
    return rows.order_by("name")


def frozen_fields(partner: Partner, actor: Actor) -> frozenset[str]:
    """Fields that are not the customer's to change: those of his organisation, and what other modules hold on to."""
    frozen = {
        name for names in collect_frozen_account_fields.run(partner=partner, actor=actor) for name in names
    }
    if partner.parent_id is not None:
        frozen |= set(OF_THE_ORGANISATION)
    return frozenset(frozen)


def _partner(actor: Actor) -> Partner:
    if actor.partner_pk is None:
        raise NotVisible()
    return get_visible(Partner, actor.partner_pk, actor)


def _initial(partner: Partner) -> dict[str, Any]:
    names = ("name", "email", "phone", "company_name", "tax_id", "street", "street2", "zip", "city")
    values = {PAGE_NAMES.get(name, name): getattr(partner, name) for name in names}
    return {**values, "country_id": partner.country_id, "state_id": partner.state_id}


@require_http_methods(["GET", "HEAD", "POST"])
@portal_page()
def account(request: HttpRequest) -> HttpResponseBase:
    """Show and change one's own contact. Unknown fields are refused by name; the login never changes here."""
    actor = actor_of(request)
    partner = _partner(actor)
    frozen = frozen_fields(partner, actor)
    form = AccountForm(request.POST or None, initial=_initial(partner), partner=partner, frozen=frozen)
    errors: list[str] = []
    if request.method == "POST":
        errors = _refused(request, form)
        if not errors and form.is_valid():
            try:
                _save(request, partner, form.values(), actor)
            except BusinessError as exc:
                errors = _show(exc, form)
            else:
                return see_other(local_path(request.POST.get("redirect")))
    return render(
        request,
        "portal/account.html",
        {
            "form": form,
            "errors": errors,
            "partner": partner,
            "redirect": local_path(request.GET.get("redirect") or request.POST.get("redirect"), ""),
            "crumbs": (Crumb(_("Your details")),),
        },
        status=400 if errors or form.errors else 200,
    )


def _refused(request: HttpRequest, form: AccountForm) -> list[str]:
    """What was sent that has no place here: unknown fields, and another value for a frozen one."""
    unknown = sorted(set(request.POST) - {*form.fields, "csrfmiddlewaretoken", "redirect", "version"})
    if unknown:
        return [_("Unknown field: %(names)s") % {"names": ", ".join(unknown)[:200]}]
    found = []
    for name, field in form.fields.items():
        sent = request.POST.get(name)
        if field.disabled and sent is not None and sent != str(form.initial.get(name) or ""):
            found.append(_("%(field)s cannot be changed here.") % {"field": field.label})
    return found


def _show(error: BusinessError, form: AccountForm) -> list[str]:
    """Refusals of the services at the fields they are about, the rest above the form."""
    above = [] if error.fields else [error.message]
    for name, texts in error.fields.items():
        shown = PAGE_NAMES.get(name, name)
        if shown in form.fields:
            form.add_error(shown, list(texts))
        else:
            above += texts
    return above


def _save(request: HttpRequest, partner: Partner, values: dict[str, Any], actor: Actor) -> None:
    """The person may change these fields of himself, and nothing else; so the system writes them in his name. The
    account shows the new name; its login and the address that password mails go to stay."""
    version = request.POST.get("version", "")
    if version and not (version.isascii() and version.isdigit() and len(version) < 10):
        raise ValidationFailed(_("The form is damaged. Open it again."))
    writer = system_actor(
        company_pk=actor.company_pk,
        company_pks=actor.company_pks,
        user_pk=actor.user_pk,
        name=actor.name,
        channel="portal",
    )
    with unit_of_work(writer):
        service_for(Partner).update(
            [partner], values, actor=writer, expected_version=int(version) if version else None
        )
        user: Any = request.user
        name = values.get("name")
        if name and name != user.name and actor.is_portal:
            update_profile(user, {"name": name[:150]}, actor=actor)


@require_safe
@portal_page()
def states(request: HttpRequest) -> HttpResponseBase:
    """``?country=7``: states of a country, for the page's select."""
    rows = states_of(request.GET.get("country", "")).values_list("pk", "name")
    return JsonResponse({"states": [{"pk": pk, "name": name} for pk, name in rows]})
