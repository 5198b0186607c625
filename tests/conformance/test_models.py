"""Every model: words, order, company, indexes, guards."""

from __future__ import annotations

import inspect

import pytest
from django.db import connection, models
from django.db.models.fields.related import ForeignKey

from apps.core.links import company_links
from apps.core.models.base import BaseModel, company_mode, options_of
from apps.core.rules import rules_of
from tests.conformance.registry import exempt, ids, own_models, plain_models

OWN = own_models()
PLAIN = plain_models()


@pytest.mark.parametrize("model", OWN, ids=ids(OWN))
def test_has_a_docstring_of_its_own(model: type[models.Model]) -> None:
    text = inspect.getdoc(model) or ""

    assert text and not text.startswith(f"{model.__name__}("), "say what the rows are and what always holds"


@pytest.mark.parametrize("model", OWN, ids=ids(OWN))
def test_str_is_its_own_and_costs_no_query(model: type[models.Model]) -> None:
    assert model.__str__ is not models.Model.__str__

    source = inspect.getsource(model.__str__)
    assert ".objects" not in source and ".filter(" not in source


@pytest.mark.parametrize("model", PLAIN, ids=ids(PLAIN))
def test_order_is_deterministic(model: type[models.Model]) -> None:
    if exempt(model, "ordering"):
        pytest.skip(exempt(model, "ordering"))
    ordering = [str(name).lstrip("-") for name in model._meta.ordering]
    assert ordering, "lists without an order shift between pages"
    last = ordering[-1]
    unique = {f.name for f in model._meta.concrete_fields if f.unique} | {"pk", "id"}
    for constraint in model._meta.constraints:
        if isinstance(constraint, models.UniqueConstraint) and set(constraint.fields) <= set(ordering):
            unique.add(last)

    assert last.removesuffix("_id") in unique or last in unique, f"{ordering} can tie; end it with pk"


@pytest.mark.parametrize("model", PLAIN, ids=ids(PLAIN))
def test_belongs_to_a_company_or_says_why_not(model: type[models.Model]) -> None:
    mode, reason = company_mode(model), exempt(model, "company")

    assert (mode == "none") == bool(reason), f"company mode '{mode}', written exemption: {reason or 'none'}"


@pytest.mark.parametrize("model", PLAIN, ids=ids(PLAIN))
def test_version_guards_against_lost_updates(model: type[models.Model]) -> None:
    if issubclass(model, BaseModel):
        assert not exempt(model, "version"), "it has a version; the exemption is stale"
        return
    names = {f.name for f in model._meta.fields}
    assert exempt(model, "version") or exempt(model, "company"), (
        f"no BaseModel and no reason: {sorted(names)}"
    )


@pytest.mark.django_db
@pytest.mark.parametrize("model", OWN, ids=ids(OWN))
def test_foreign_keys_are_indexed(model: type[models.Model]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
            WHERE i.indrelid = %s::regclass
            """,
            [model._meta.db_table],
        )
        leading = {row[0] for row in cursor.fetchall()}

    missing = [
        field.name
        for field in model._meta.concrete_fields
        if isinstance(field, ForeignKey) and field.column not in leading
    ]
    missing = [name for name in missing if not exempt(model, f"index:{name}")]
    # Kept narrow on purpose: who made and changed a row is shown, never searched for.
    assert not [name for name in missing if name not in ("created_by", "updated_by", "author")], missing


GUARDED = [model for model in PLAIN if company_mode(model) != "none"]


@pytest.mark.django_db
@pytest.mark.parametrize("model", GUARDED, ids=ids(GUARDED))
def test_the_database_keeps_links_within_the_company(model: type[models.Model]) -> None:
    declared = options_of(model).company_links
    links = [f for f in company_links(model) if declared is None or f.name in declared]
    links = [f for f in links if not exempt(model, f"company:{f.name}")]
    if not links:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT encode(tgargs, 'escape') FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal",
            [model._meta.db_table],
        )
        arguments = " ".join(row[0] for row in cursor.fetchall())

    missing = [field.name for field in links if str(field.column) not in arguments]
    assert not missing, f"AddCompanyGuard for {missing}"


@pytest.mark.parametrize("model", PLAIN, ids=ids(PLAIN))
def test_tracked_searched_and_reserved_fields_exist(model: type[models.Model]) -> None:
    options = options_of(model)
    names = [
        *options.tracked,
        *options.field_roles,
        *options.secret,
        *(getattr(f, "name", f) for f in options.search),
    ]

    for name in names:
        model._meta.get_field(name)


@pytest.mark.parametrize("model", PLAIN, ids=ids(PLAIN))
def test_search_has_its_index(model: type[models.Model], db: None) -> None:
    if not options_of(model).search or exempt(model, "search_index"):
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexname FROM pg_indexes WHERE tablename = %s", [model._meta.db_table])
        indexes = {row[0] for row in cursor.fetchall()}

    assert f"{model._meta.db_table[:50]}_search" in indexes, "AddSearchIndex is missing"


GRANTED = [model for model in PLAIN if rules_of(model)]


@pytest.mark.django_db
@pytest.mark.parametrize("model", GRANTED, ids=ids(GRANTED))
def test_rules_compile_to_one_query(model: type[models.Model]) -> None:
    from apps.core.actor import Actor
    from apps.core.rules import visible
    from apps.core.testkit import count_queries

    roles = frozenset().union(*(known.roles for known in rules_of(model)))
    for kind in ("internal", "portal"):
        actor = Actor(
            kind=kind,
            user_pk=1,
            company_pk=1,
            company_pks=(1,),
            permissions=frozenset({"*:*"}),
            roles=roles,
            partner_pk=1,
            commercial_partner_pk=1,
        )
        for op in ("view", "change"):
            with count_queries() as seen:
                list(visible(model, actor, op)[:1])
            assert len(seen) <= 1, [query["sql"] for query in seen.captured_queries]


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    from django.core.management import call_command

    call_command("makemigrations", check=True, dry_run=True, verbosity=0, skip_checks=True)
