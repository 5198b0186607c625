"""Lists: constant queries, search, filters, hidden fields that no list can be made to betray."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.access.models import Company, User
from apps.backoffice import changelist
from apps.core.models import Country, CountryState, Currency, JobRun, OutboxEvent, Sequence
from apps.core.testkit import count_queries
from tests.backoffice.conftest import SPARE_CODES

pytestmark = pytest.mark.django_db

ARCHIVABLE = ("currency", "customfield", "sequence")
LISTS = ("country", "countrystate", "currency", "customfield", "jobrun", "outboxevent", "sequence")


def grow(number: int, company: Company, boss: User) -> None:
    """``number`` more rows for every list of the kernel."""
    start = Sequence.objects.filter(code__startswith="tests.").count()
    for index in range(start, start + number):
        letter = chr(65 + index)
        currency = Currency.objects.create(code=f"QZ{letter}", name=f"Money {index}", active=True)
        country = Country.objects.create(code=SPARE_CODES[index], name=f"Land {index}", currency=currency)
        CountryState.objects.create(country=country, code="N", name=f"North {index}")
        Sequence.objects.create(code=f"tests.s{index}", title=f"Sequence {index}", company=company)
        JobRun.objects.create(
            kind="background", task="tests.none", title=f"Run {index}", user=boss, state="done"
        )
        OutboxEvent.objects.create(name="tests.Event", payload={}, actor={})


@pytest.mark.parametrize("name", LISTS)
def test_a_list_takes_as_many_queries_for_twelve_rows_as_for_two(
    name: str, admin: Client, boss: User, company: Company
) -> None:
    url = reverse(f"admin:core_{name}_changelist") + ("?archived=all" if name in ARCHIVABLE else "")
    grow(2, company, boss)
    admin.get(url)
    with count_queries() as few:
        assert admin.get(url).status_code == 200
    grow(10, company, boss)

    with count_queries() as many:
        response = admin.get(url)

    assert response.status_code == 200
    assert len(many) == len(few), [q["sql"][:150] for q in many.captured_queries]
    assert len(many) <= 9


def test_counting_stops_at_a_bound(
    admin: Client, boss: User, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changelist, "COUNT_LIMIT", 5)
    grow(8, company, boss)

    response = admin.get(reverse("admin:core_sequence_changelist"))

    assert response.context["cl"].result_count == 5
    assert response.context["cl"].count_is_partial
    assert "5+" in response.content.decode()


def test_a_page_beyond_the_last_shows_the_last(admin: Client, boss: User, company: Company) -> None:
    grow(2, company, boss)

    response = admin.get(reverse("admin:core_sequence_changelist") + "?p=99&q=sequence")

    assert response.status_code == 200
    assert len(response.context["cl"].result_list) == 2


def test_search_narrows_the_list(admin: Client, boss: User, company: Company) -> None:
    grow(3, company, boss)

    response = admin.get(reverse("admin:core_sequence_changelist") + "?q=sequence+1")

    assert [row.title for row in response.context["cl"].result_list] == ["Sequence 1"]


def test_archived_records_are_left_out_until_asked_for(admin: Client, boss: User, company: Company) -> None:
    grow(2, company, boss)
    Sequence.objects.filter(title="Sequence 0").update(active=False)
    url = reverse("admin:core_sequence_changelist")

    titles = {
        query: [row.title for row in admin.get(url + query).context["cl"].result_list]
        for query in ("?q=sequence", "?q=sequence&archived=yes", "?q=sequence&archived=all")
    }

    assert titles == {
        "?q=sequence": ["Sequence 1"],
        "?q=sequence&archived=yes": ["Sequence 0"],
        "?q=sequence&archived=all": ["Sequence 0", "Sequence 1"],
    }


def test_filter_by_a_link(admin: Client, boss: User, company: Company) -> None:
    grow(3, company, boss)
    country = Country.objects.get(name="Land 1")

    response = admin.get(reverse("admin:core_countrystate_changelist") + f"?country__id__exact={country.pk}")

    assert [row.name for row in response.context["cl"].result_list] == ["North 1"]
    assert "Land 1" in response.content.decode()


# -------------------------------------------------------------------------------------------------- hidden fields
@pytest.fixture
def secret_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    """``prefix`` of sequences is reserved for a role that nobody here has."""
    options = replace(Sequence.erp, field_roles={"prefix": ("tests.initiated",)})
    monkeypatch.setattr(Sequence, "erp", options)


@pytest.fixture
def reader(
    secret_prefix: None, make_user: Callable[..., User], sign_in: Callable[[User], Client], company: Company
) -> Client:
    Sequence.objects.create(code="tests.a", title="Alpha", prefix="KEY-7", company=company)
    Sequence.objects.create(code="tests.b", title="Beta", prefix="LOW-1", company=company)
    return sign_in(make_user({"core.sequence": "view change export"}))


def test_a_hidden_field_is_in_neither_list_nor_form(reader: Client) -> None:
    listed = reader.get(reverse("admin:core_sequence_changelist"))
    record = Sequence.objects.get(code="tests.a")
    form = reader.get(reverse("admin:core_sequence_change", args=[record.pk]))

    assert "KEY-7" not in listed.content.decode()
    assert "prefix" not in listed.context["cl"].list_display
    assert "KEY-7" not in form.content.decode()
    assert "prefix" not in form.context["adminform"].form.fields


@pytest.mark.parametrize(
    "query",
    ["prefix=KEY-7", "prefix__startswith=K", "prefix__isnull=0", "ranges__sequence__prefix=KEY-7", "q=KEY-7"],
)
def test_no_query_betrays_a_hidden_field(reader: Client, query: str) -> None:
    response = reader.get(f"{reverse('admin:core_sequence_changelist')}?{query}")

    if response.status_code == 200:
        assert [row.title for row in response.context["cl"].result_list] == []
    else:
        assert response.status_code in (302, 400)


def test_sorting_by_a_hidden_column_is_not_possible(reader: Client) -> None:
    columns = reader.get(reverse("admin:core_sequence_changelist")).context["cl"].list_display
    beyond = len(columns) + 1

    orders = [
        [
            row.title
            for row in reader.get(f"{reverse('admin:core_sequence_changelist')}?o={o}")
            .context["cl"]
            .result_list
        ]
        for o in (beyond, -beyond)
    ]

    assert orders[0] == orders[1]


def test_a_hidden_field_cannot_be_written(reader: Client) -> None:
    record = Sequence.objects.get(code="tests.a")
    url = reverse("admin:core_sequence_change", args=[record.pk])

    response = reader.post(
        url,
        {"title": "Alpha 2", "code": "tests.a", "prefix": "MINE", "padding": "5", "step": "1", "implementation": "fast",
         "active": "on", "company": str(record.company_id), "erp_version": "1",
         "ranges-TOTAL_FORMS": "0", "ranges-INITIAL_FORMS": "0"},
    )  # fmt: skip

    record.refresh_from_db()
    assert response.status_code == 302
    assert (record.title, record.prefix) == ("Alpha 2", "KEY-7")


def test_a_hidden_field_cannot_be_exported(reader: Client) -> None:
    response = reader.post(
        reverse("admin:core_sequence_export"), {"field": ["title", "prefix"], "format": "csv"}
    )

    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    assert "Alpha" in text
    assert "KEY-7" not in text


def test_lookups_through_kinds_one_may_not_view_are_refused(
    make_user: Callable[..., User], sign_in: Callable[[User], Client], boss: User
) -> None:
    JobRun.objects.create(kind="background", task="tests.none", title="Run", user=boss)
    browser = sign_in(make_user({"core.jobrun": "view", "core.country": "view"}))
    response: Any = browser.get(reverse("admin:core_country_changelist") + "?currency__code__startswith=E")

    assert response.status_code == 400
