"""Installing a chart of accounts in a company: showing beforehand what it brings, adding what is missing, switching.

A company has one chart; branches use that of their root. Installing writes in a fixed number of statements. Until entries are
posted another chart may be chosen; what the first one brought goes then, what people made stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import ProtectedError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.access.models import Company
from apps.accounting.compute.charts import ChartInfo, ChartTemplate, available_charts, load_chart
from apps.accounting.errors import ChartRefused
from apps.accounting.models import (
    Account,
    AccountGroup,
    AccountingSettings,
    FiscalPosition,
    Incoterm,
    Invoice,
    Journal,
    JournalEntry,
    NumberSeries,
    Payment,
    PaymentTerm,
    PaymentTermLine,
    StatementLine,
    Tax,
    TaxGroup,
)
from apps.accounting.selectors.setup import INHERITED_LINKS, has_posted_entries
from apps.accounting.services.chart_rows import (
    ChartPlan,
    make_plan,
    make_rows,
    scalar_values,
    settings_values,
)
from apps.accounting.services.setup.accounts import trees_of
from apps.accounting.services.setup.settings import settings_for
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.models import Country
from apps.core.records import service_for
from apps.core.rules import require_visible

INCOTERMS = (
    ("EXW", "Ex works"),
    ("FCA", "Free carrier"),
    ("FAS", "Free alongside ship"),
    ("FOB", "Free on board"),
    ("CFR", "Cost and freight"),
    ("CIF", "Cost, insurance and freight"),
    ("CPT", "Carriage paid to"),
    ("CIP", "Carriage and insurance paid to"),
    ("DAP", "Delivered at place"),
    ("DPU", "Delivered at place unloaded"),
    ("DDP", "Delivered duty paid"),
)
_PERCENT, _DELAY = PaymentTermLine.Value.PERCENT, PaymentTermLine.Delay
# name, parts of (percent, days, counted)
TERMS: tuple[tuple[Any, tuple[tuple[int, int, str], ...]], ...] = (
    (gettext_lazy("Immediate payment"), ((100, 0, _DELAY.DAYS_AFTER),)),
    (gettext_lazy("14 days"), ((100, 14, _DELAY.DAYS_AFTER),)),
    (gettext_lazy("30 days"), ((100, 30, _DELAY.DAYS_AFTER),)),
    (gettext_lazy("60 days"), ((100, 60, _DELAY.DAYS_AFTER),)),
    (gettext_lazy("30 days, end of month"), ((100, 30, _DELAY.END_OF_MONTH_ON),)),
    (
        gettext_lazy("30 % now, the rest after 60 days"),
        ((30, 0, _DELAY.DAYS_AFTER), (70, 60, _DELAY.DAYS_AFTER)),
    ),
)


@dataclass(frozen=True, slots=True)
class ChartPreview:
    """What installing or reloading a chart would do. ``refusals``: why it cannot; nothing would be written then."""

    chart: ChartInfo
    reload: bool
    switches_from: str
    accounts: tuple[tuple[str, str, str], ...]
    groups: tuple[str, ...]
    taxes: tuple[str, ...]
    positions: tuple[str, ...]
    journals: tuple[tuple[str, str], ...]
    kept: int
    refusals: tuple[str, ...]

    @property
    def is_possible(self) -> bool:
        return not self.refusals


def charts_for(company: Company) -> list[ChartInfo]:
    """All charts, those of the company's country first, then the generic one."""
    own = company.country.code if company.country else ""
    return sorted(
        available_charts(), key=lambda info: (info.country != own, info.country is not None, info.key)
    )


