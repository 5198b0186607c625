"""Making and changing companies and branches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.access.constants import AuditKind, Special
from apps.access.hooks import collect_companies_created, collect_companies_updated
from apps.access.models import Company, User
from apps.access.selectors.companies import with_branches
from apps.access.services import audit
from apps.access.services.users import is_timezone
from apps.core.actor import Actor
from apps.core.errors import Conflict, ValidationFailed
from apps.core.links import pk_of
from apps.core.models import CountryState, Currency
from apps.core.records import RecordService, service

Values = dict[str, Any]
# Fields that a branch takes from its root and may not have of its own.
ROOT_FIELDS = ("currency",)


@service(Company)
class CompanyService(RecordService[Company]):
    """The creator may work in the new company at once; currencies in use are active; branches follow their root."""

    def prepare_create(self, rows: list[Values], actor: Actor) -> None:
        parents = Company.objects.in_bulk([pk_of(row["parent"]) for row in rows if row.get("parent")])
        for row in rows:
            parent = parents.get(pk_of(row.get("parent")))
            if parent is not None:
                for name in ROOT_FIELDS:
                    row[name] = getattr(parent, f"{name}_id")

    def prepare_update(self, records: Sequence[Company], values: Values, actor: Actor) -> None:
        if "parent" in values and any(company.parent_id != pk_of(values["parent"]) for company in records):
            raise ValidationFailed(
                fields={"parent": [_("The place of a company in the tree cannot change after it was made.")]}
            )
        if "currency" in values:
            for company in records:
                if company.parent_id and company.currency_id != pk_of(values["currency"]):
                    raise ValidationFailed(
                        fields={"currency": [_("A branch has the currency of its company.")]}
                    )
        if values.get("active") is False:
            self._before_archive([company for company in records if company.active], actor)

    def _before_archive(self, companies: Sequence[Company], actor: Actor) -> None:
        everything = _branches_of([company.pk for company in companies])
        users = User.objects.filter(active=True, special=Special.NONE, company_id__in=everything)
        count = users.count()
        if count:
            raise Conflict(
                ngettext(
                    "%(count)d active user has this company or one of its branches as the default. Move the user first.",
                    "%(count)d active users have this company or one of its branches as the default. Move them first.",
                    count,
                )
                % {"count": count},
                code="company_in_use",
            )

    def validate(self, records: Sequence[Company], actor: Actor) -> None:
        errors: dict[str, list[str]] = {}
        states = {company.state_id for company in records if company.state_id}
        countries = dict(CountryState.objects.filter(pk__in=states).values_list("pk", "country_id"))
        for company in records:
            if not is_timezone(company.timezone):
                errors["timezone"] = [_("'%(name)s' is not a time zone.") % {"name": company.timezone}]
            if company.state_id and countries.get(company.state_id) != company.country_id:
                errors["state"] = [_("This state does not lie in the country.")]
        if errors:
            raise ValidationFailed(fields=errors)

    def after_create(self, records: Sequence[Company], rows: Sequence[Values], actor: Actor) -> None:
        self._activate_currencies(records)
        if actor.user_pk is not None and User.objects.filter(pk=actor.user_pk, special=Special.NONE).exists():
            link = User.companies.through
            link.objects.bulk_create(
                [link(user_id=actor.user_pk, company_id=company.pk) for company in records],
                ignore_conflicts=True,
            )
        audit.record_many(
            AuditKind.COMPANIES, [{"target": c, "reason": "made"} for c in records], actor=actor
        )
        collect_companies_created.run(companies=list(records), actor=actor)

    def after_update(
        self,
        records: Sequence[Company],
        before: Mapping[Any, Mapping[str, Any]],
        values: Values,
        actor: Actor,
    ) -> None:
        if "currency" in values:
            self._activate_currencies(records)
            branches = _branches_of([company.pk for company in records])
            Company.objects.filter(pk__in=branches).update(currency_id=pk_of(values["currency"]))
        if values.get("active") is False:
            Company.objects.filter(pk__in=_branches_of([company.pk for company in records])).update(
                active=False
            )
        audit.record_many(
            AuditKind.COMPANIES,
            [
                {"target": c, "before": dict(before[c.pk]), "after": {n: pk_of(v) for n, v in values.items()}}
                for c in records
            ],
            actor=actor,
        )
        collect_companies_updated.run(companies=list(records), before=before, values=values, actor=actor)

    def _activate_currencies(self, records: Sequence[Company]) -> None:
        pks = {company.currency_id for company in records}
        Currency.objects.filter(pk__in=pks, active=False).update(active=True)


def _branches_of(company_pks: Sequence[int]) -> list[int]:
    everything = Company.objects.values_list("pk", flat=True)
    return with_branches(company_pks, allowed=list(everything))
