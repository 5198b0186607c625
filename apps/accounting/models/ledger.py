"""The ledger: entries and their items, matchings between items, and the balances kept beside them.

What PostgreSQL guarantees, whoever writes (``migrations/0002_ledger.py``):

* a posted entry balances in company currency, its items are of its company, journal and date, and no amount is finer
  than its currency;
* posted entries and their items are never changed or deleted, except for what matching writes on items, and that is
  written by triggers from ``PartialMatch`` rows alone;
* numbers of a series follow each other without a hole; the hash chain of a journal is unbroken;
* nothing is posted on or before a lock date that binds it;
* the period balances receive exactly what the items say, in the same transaction.
"""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from apps.accounting.constants import EntryOrigin, EntryState, ItemKind
from apps.accounting.models.setup import Account, Journal, NumberSeries
from apps.core.declarations import ModelOptions, SearchField
from apps.core.models import BaseModel, CompanyOwnedMixin, Currency, CustomFieldsMixin
from apps.core.money import MoneyField, QuantityField

OF_AN_ENTRY = "part of an entry, which has the version"


class JournalEntryQuerySet(models.QuerySet["JournalEntry"]):
    def posted(self) -> JournalEntryQuerySet:
        return self.filter(state=EntryState.POSTED)

    def draft(self) -> JournalEntryQuerySet:
        return self.filter(state=EntryState.DRAFT)