def preview_chart(company: Company, key: str, *, actor: Actor, language: str = "") -> ChartPreview:
    """What ``install_chart`` would bring; reads only. Raises ``ValidationFailed`` for a chart that nobody has."""
    actor.require(AccountingSettings, "view")
    held = AccountingSettings.objects.filter(company=company).first()
    if held is not None:
        require_visible([held], actor, "view")
    chart = _load(key)
    old = held.chart if held is not None else ""
    switching = bool(old) and old != key
    plan = make_plan(
        company, chart, country=_country(chart, company), language=language, ignore_old=switching
    )
    refusals = [*_refusals(company, chart, switching), *plan.refusals]
    found = (plan.accounts, plan.groups, plan.taxes, plan.positions, plan.journals)
    return ChartPreview(
        chart=chart.info,
        reload=old == key,
        switches_from=old if switching else "",
        accounts=tuple((row.code, plan.name_of(row), row.type) for row in plan.new_accounts),
        groups=tuple(f"{row.start} {plan.name_of(row)}" for row in plan.new_groups),
        taxes=tuple(plan.name_of(row) for row in plan.new_taxes),
        positions=tuple(plan.name_of(row) for row in plan.new_positions),
        journals=tuple((row.code, plan.name_of(row)) for row in plan.new_journals),
        kept=sum(len(rows) for rows in found),
        refusals=tuple(refusals),
    )


def install_chart(company: Company, key: str, *, actor: Actor, language: str = "") -> AccountingSettings:
    """Install a chart in a company (permission ``chart`` on its settings), or add what is missing when it has it already.

    ``language``: the wording of accounts and taxes, where the chart has it. Raises ``ChartRefused`` with the reasons.
    """
    settings = settings_for(company, actor=actor)
    install([settings], actor=actor, chart=key, language=language)
    settings.refresh_from_db()
    return settings


@action(
    AccountingSettings,
    permission="chart",
    name="install_chart",
    title=gettext_lazy("Install a chart of accounts"),
    bulk=False,
    icon="account_tree",
)
def install(
    settings: Sequence[AccountingSettings], *, actor: Actor, chart: str, language: str = ""
) -> dict[str, int]:
    """Install a chart of accounts with its taxes, fiscal positions and journals; choose another one as long as nothing is
    posted. Answers how many rows of each kind were made."""
    made = [_install(row, chart, actor, language) for row in settings]
    return made[0] if made else {}


@action(
    AccountingSettings,
    permission="chart",
    name="reload_chart",
    title=gettext_lazy("Add what is new in the chart"),
    bulk=False,
    icon="sync",
    condition=lambda row, actor: bool(row.chart),
)
def reload(settings: Sequence[AccountingSettings], *, actor: Actor) -> dict[str, int]:
    """Add accounts, taxes, positions and journals that the installed chart has and the company has not. Nothing that is there
    is changed. Answers how many rows of each kind were made."""
    for row in settings:
        if not row.chart:
            raise ChartRefused(_("The company has no chart of accounts yet; install one first."))
    made = [_install(row, row.chart, actor, "") for row in settings]
    return made[0] if made else {}


# ----------------------------------------------------------------------------------------------------------- internal
def _load(key: str) -> ChartTemplate:
    try:
        return load_chart(key)
    except LookupError as exc:
        raise ValidationFailed(fields={"chart": [str(exc)]}) from exc


def _country(chart: ChartTemplate, company: Company) -> Country | None:
    if chart.country:
        return Country.objects.get(code=chart.country)
    return company.country


def _refusals(company: Company, chart: ChartTemplate, switching: bool) -> list[str]:
    texts = []
    if company.parent_id is not None:
        texts.append(_("A branch uses the chart of accounts of the company it belongs to."))
    if not chart.country and company.country_id is None:
        texts.append(_("Give the company a country first: boxes of the tax return belong to one."))
    if switching:
        tree = trees_of([company.pk])[company.pk]
        if has_posted_entries(tree):
            texts.append(_("Entries are posted: the chart of accounts cannot be switched any more."))
        elif any(
            model._base_manager.filter(company__in=tree).exists()
            for model in (JournalEntry, Invoice, Payment, StatementLine)
        ):
            texts.append(_("There are drafts that use the old chart; delete them before switching."))
    return texts


