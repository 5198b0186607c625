"""Saving through the model's service: refusals in the form, stale versions, inlines, links, read-only users."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.access.models import Company, User
from apps.core.models import Country, CountryState, Currency, Sequence

pytestmark = pytest.mark.django_db


def form_data(browser: Client, url: str, prefix: str = "") -> dict[str, str]:
    """What a browser would post back from the form at ``url`` without touching anything."""
    form = browser.get(url).context["adminform"].form
    data = {}
    for bound in form:
        value = bound.value()
        if value is True:
            data[bound.html_name] = "on"
        elif value not in (None, False, ""):
            data[bound.html_name] = str(getattr(value, "pk", value))
    formsets = [inline.formset for inline in browser.get(url).context["inline_admin_formsets"]]
    for formset in formsets:
        for bound in formset.management_form:
            data[bound.html_name] = str(bound.value())
        for child in formset.forms:
            for bound in child:
                value = bound.value()
                if value not in (None, False, ""):
                    data[bound.html_name] = str(getattr(value, "pk", value))
    return data


def change_url(record: Any) -> str:
    return reverse(f"admin:{record._meta.app_label}_{record._meta.model_name}_change", args=[record.pk])


def errors_of(response: Any) -> str:
    text = re.sub(r"<[^>]+>", " ", response.content.decode())
    return re.sub(r"\s+", " ", text)


@pytest.fixture
def sequence(company: Company) -> Sequence:
    return Sequence.objects.create(code="tests.number", title="Test numbers", prefix="T", company=company)


def test_a_new_record_goes_through_its_service(admin: Client, boss: User, company: Company) -> None:
    response = admin.post(
        reverse("admin:core_sequence_add"),
        {
            "title": "Delivery notes",
            "code": "tests.delivery",
            "padding": "4",
            "step": "1",
            "implementation": "fast",
            "active": "on",
            "ranges-TOTAL_FORMS": "0",
            "ranges-INITIAL_FORMS": "0",
        },
    )

    made = Sequence.objects.get(code="tests.delivery")
    assert response.status_code == 302
    assert (made.title, made.padding, made.version) == ("Delivery notes", 4, 1)
    assert made.created_by_id == boss.pk


def test_only_changed_fields_are_written_and_the_version_grows(admin: Client, sequence: Sequence) -> None:
    url = change_url(sequence)
    data = form_data(admin, url)
    Sequence.objects.filter(pk=sequence.pk).update(suffix="/x")

    response = admin.post(url, {**data, "title": "Renamed"})

    sequence.refresh_from_db()
    assert response.status_code == 302
    assert (sequence.title, sequence.version) == ("Renamed", 2)
    assert sequence.suffix == ""  # the form showed it empty, and posting it back empty is a wish


def test_saving_without_a_change_writes_nothing(admin: Client, sequence: Sequence) -> None:
    url = change_url(sequence)

    response = admin.post(url, form_data(admin, url))

    sequence.refresh_from_db()
    assert response.status_code == 302
    assert sequence.version == 1


def test_what_the_service_refuses_is_shown_at_its_field_with_the_input_kept(
    admin: Client, sequence: Sequence
) -> None:
    url = change_url(sequence)

    response = admin.post(url, {**form_data(admin, url), "title": "Kept words", "padding": "21"})

    assert response.status_code == 200
    assert "A number can be padded to at most 20 digits." in errors_of(response)
    assert 'value="Kept words"' in response.content.decode()
    sequence.refresh_from_db()
    assert (sequence.title, sequence.padding, sequence.version) == ("Test numbers", 5, 1)


def test_a_constraint_of_the_database_answers_in_its_own_words(admin: Client, sequence: Sequence) -> None:
    other = Sequence.objects.create(code="tests.other", title="Other", company=sequence.company)
    url = change_url(other)

    response = admin.post(url, {**form_data(admin, url), "code": "tests.number"})

    assert response.status_code == 200
    assert "already has an active sequence with that code" in errors_of(response)
    other.refresh_from_db()
    assert other.code == "tests.other"


def test_a_stale_version_is_refused_and_told(
    admin: Client, sequence: Sequence, make_user: Callable[..., User], sign_in: Callable[[User], Client]
) -> None:
    colleague = sign_in(make_user(roles=("core.technical",)))
    url = change_url(sequence)
    mine, theirs = form_data(admin, url), form_data(colleague, url)
    colleague.post(url, {**theirs, "title": "Theirs"})

    response = admin.post(url, {**mine, "title": "Mine", "prefix": "M"})

    sequence.refresh_from_db()
    text = errors_of(response)
    assert response.status_code == 200
    assert (sequence.title, sequence.prefix, sequence.version) == ("Theirs", "T", 2)
    assert "changed this record while you were editing it" in text
    assert "Title: Theirs" in text
    assert 'value="Mine"' in response.content.decode()


def test_after_the_warning_a_second_save_puts_ones_own_values_in_place(
    admin: Client, sequence: Sequence, make_user: Callable[..., User], sign_in: Callable[[User], Client]
) -> None:
    colleague = sign_in(make_user(roles=("core.technical",)))
    url = change_url(sequence)
    mine = form_data(admin, url)
    colleague.post(url, {**form_data(colleague, url), "title": "Theirs"})
    warned = admin.post(url, {**mine, "title": "Mine"})

    version = warned.context["adminform"].form["erp_version"].value()
    response = admin.post(url, {**mine, "title": "Mine", "erp_version": version})

    sequence.refresh_from_db()
    assert response.status_code == 302
    assert (sequence.title, sequence.version) == ("Mine", 3)


@pytest.fixture
def country(db: None) -> Country:
    made = Country.objects.create(code="QX", name="Testland")
    CountryState.objects.create(country=made, code="N", name="North")
    CountryState.objects.create(country=made, code="S", name="South")
    return made


def test_inline_rows_are_made_changed_and_deleted_with_the_record(admin: Client, country: Country) -> None:
    url = change_url(country)
    data = form_data(admin, url)
    data |= {
        "name": "Testonia",
        "states-0-name": "Far North",
        "states-1-DELETE": "on",
        "states-TOTAL_FORMS": "3",
        "states-2-country": str(country.pk),
        "states-2-code": "E",
        "states-2-name": "East",
    }

    response = admin.post(url, data)

    country.refresh_from_db()
    assert response.status_code == 302, errors_of(response)
    assert country.name == "Testonia"
    assert list(country.states.order_by("code").values_list("code", "name")) == [
        ("E", "East"),
        ("N", "Far North"),
    ]


def test_a_refused_inline_row_leaves_everything_as_it_was(admin: Client, country: Country) -> None:
    url = change_url(country)
    data = form_data(admin, url) | {"name": "Testonia", "states-0-code": "S"}

    response = admin.post(url, data)

    country.refresh_from_db()
    assert response.status_code == 200
    assert "This country already has a state with that code." in errors_of(response)
    assert country.name == "Testland"
    assert set(country.states.values_list("code", flat=True)) == {"N", "S"}


def test_a_link_to_what_one_cannot_see_is_refused(
    company: Company,
    other_company: Company,
    make_user: Callable[..., User],
    sign_in: Callable[[User], Client],
) -> None:
    browser = sign_in(make_user({"core.sequence": "view add change"}))

    response = browser.post(
        reverse("admin:core_sequence_add"),
        {"title": "X", "code": "tests.x", "padding": "1", "step": "1", "implementation": "fast",
         "company": str(other_company.pk), "ranges-TOTAL_FORMS": "0", "ranges-INITIAL_FORMS": "0"},
    )  # fmt: skip

    assert response.status_code == 200
    assert "Select a valid choice" in errors_of(response)
    assert not Sequence.objects.filter(code="tests.x").exists()


def test_archived_records_are_not_offered_but_a_stored_one_stays(admin: Client, country: Country) -> None:
    gone = Currency.objects.create(code="QZQ", name="Gone money", active=False)
    Country.objects.filter(pk=country.pk).update(currency=gone)
    url = change_url(country)

    page = admin.get(url)
    response = admin.post(url, form_data(admin, url) | {"name": "Testonia"})

    offered = page.context["adminform"].form.fields["currency"].queryset
    country.refresh_from_db()
    assert gone not in offered
    assert f'value="{gone.pk}" selected' in re.sub(r"\s+", " ", page.content.decode())
    assert response.status_code == 302, errors_of(response)
    assert country.currency_id == gone.pk


def test_who_may_only_view_reads_and_changes_nothing(
    sequence: Sequence, make_user: Callable[..., User], sign_in: Callable[[User], Client]
) -> None:
    browser = sign_in(make_user({"core.sequence": "view"}))
    url = change_url(sequence)

    page = browser.get(url)
    posted = browser.post(url, {"title": "Hacked", "erp_version": "1"})

    assert page.status_code == 200
    assert 'name="title"' not in page.content.decode()
    assert 'name="_save"' not in page.content.decode()
    assert posted.status_code == 403
    sequence.refresh_from_db()
    assert (sequence.title, sequence.version) == ("Test numbers", 1)


def test_a_record_of_another_company_is_not_found_and_the_switch_is_offered(
    boss: User, other_company: Company, sign_in: Callable[[User], Client]
) -> None:
    theirs = Sequence.objects.create(code="tests.theirs", title="Theirs", company=other_company)
    stranger = sign_in(boss).get(change_url(theirs))
    boss.companies.add(other_company)

    offered = sign_in(boss).get(change_url(theirs))

    assert stranger.status_code == 404
    assert "Theirs" not in stranger.content.decode()
    assert "Harbour Works" not in stranger.content.decode()
    assert offered.status_code == 404
    assert "Switch to Harbour Works" in offered.content.decode()


def test_deleting_asks_first_and_goes_through_the_service(admin: Client, country: Country) -> None:
    url = reverse("admin:core_country_delete", args=[country.pk])
    CountryState.objects.filter(country=country).delete()

    asked = admin.get(url)
    assert asked.status_code == 200
    assert Country.objects.filter(pk=country.pk).exists()
    deleted = admin.post(url)

    assert deleted.status_code == 302
    assert not Country.objects.filter(pk=country.pk).exists()


def test_a_refused_deletion_says_why_and_deletes_nothing(admin: Client, country: Country) -> None:
    response = admin.post(reverse("admin:core_country_delete", args=[country.pk]))

    assert response.status_code == 200
    assert "It is still used by states and cannot be deleted." in errors_of(response)
    assert Country.objects.filter(pk=country.pk).exists()


def test_archiving_from_the_form(admin: Client, sequence: Sequence) -> None:
    url = reverse("admin:core_sequence_archive", args=[sequence.pk])

    assert admin.get(url).status_code == 302
    sequence.refresh_from_db()
    assert sequence.active is True
    admin.post(url)

    sequence.refresh_from_db()
    assert (sequence.active, sequence.version) == (False, 2)
    assert "Archived" in errors_of(admin.get(change_url(sequence)))