class JournalEntry(CompanyOwnedMixin, CustomFieldsMixin, BaseModel):
    """A journal entry. Its key comes from the sequence that invoices draw theirs from.

    A draft may be edited; posting gives it a number, a place in the journal's chain, and makes it final. ``revision`` tells
    apart the entries of one document number: 0 the first, then reversals by resetting and later postings.
    ``invoice`` and ``payment`` name the document that made it.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        tracked=("state", "date", "reference", "checked"),
        search=(SearchField("number", "A"), SearchField("reference", "B")),
        secret=("digest", "hash"),
        thread=True,
        exempt={
            "index:currency": "never searched for alone",
            "index:posted_by": "shown only",
            "company:invoice": "made with the document, in its company",
            "company:payment": "made with the document, in its company",
            "index:series": "the unique index of numbers begins with it",
        },
        company_links=("journal", "partner"),
    )

    journal = models.ForeignKey(
        Journal, verbose_name=_("journal"), on_delete=models.PROTECT, related_name="entries", db_index=False
    )
    date = models.DateField(_("accounting date"))
    state = models.CharField(
        _("state"), max_length=9, choices=EntryState.choices, default=EntryState.DRAFT, editable=False
    )
    origin = models.CharField(
        _("made by"),
        max_length=12,
        choices=EntryOrigin.choices,
        default=EntryOrigin.MANUAL,
        editable=False,
    )
    reference = models.CharField(_("reference"), max_length=200, blank=True)
    narration = models.TextField(_("note"), blank=True)
    partner = models.ForeignKey(
        "contacts.Partner",
        verbose_name=_("partner"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="journal_entries",
    )
    currency = models.ForeignKey(
        Currency, verbose_name=_("currency"), on_delete=models.PROTECT, related_name="+", db_index=False
    )

    series = models.ForeignKey(
        NumberSeries,
        verbose_name=_("series"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="entries",
        db_index=False,
    )
    number = models.CharField(_("number"), max_length=100, blank=True, editable=False)
    series_number = models.BigIntegerField(_("number in the series"), null=True, editable=False)
    revision = models.PositiveSmallIntegerField(_("revision"), default=0, editable=False)
    chain_index = models.BigIntegerField(_("place in the chain"), null=True, editable=False)
    digest = models.CharField(_("digest"), max_length=64, blank=True, editable=False)
    hash = models.CharField(_("hash"), max_length=64, blank=True, editable=False)
    posted_at = models.DateTimeField(_("posted on"), null=True, blank=True, editable=False)
    posted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("posted by"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
    )
    checked = models.BooleanField(_("checked"), default=False)

    invoice = models.ForeignKey(
        "accounting.Invoice",
        verbose_name=_("document"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="entries",
    )
    payment = models.ForeignKey(
        "accounting.Payment",
        verbose_name=_("payment"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="entries",
    )
    reversal_of = models.ForeignKey(
        "self",
        verbose_name=_("reverses"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="reversals",
    )
    caused_by = models.ForeignKey(
        "self",
        verbose_name=_("side effect of"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="side_effects",
        help_text=_("The entry whose matching made this one."),
    )
    auto_reverse_on = models.DateField(_("reverse on"), null=True, blank=True)

    objects = JournalEntryQuerySet.as_manager()

    class Meta:
        verbose_name = _("journal entry")
        verbose_name_plural = _("journal entries")
        ordering = ("-date", "-pk")
        constraints = (
            models.UniqueConstraint(
                fields=["journal", "number", "revision"],
                condition=~Q(number=""),
                name="accounting_entry_number_once",
                violation_error_message=_("This journal has an entry with that number already."),
            ),
            models.UniqueConstraint(
                fields=["series", "series_number", "revision"],
                condition=Q(series__isnull=False),
                name="accounting_entry_series_once",
            ),
            models.UniqueConstraint(
                fields=["journal", "chain_index"],
                condition=Q(chain_index__isnull=False),
                name="accounting_entry_chain_once",
            ),
            models.CheckConstraint(
                condition=Q(
                    state=EntryState.POSTED,
                    series__isnull=False,
                    series_number__isnull=False,
                    chain_index__isnull=False,
                    posted_at__isnull=False,
                )
                & ~Q(number="")
                & ~Q(hash="")
                | (
                    ~Q(state=EntryState.POSTED)
                    & Q(chain_index__isnull=True, posted_at__isnull=True, hash="", number="")
                    & Q(series__isnull=True, series_number__isnull=True, revision=0, digest="")
                ),
                name="accounting_entry_posted_complete",
            ),
            models.CheckConstraint(
                condition=Q(state__in=EntryState.values), name="accounting_entry_state_known"
            ),
        )
        indexes = (
            models.Index(fields=["journal", "date", "id"], name="accounting_entry_journal"),
            models.Index(fields=["company", "-date", "-id"], name="accounting_entry_list"),
            models.Index(
                fields=["journal"],
                name="accounting_entry_drafts",
                condition=Q(state=EntryState.DRAFT),
            ),
        )

    def __str__(self) -> str:
        if not self.number:
            return f"{_('Draft')} {self.pk}"
        return f"{self.number}-{self.revision}" if self.revision else self.number


class FullMatch(BaseModel):
    """A set of items that settle each other completely, in company and in foreign currency."""

    erp: ClassVar[ModelOptions] = ModelOptions(exempt={"company": "joins items, which have the company"})

    class Meta:
        verbose_name = _("full matching")
        verbose_name_plural = _("full matchings")
        ordering = ("pk",)

    def __str__(self) -> str:
        return str(self.pk)


class JournalItemQuerySet(models.QuerySet["JournalItem"]):
    def posted(self) -> JournalItemQuerySet:
        return self.filter(posted=True)

    def open(self) -> JournalItemQuerySet:
        """Posted items that are not settled; served by a partial index."""
        return self.filter(posted=True).exclude(residual=0, residual_currency=0)


class JournalItem(CompanyOwnedMixin, models.Model):
    """One line of an entry. ``debit`` and ``credit`` are in company currency, ``amount_currency`` is signed like
    ``balance`` and in ``currency``. ``residual`` is what matching has left, signed; zero on accounts without matching.

    ``tax_pks`` are the taxes whose base the item is, ``tag_pks`` its boxes of the tax return; both are frozen here, so that a
    tax that is edited later never changes an old return. ``partner`` is always the commercial entity.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        search=(SearchField("name", "B"),),
        company_links=("account", "journal", "partner"),
        exempt={
            "version": OF_AN_ENTRY,
            "index:company": "covered by the index of accounts",
            "index:journal": "found through entries",
            "index:currency": "never searched for alone",
            "index:tax_repartition": "found through the tax",
            "index:full_match": "partial index",
            "search_index": "found through its entry and account",
        },
    )

    id = models.BigAutoField(primary_key=True)
    entry = models.ForeignKey(
        JournalEntry,
        verbose_name=_("entry"),
        on_delete=models.CASCADE,
        related_name="items",
        db_index=False,  # the index of positions begins with it
        db_constraint=False,  # a key over the entry and whether it is posted takes its place
    )
    company = models.ForeignKey(
        "access.Company",
        verbose_name=_("company"),
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
    )
    journal = models.ForeignKey(
        Journal, verbose_name=_("journal"), on_delete=models.PROTECT, related_name="+", db_index=False
    )
    date = models.DateField(_("date"))
    posted = models.BooleanField(_("posted"), default=False, editable=False)
    position = models.PositiveIntegerField(_("position"), default=0)
    kind = models.CharField(_("kind"), max_length=14, choices=ItemKind.choices, default=ItemKind.PRODUCT)
    account = models.ForeignKey(
        Account,
        verbose_name=_("account"),
        on_delete=models.PROTECT,
        related_name="items",
        db_index=False,  # the ledger's index begins with it
    )
    partner = models.ForeignKey(
        "contacts.Partner",
        verbose_name=_("partner"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="journal_items",
    )
    name = models.CharField(_("label"), max_length=500, blank=True)
    debit = MoneyField(_("debit"), default=0)
    credit = MoneyField(_("credit"), default=0)
    balance = models.GeneratedField(
        expression=F("debit") - F("credit"),
        output_field=models.DecimalField(max_digits=20, decimal_places=4),
        db_persist=True,
    )
    currency = models.ForeignKey(
        Currency, verbose_name=_("currency"), on_delete=models.PROTECT, related_name="+", db_index=False
    )
    amount_currency = MoneyField(_("amount in currency"), default=0)
    quantity = QuantityField(_("quantity"), null=True, blank=True)
    date_maturity = models.DateField(_("due"), null=True, blank=True)
    discount_date = models.DateField(_("discount until"), null=True, blank=True)
    discount_amount_currency = MoneyField(_("amount with discount"), null=True, blank=True)

    tax = models.ForeignKey(
        "accounting.Tax",
        verbose_name=_("tax"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        help_text=_("The tax whose amount this item is."),
    )
    tax_repartition = models.ForeignKey(
        "accounting.TaxRepartition",
        verbose_name=_("share of the tax"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
    )
    tax_base_amount = MoneyField(_("base of the tax"), default=0)
    tax_pks = ArrayField(models.BigIntegerField(), verbose_name=_("taxes"), default=list, blank=True)
    tag_pks = ArrayField(models.BigIntegerField(), verbose_name=_("boxes"), default=list, blank=True)

    residual = MoneyField(_("open"), default=0, editable=False)
    residual_currency = MoneyField(_("open in currency"), default=0, editable=False)
    full_match = models.ForeignKey(
        FullMatch,
        verbose_name=_("full matching"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="items",
        db_index=False,
    )
    matching_number = models.CharField(_("matching"), max_length=24, blank=True, editable=False)

    objects = JournalItemQuerySet.as_manager()

    class Meta:
        verbose_name = _("journal item")
        verbose_name_plural = _("journal items")
        ordering = ("-date", "-pk")
        constraints = (
            models.CheckConstraint(
                condition=Q(debit__gte=0, credit__gte=0),
                name="accounting_item_not_negative",
                violation_error_message=_("Debit and credit are never negative."),
            ),
            models.CheckConstraint(
                condition=Q(debit=0) | Q(credit=0),
                name="accounting_item_one_side",
                violation_error_message=_("An item has a debit or a credit, not both."),
            ),
            models.CheckConstraint(
                condition=Q(debit__gt=0, amount_currency__gte=0)
                | Q(credit__gt=0, amount_currency__lte=0)
                | Q(debit=0, credit=0),
                name="accounting_item_signs_agree",
                violation_error_message=_("The amount in currency has the sign of the balance."),
            ),
            models.CheckConstraint(
                condition=Q(
                    residual__gte=0,
                    debit__gte=F("residual"),
                    residual_currency__gte=0,
                    amount_currency__gte=F("residual_currency"),
                )
                | Q(
                    residual__lte=0,
                    credit__gte=-F("residual"),
                    residual_currency__lte=0,
                    amount_currency__lte=F("residual_currency"),
                ),
                name="accounting_item_residual_range",
                violation_error_message=_("More was matched than the item has."),
            ),
            models.CheckConstraint(condition=Q(kind__in=ItemKind.values), name="accounting_item_kind_known"),
        )
        indexes = (
            models.Index(fields=["entry", "position"], name="accounting_item_entry"),
            models.Index(
                fields=["account", "company", "date", "id"],
                name="accounting_item_ledger",
                condition=Q(posted=True),
                include=["debit", "credit"],
            ),
            models.Index(
                fields=["company", "account", "partner", "date_maturity"],
                name="accounting_item_open",
                condition=Q(posted=True) & ~Q(residual=0, residual_currency=0),
                include=["date", "residual", "currency", "residual_currency"],
            ),
            models.Index(
                fields=["full_match"],
                name="accounting_item_matched",
                condition=Q(full_match__isnull=False),
            ),
            models.Index(fields=["tax"], name="accounting_item_tax", condition=Q(tax__isnull=False)),
            models.Index(
                fields=["company", "date"],
                name="accounting_item_taxed",
                condition=Q(posted=True) & (Q(tax__isnull=False) | ~Q(tag_pks=[])),
            ),
        )

    def __str__(self) -> str:
        return self.name or f"{self.account_id}"


class PartialMatch(models.Model):
    """So much of a debit item settles so much of a credit item. ``amount`` is in company currency, the others in the
    items' own. ``date`` is the later of both items: reports as of a day leave out later matchings.

    Never changed; deleting one restores the residuals (trigger). ``exchange_entry`` holds the difference it made, the two
    others the taxes that became due with it, of the debit's document and of the credit's.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        company="owned",
        exempt={
            "version": "never changed",
            "index:created_by": "shown only",
            "company:debit_item": "both items are of the company's tree, checked by a trigger",
            "company:credit_item": "both items are of the company's tree, checked by a trigger",
            "company:exchange_entry": "made with the matching, in its company",
            "company:debit_tax_entry": "made with the matching, in its company",
            "company:credit_tax_entry": "made with the matching, in its company",
            "index:debit_tax_entry": "found from the matching; posted entries are never deleted",
            "index:credit_tax_entry": "found from the matching; posted entries are never deleted",
        },
        company_links=(),
    )

    id = models.BigAutoField(primary_key=True)
    company = models.ForeignKey(
        "access.Company", verbose_name=_("company"), on_delete=models.PROTECT, related_name="+"
    )
    debit_item = models.ForeignKey(
        JournalItem, verbose_name=_("debit"), on_delete=models.PROTECT, related_name="matched_credits"
    )
    credit_item = models.ForeignKey(
        JournalItem, verbose_name=_("credit"), on_delete=models.PROTECT, related_name="matched_debits"
    )
    amount = MoneyField(_("amount"))
    debit_amount_currency = MoneyField(_("in the debit's currency"))
    credit_amount_currency = MoneyField(_("in the credit's currency"))
    date = models.DateField(_("date"))
    exchange_entry = models.ForeignKey(
        JournalEntry,
        verbose_name=_("exchange difference"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    debit_tax_entry = models.ForeignKey(
        JournalEntry,
        verbose_name=_("taxes due with the payment, debit"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
    )
    credit_tax_entry = models.ForeignKey(
        JournalEntry,
        verbose_name=_("taxes due with the payment, credit"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
    )
    created_at = models.DateTimeField(_("made on"), auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("made by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )

    class Meta:
        verbose_name = _("matching")
        verbose_name_plural = _("matchings")
        ordering = ("pk",)
        constraints = (
            models.CheckConstraint(
                condition=Q(amount__gte=0, debit_amount_currency__gte=0, credit_amount_currency__gte=0)
                & ~Q(amount=0, debit_amount_currency=0, credit_amount_currency=0),
                name="accounting_match_positive",
            ),
            models.CheckConstraint(
                condition=~Q(debit_item=F("credit_item")), name="accounting_match_two_items"
            ),
        )
        indexes = (models.Index(fields=["company", "date"], name="accounting_match_date"),)

    def __str__(self) -> str:
        return f"{self.debit_item_id} ↔ {self.credit_item_id}"