def _install(settings: AccountingSettings, key: str, actor: Actor, language: str) -> dict[str, int]:
    chart = _load(key)
    company = Company.objects.select_related("country", "currency").get(pk=settings.company_id)
    first = settings.chart != key
    switching = bool(settings.chart) and first
    trees_of([company.pk], lock=True)
    refusals = _refusals(company, chart, switching)
    if refusals:
        raise ChartRefused(" ".join(refusals))
    if switching:
        _remove_old(settings)
    plan = make_plan(company, chart, country=_country(chart, company), language=language)
    if plan.refusals:
        raise ChartRefused(" ".join(plan.refusals))
    make_rows(plan, actor=actor)
    _write_settings(settings, plan, first, actor)
    _common_rows(company, actor)
    return {
        "accounts": len(plan.new_accounts),
        "groups": len(plan.new_groups),
        "taxes": len(plan.new_taxes),
        "positions": len(plan.new_positions),
        "journals": len(plan.new_journals),
    }


def _write_settings(settings: AccountingSettings, plan: ChartPlan, first: bool, actor: Actor) -> None:
    """Fill what is empty; a first installation also sets prefixes, years and rounding."""
    changed = []
    for name, value in settings_values(plan).items():
        if value is not None and getattr(settings, f"{name}_id") is None:
            setattr(settings, name, value)
            changed.append(name)
    if first:
        for name, value in scalar_values(plan).items():
            setattr(settings, name, value)
            changed.append(name)
    settings.chart, settings.chart_version = plan.chart.key, plan.chart.version
    settings.save(update_fields=[*changed, "chart", "chart_version"])
    service_for(AccountingSettings).validate([settings], actor)


def _remove_old(settings: AccountingSettings) -> None:
    """Take away what an earlier chart brought; nothing refers to it but itself and what people made on top."""
    company = settings.company_id
    links = [name for name in INHERITED_LINKS if name != "fiscal_country"]
    for name in links:
        setattr(settings, name, None)
    settings.fiscal_country = None
    settings.save(update_fields=[*links, "fiscal_country"])
    branches = trees_of([company])[company] - {company}
    AccountingSettings.objects.filter(company__in=branches).update(**dict.fromkeys(links))
    old = {"company": company, "template_key__gt": ""}
    journals = Journal.objects.filter(**old)
    try:
        FiscalPosition.objects.filter(**old).delete()
        Tax.objects.filter(**old).delete()
        TaxGroup.objects.filter(**old).delete()
        NumberSeries.objects.filter(journal__in=journals).delete()
        journals.delete()
        Account.objects.filter(**old).delete()
    except ProtectedError as exc:
        names = sorted({str(item) for item in exc.protected_objects})[:5]
        raise ChartRefused(
            _("%(names)s still use the old chart; change them before switching.")
            % {"names": ", ".join(names)}
        ) from exc
    AccountGroup.objects.filter(company=company).delete()


def _common_rows(company: Company, actor: Actor) -> None:
    """Trade terms of the world, and payment terms to begin with where the company has none."""
    Incoterm.objects.bulk_create(
        (Incoterm(code=code, name=name) for code, name in INCOTERMS), ignore_conflicts=True
    )
    if PaymentTerm.objects.filter(company=company).exists():
        return
    made = PaymentTerm.objects.bulk_create(
        PaymentTerm(
            company=company,
            name=str(name),
            note=str(name),
            sequence=place,
            created_by_id=actor.user_pk,
            updated_by_id=actor.user_pk,
        )
        for place, (name, _parts) in enumerate(TERMS, 1)
    )
    PaymentTermLine.objects.bulk_create(
        PaymentTermLine(term=term, value=_PERCENT, amount=percent, days=days, delay=delay, sequence=place)
        for term, (_name, parts) in zip(made, TERMS, strict=True)
        for place, (percent, days, delay) in enumerate(parts, 1)
    )
