"""One's own address and the end of one's own login."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.contacts.models import Partner
from apps.core.actor import Actor, system_actor
from apps.core.errors import BusinessError, NotVisible, StaleVersion
from apps.core.models import Country, CountryState
from apps.core.records import service_for
from apps.portal.base import Crumb, actor_of, local_path, portal_page, see_other

TEXT_FIELDS = {"name": 200, "phone": 40, "email": 254, "street": 200, "street2": 200, "city": 120, "zip": 24}


class AccountForm(forms.Form):
    """What a customer keeps up to date himself."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    email = forms.EmailField(label=gettext_lazy("E-mail"))
    phone = forms.CharField(label=gettext_lazy("Phone"), max_length=40)
    street = forms.CharField(label=gettext_lazy("Street"), max_length=200)
    street2 = forms.CharField(label=gettext_lazy("Street, second line"), max_length=200, required=False)
    zipcode = forms.CharField(label=gettext_lazy("Postal code"), max_length=24, required=False)
    city = forms.CharField(label=gettext_lazy("City"), max_length=120)
    country_id = forms.ModelChoiceField(
        label=gettext_lazy("Country"), queryset=Country.objects.order_by("name"), empty_label="–"
    )
    state_id = forms.ModelChoiceField(
        label=gettext_lazy("State"), queryset=CountryState.objects.none(), required=False, empty_label="–"
    )
    vat = forms.CharField(label=gettext_lazy("Tax id"), max_length=40, required=False)

    def __init__(self, *args: Any, partner: Partner, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        country = self.data.get("country_id") or partner.country_id
        states: Any = self.fields["state_id"]
        if str(country or "").isdigit():
            states.queryset = CountryState.objects.filter(country_id=int(country)).order_by("name")
        if partner.parent_id is not None:
            # The tax id is that of the organisation: only its own contact changes it.
            del self.fields["vat"]

    def values(self) -> dict[str, Any]:
        data = self.cleaned_data
        found = {
            "name": data["name"],
            "email": data["email"],
            "phone": data["phone"],
            "street": data["street"],
            "street2": data["street2"],
            "zip": data["zipcode"],
            "city": data["city"],
            "country": data["country_id"],
            "state": data["state_id"],
        }
        if "vat" in self.fields:
            found["tax_id"] = data["vat"]
        return found


def _partner(actor: Actor) -> Partner:
    if actor.partner_pk is None:
        raise NotVisible()
    return Partner.objects.get(pk=actor.partner_pk)


def _initial(partner: Partner) -> dict[str, Any]:
    return {
        "name": partner.name,
        "email": partner.email,
        "phone": partner.phone,
        "street": partner.street,
        "street2": partner.street2,
        "zipcode": partner.zip,
        "city": partner.city,
        "country_id": partner.country_id,
        "state_id": partner.state_id,
        "vat": partner.tax_id,
    }


@portal_page()
def account(request: HttpRequest) -> HttpResponseBase:
    """Show and change one's own contact. Unknown fields are refused by name; the login never changes here."""
    actor = actor_of(request)
    partner = _partner(actor)
    error = ""
    form = AccountForm(request.POST or None, initial=_initial(partner), partner=partner)
    if request.method == "POST":
        known = {*form.fields, "csrfmiddlewaretoken", "redirect", "version", "vat", "company_name"}
        unknown = sorted(set(request.POST) - known)
        if unknown:
            error = _("Unknown field: %(names)s") % {"names": ", ".join(unknown)}
        elif form.is_valid():
            try:
                _save(partner, form.values(), actor, request.POST.get("version", ""))
            except BusinessError as exc:
                error = exc.message
                for name, texts in exc.fields.items():
                    shown = {"zip": "zipcode", "country": "country_id", "state": "state_id", "tax_id": "vat"}.get(
                        name, name
                    )
                    form.add_error(shown if shown in form.fields else None, list(texts))
            else:
                return see_other(local_path(request.POST.get("redirect"), request))
    return render(
        request,
        "portal/account.html",
        {
            "form": form,
            "error": error,
            "partner": partner,
            "redirect": request.GET.get("redirect") or request.POST.get("redirect", ""),
            "crumbs": (Crumb(_("Your details")),),
        },
        status=400 if error or form.errors else 200,
    )


def _save(partner: Partner, values: dict[str, Any], actor: Actor, version: str) -> None:
    """The person may change these fields of himself, and nothing else; so the system writes them in his name."""
    if version.isdigit() and int(version) != partner.version:
        raise StaleVersion()
    writer = system_actor(
        company_pk=actor.company_pk, user_pk=actor.user_pk, name=actor.name, channel="portal",
        company_pks=actor.company_pks,
    )
    service_for(Partner).update([partner], values, actor=writer)
