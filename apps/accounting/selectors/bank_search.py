"""The questions that proposals for bank lines ask the database: one statement each, whatever the number of lines."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection

from apps.accounting.models import JournalItem, Payment
from apps.accounting.selectors.bank_files import partners_by_account
from apps.contacts.models import Partner
from apps.core.actor import Actor
from apps.core.rules import visible

MOST_CANDIDATES = 5000
MOST_OF_PARTNER = 50
# Open items of partners, and money that payments put aside; never what stands in suspense. References are compared by their
# letters and digits, numbers by the digits that they end with.
_CANDIDATES = """
WITH open_items AS MATERIALIZED (
    SELECT i.id, i.company_id, i.partner_id, i.currency_id, i.residual_currency AS own, i.date,
           coalesce(i.date_maturity, i.date) AS due, e.number,
           ARRAY(SELECT t FROM unnest(ARRAY[
               regexp_replace(upper(e.number), '[^A-Z0-9]', '', 'g'),
               regexp_replace(upper(coalesce(v.payment_reference, '')), '[^A-Z0-9]', '', 'g'),
               regexp_replace(upper(coalesce(v.reference, p.reference, '')), '[^A-Z0-9]', '', 'g'),
               regexp_replace(upper(coalesce(p.memo, '')), '[^A-Z0-9]', '', 'g')
           ]) AS t WHERE length(t) >= 4 AND t ~ '[0-9]') AS texts,
           ARRAY(SELECT ltrim(t, '0') FROM unnest(ARRAY[
               substring(e.number from '([0-9]{4,})[^0-9]*$'),
               substring(v.payment_reference from '([0-9]{4,})[^0-9]*$'),
               substring(v.reference from '([0-9]{4,})[^0-9]*$')
           ]) AS t WHERE t IS NOT NULL AND ltrim(t, '0') <> '') AS digits,
           row_number() OVER (PARTITION BY i.partner_id ORDER BY coalesce(i.date_maturity, i.date), i.id) AS place
    FROM accounting_journalitem i
    JOIN accounting_journalentry e ON e.id = i.entry_id
    JOIN accounting_account a ON a.id = i.account_id AND a.reconcile
    LEFT JOIN accounting_invoice v ON v.id = e.invoice_id
    LEFT JOIN accounting_payment p ON p.id = e.payment_id
    WHERE i.company_id = ANY(%(companies)s::bigint[]) AND i.posted AND (i.residual <> 0 OR i.residual_currency <> 0)
      AND i.residual_currency <> 0
      AND (a.type IN ('asset_receivable', 'liability_payable')
           OR e.payment_id IS NOT NULL AND i.account_id IS DISTINCT FROM p.counterpart_account_id)
)
SELECT id, company_id, partner_id, currency_id, own, date, due, number, texts, digits FROM open_items
WHERE texts && %(references)s::text[] OR digits && %(numbers)s::text[] OR abs(own) = ANY(%(amounts)s::numeric[])
   OR partner_id = ANY(%(partners)s::bigint[]) AND place <= %(of_partner)s
ORDER BY due, id LIMIT %(most)s
"""
_PROMISES = """
SELECT p.id, p.journal_id, p.currency_id, p.amount, p.direction, t.commercial_entity_id, p.number,
       ARRAY[regexp_replace(upper(p.number), '[^A-Z0-9]', '', 'g'), regexp_replace(upper(p.memo), '[^A-Z0-9]', '', 'g'),
             regexp_replace(upper(p.reference), '[^A-Z0-9]', '', 'g')]
FROM accounting_payment p LEFT JOIN contacts_partner t ON t.id = p.partner_id
WHERE p.journal_id = ANY(%s::bigint[]) AND p.journal_entry_id IS NULL AND p.state = 'in_process'
ORDER BY p.date, p.id LIMIT 5000
"""
# The name that is most like each of those the bank gives, through the trigram index of contacts.
_NAMES = """
SELECT n.name, x.entity, x.complete_name FROM unnest(%s::text[]) AS n(name)
CROSS JOIN LATERAL (
    SELECT coalesce(p.commercial_entity_id, p.id) AS entity, p.complete_name FROM contacts_partner p
    WHERE core_fold(n.name) <%% core_fold(coalesce(p.complete_name::text, '') || ' ' || coalesce(p.email::text, '') || ' '
              || coalesce(p.ref::text, '') || ' ' || coalesce(p.tax_id::text, '') || ' ' || coalesce(p.phone_digits::text, ''))
      AND similarity(core_fold(n.name), core_fold(p.complete_name)) >= 0.45 AND p.active
    ORDER BY similarity(core_fold(n.name), core_fold(p.complete_name)) DESC, p.id LIMIT 1
) AS x
"""
_PATTERNS = """
SELECT r.id, l.id FROM accounting_reconcilerule r
JOIN accounting_statementline l ON (l.label || ' ' || l.reference) ~* r.label_text
WHERE r.id = ANY(%s::bigint[]) AND l.id = ANY(%s::bigint[]) AND r.label_text <> ''
"""
# Where reconciled lines with the same words went, twice at least; entries that were undone do not count.
_HABITS = """
WITH past AS (
    SELECT l.entry_id, h.pattern, l.date FROM accounting_statementline l
    CROSS JOIN LATERAL (
        SELECT left(string_agg(w.m[1], ' ' ORDER BY w.n), 200) AS pattern
        FROM regexp_matches(upper(l.label), '[A-Z]{2,}', 'g') WITH ORDINALITY AS w(m, n)
    ) AS h
    WHERE l.journal_id = ANY(%(journals)s::bigint[]) AND l.reconciled AND l.id <> ALL(%(lines)s::bigint[])
      AND l.date >= current_date - 550 AND h.pattern = ANY(%(patterns)s::text[])
)
SELECT past.pattern, i.account_id, a.code, count(*) AS n
FROM past JOIN accounting_journalentry e ON e.caused_by_id = past.entry_id AND e.origin = 'statement'
JOIN accounting_journalitem i ON i.entry_id = e.id AND i.position > 0 AND i.tax_id IS NULL
JOIN accounting_account a ON a.id = i.account_id AND NOT a.deprecated
    AND a.type NOT IN ('asset_receivable', 'liability_payable', 'asset_cash', 'liability_credit_card') AND NOT a.reconcile
