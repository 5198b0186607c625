"""Bank accounts of partners, and saying to which of them money may go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.contacts.constants import AccountKind
from apps.contacts.identifiers import check_bic, check_iban, looks_like_iban, sanitize_account
from apps.contacts.models import BankAccount, Partner
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.links import pk_of
from apps.core.records import RecordService, service

Values = dict[str, Any]


@service(BankAccount)
class BankAccountService(RecordService[BankAccount]):
    """Numbers are kept as they were written and compared as letters and digits; IBANs are checked."""

    def prepare_create(self, rows: list[Values], actor: Actor) -> None:
        homes = dict(
            Partner.objects.filter(pk__in={pk_of(row.get("partner")) for row in rows}).values_list(
                "pk", "company_id"
            )
        )
        for number, row in enumerate(rows):
            _clean_number(row, f"{number}." if len(rows) > 1 else "")
            row["company"] = homes.get(pk_of(row.get("partner")))

    def prepare_update(self, records: Sequence[BankAccount], values: Values, actor: Actor) -> None:
        if "number" in values or "bic" in values:
            _clean_number(values, "")
        if "partner" in values:
            partner = (
                Partner.objects.filter(pk=pk_of(values["partner"]))
                .values_list("company_id", flat=True)
                .first()
            )
            values["company"] = partner

    def after_update(
        self,
        records: Sequence[BankAccount],
        before: Mapping[Any, Mapping[str, Any]],
        values: Values,
        actor: Actor,
    ) -> None:
        if "sanitized" in values:  # the trigger took the trust away where the number changed
            trusted = dict(
                BankAccount.objects.filter(pk__in=[r.pk for r in records]).values_list("pk", "trusted")
            )
            for record in records:
                record.trusted = trusted[record.pk]


def _clean_number(row: Values, prefix: str) -> None:
    if "number" in row:
        number = " ".join(str(row["number"] or "").split())
        sanitized = sanitize_account(number)
        if len(sanitized) < 2:
            raise ValidationFailed(
                fields={f"{prefix}number": [_("An account number has letters and digits.")]}
            )
        row["number"], row["kind"] = number, AccountKind.BANK
        if looks_like_iban(sanitized):
            try:
                sanitized = check_iban(number)
            except ValidationFailed as exc:
                raise ValidationFailed(
                    exc.message, code=exc.code, fields={f"{prefix}number": [exc.message]}
                ) from exc
            row["kind"] = AccountKind.IBAN
        row["sanitized"] = sanitized
    if row.get("bic"):
        row["bic"] = check_bic(str(row["bic"]))


@action(
    BankAccount,
    permission="trust",
    name="trust",
    title=gettext_lazy("Money may be sent"),
    icon="verified_user",
    condition=lambda account, actor: not account.trusted,
)
def trust_accounts(accounts: Sequence[BankAccount], *, actor: Actor) -> None:
    """Say that somebody has made sure, with the partner himself, that these accounts are his."""
    now = timezone.now()
    for account in accounts:
        account.trusted, account.trusted_at, account.trusted_by_id = True, now, actor.user_pk
    BankAccount.objects.bulk_update(accounts, ["trusted", "trusted_at", "trusted_by"])


@action(
    BankAccount,
    permission="trust",
    name="distrust",
    title=gettext_lazy("Send no money"),
    icon="gpp_bad",
    condition=lambda account, actor: account.trusted,
)
def distrust_accounts(accounts: Sequence[BankAccount], *, actor: Actor) -> None:
    """Take the trust away."""
    for account in accounts:
        account.trusted, account.trusted_at, account.trusted_by_id = False, None, None
    BankAccount.objects.bulk_update(accounts, ["trusted", "trusted_at", "trusted_by"])
