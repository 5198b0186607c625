"""Who sees which documents and entries.

Companies are kept apart by the kernel's own rule; branches see the chart of their parents. The roles of the module see all of
a company's books. Other employees see the documents that they sell or follow; customers and vendors see the posted documents
of their organisation, never the ledger.
"""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q

from apps.accounting.constants import (
    RECEIPT_TYPES,
    ROLE_ACCOUNTANT,
    ROLE_ADVISER,
    ROLE_AUDITOR,
    ROLE_BILLING,
    EntryState,
)
from apps.accounting.models import (
    FiscalPosition,
    FiscalPositionAccount,
    FiscalPositionTax,
    FullMatch,
    Invoice,
    InvoiceLine,
    Journal,
    JournalChain,
    JournalItem,
    NumberSeries,
    PaymentMethodLine,
    PaymentTerm,
    PaymentTermLine,
    Tax,
    TaxRepartition,
)
from apps.chatter.models import Follower
from apps.core.actor import INTERNAL, PORTAL, Actor
from apps.core.rules import rule, visible

NOTHING = Q(pk__in=())
EVERYTHING = Q()
STAFF = (ROLE_BILLING, ROLE_AUDITOR, ROLE_ACCOUNTANT, ROLE_ADVISER)


# ------------------------------------------------------------------------------------------------------- documents
@rule(Invoice, roles=STAFF)
def staff_has_all_documents(actor: Actor, op: str) -> Q:
    return EVERYTHING


@rule(Invoice, kinds=(INTERNAL,), ops=("view",))
def documents_i_sell_or_follow(actor: Actor, op: str) -> Q:
    followed = Follower.objects.filter(model="accounting.invoice", partner_id=actor.partner_pk)  # type: ignore[misc]
    return Q(salesperson_id=actor.user_pk) | Q(pk__in=followed.values("object_id"))


@rule(Invoice, kinds=(PORTAL,), ops=("view", "comment"))
def posted_documents_of_my_organisation(actor: Actor, op: str) -> Q:
    organisation = actor.commercial_partner_pk or actor.partner_pk
    if organisation is None:
        return NOTHING
    return Q(commercial_partner_id=organisation, state=EntryState.POSTED) & ~Q(type__in=sorted(RECEIPT_TYPES))


@rule(InvoiceLine, mandatory=True)
def lines_of_visible_documents(actor: Actor, op: str) -> Q:
    return Q(invoice__in=visible(Invoice, actor).values("pk"))


@rule(InvoiceLine, kinds=(PORTAL, INTERNAL))
def lines_follow_their_documents(actor: Actor, op: str) -> Q:
    return EVERYTHING


# ---------------------------------------------------------------------------------------------------------- ledger
@rule(FullMatch, mandatory=True)
def matchings_of_my_companies(actor: Actor, op: str) -> Q:
    mine = JournalItem.objects.filter(full_match=OuterRef("pk"), company__in=actor.company_pks)
    return Q(Exists(mine))


@rule(JournalChain, mandatory=True)
def chains_of_visible_journals(actor: Actor, op: str) -> Q:
    return Q(journal__in=visible(Journal, actor).values("pk"))


@rule(NumberSeries, mandatory=True)
def series_of_visible_journals(actor: Actor, op: str) -> Q:
    return Q(journal__in=visible(Journal, actor).values("pk"))


# ---------------------------------------------------------------------------------------------------------- set-up
@rule(PaymentMethodLine, mandatory=True)
def methods_of_visible_journals(actor: Actor, op: str) -> Q:
    return Q(journal__in=visible(Journal, actor).values("pk"))


@rule(TaxRepartition, mandatory=True)
def shares_of_visible_taxes(actor: Actor, op: str) -> Q:
    return Q(tax__in=visible(Tax, actor).values("pk"))


@rule(PaymentTermLine, mandatory=True)
def parts_of_visible_terms(actor: Actor, op: str) -> Q:
    return Q(term__in=visible(PaymentTerm, actor).values("pk"))


@rule(FiscalPositionTax, mandatory=True)
def taxes_of_visible_positions(actor: Actor, op: str) -> Q:
    return Q(position__in=visible(FiscalPosition, actor).values("pk"))


@rule(FiscalPositionAccount, mandatory=True)
def accounts_of_visible_positions(actor: Actor, op: str) -> Q:
    return Q(position__in=visible(FiscalPosition, actor).values("pk"))