WHERE NOT EXISTS (SELECT 1 FROM accounting_journalentry r WHERE r.reversal_of_id = e.id)
GROUP BY past.pattern, i.account_id, a.code HAVING count(*) >= 2 ORDER BY n DESC, i.account_id
"""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An open item: ``left`` is what is open in its own currency, signed like the money that would settle it."""

    pk: int
    company_pk: int
    partner_pk: int | None
    currency_pk: int
    left: Decimal
    date: datetime.date
    due: datetime.date
    number: str
    references: tuple[str, ...]
    numbers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Promise:
    """A payment without an entry that waits for the bank."""

    pk: int
    journal_pk: int
    currency_pk: int
    amount: Decimal
    direction: str
    partner_pk: int | None
    number: str
    references: frozenset[str]


def candidates(
    company_pks: Collection[int],
    *,
    references: Collection[str],
    numbers: Collection[str],
    amounts: Collection[Decimal],
    partners: Collection[int],
    actor: Actor,
) -> list[Candidate]:
    """Open items that a reference, the end of a number, the amount or the partner fits, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            _CANDIDATES,
            {
                "companies": list(company_pks),
                "references": list(references),
                "numbers": list(numbers),
                "amounts": list(amounts),
                "partners": list(partners),
                "of_partner": MOST_OF_PARTNER,
                "most": MOST_CANDIDATES,
            },
        )
        rows = cursor.fetchall()
    seen = set(
        visible(JournalItem, actor).filter(pk__in=[row[0] for row in rows]).values_list("pk", flat=True)
    )
    return [
        Candidate(pk, company, partner, currency, left, day, due, number, tuple(texts), tuple(digits))
        for pk, company, partner, currency, left, day, due, number, texts, digits in rows
        if pk in seen
    ]


def promises(journal_pks: Collection[int], *, actor: Actor) -> list[Promise]:
    """Payments without an entry that wait for lines of these journals."""
    with connection.cursor() as cursor:
        cursor.execute(_PROMISES, [list(journal_pks)])
        rows = cursor.fetchall()
    seen = set(visible(Payment, actor).filter(pk__in=[row[0] for row in rows]).values_list("pk", flat=True))
    return [
        Promise(
            pk,
            journal,
            currency,
            amount,
            direction,
            partner,
            number,
            frozenset(t for t in texts if len(t) >= 4),
        )
        for pk, journal, currency, amount, direction, partner, number, texts in rows
        if pk in seen
    ]


def partners_by_number(numbers: Collection[str], *, actor: Actor) -> dict[str, int]:
    """The commercial entity of each account number, by the number without signs."""
    found = partners_by_account(numbers, actor=actor)
    if not found:
        return {}
    entities = dict(Partner.objects.filter(pk__in=found.values()).values_list("pk", "commercial_entity_id"))
    return {number: entities.get(pk) or pk for number, pk in found.items()}


def partners_by_name(names: Collection[str], *, actor: Actor) -> dict[str, tuple[int, str]]:
    """The commercial entity whose name is most like each name, with the name that was found."""
    if not names:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_NAMES, [sorted(names)])
        rows = cursor.fetchall()
    seen = set(visible(Partner, actor).filter(pk__in={row[1] for row in rows}).values_list("pk", flat=True))
    return {name: (pk, found) for name, pk, found in rows if pk in seen}


def pattern_hits(rule_pks: Sequence[int], line_pks: Sequence[int]) -> set[tuple[int, int]]:
    """(rule, line) where the rule's pattern is found in the line; PostgreSQL's expressions, which never run away."""
    if not rule_pks:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(_PATTERNS, [list(rule_pks), list(line_pks)])
        return set(cursor.fetchall())


def habits(
    patterns: Collection[str], journal_pks: Collection[int], line_pks: Collection[int]
) -> dict[str, list[tuple[int, str, int]]]:
    """(account, its code, how often) for lines with these words, most frequent first."""
    found: dict[str, list[tuple[int, str, int]]] = {}
    if not patterns:
        return found
    with connection.cursor() as cursor:
        cursor.execute(
            _HABITS, {"patterns": list(patterns), "journals": list(journal_pks), "lines": list(line_pks)}
        )
        for pattern, account_pk, code, count in cursor.fetchall():
            found.setdefault(pattern, []).append((account_pk, code, count))
    return found
