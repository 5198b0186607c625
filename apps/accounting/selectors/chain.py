"""Proof that nothing in the ledger was altered: every journal's chain walked again from its rows, in PostgreSQL.

Each posted entry is looked at once: does its content yield its digest, does its hash continue the one before, do places in the
chain and numbers in their series follow each other without a hole, does it balance. ``docs/accounting-ledger.md`` describes
the canonical form, so that anybody can repeat this elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db import connection, transaction
from django.utils.translation import gettext_lazy as _

# The text of ``accounting_item_payload``, written out: a function called for each of a million items takes most of the time.
_ITEM = """'{"account":' || i.account_id || ',"amount_currency":"' || round(i.amount_currency, 4) || '","credit":"'
               || round(i.credit, 4) || '","currency":"' || c.code || '","debit":"' || round(i.debit, 4) || '","name":'
               || to_json(i.name)::text || ',"partner":' || coalesce(i.partner_id::text, 'null') || '}'"""
_WALK = """
WITH sealed AS (
    SELECT i.entry_id, sum(i.debit - i.credit) AS difference,
           bool_and(i.posted AND i.company_id = e.company_id AND i.journal_id = e.journal_id AND i.date = e.date) AS alike,
           string_agg(__ITEM__, ',' ORDER BY i.position, i.id) AS items
    FROM accounting_journalitem i
    JOIN accounting_journalentry e ON e.id = i.entry_id
    JOIN core_currency c ON c.id = i.currency_id
    WHERE e.state = 'posted' AND e.journal_id = ANY(%(journals)s)
    GROUP BY i.entry_id
), walked AS (
    SELECT e.id, e.company_id, e.journal_id, e.date, e.number, e.revision, e.chain_index, e.digest, e.hash, e.series_id,
           e.series_number,
           lag(e.hash, 1, '') OVER chain AS previous, row_number() OVER chain AS place,
           row_number() OVER (PARTITION BY e.series_id, e.revision ORDER BY e.series_number) AS in_series,
           lag(e.revision, 1, -1) OVER (PARTITION BY e.series_id, e.series_number ORDER BY e.revision) AS revision_before
    FROM accounting_journalentry e
    WHERE e.state = 'posted' AND e.journal_id = ANY(%(journals)s)
    WINDOW chain AS (PARTITION BY e.journal_id ORDER BY e.chain_index)
), judged AS (
    SELECT w.id, w.journal_id, w.number, w.chain_index, w.hash,
           CASE
               WHEN w.chain_index IS DISTINCT FROM w.place THEN 'place'
               WHEN s.items IS NULL OR w.digest <> accounting_sha256(
                   accounting_entry_payload(w.company_id, w.date, s.items, w.journal_id, w.number, w.revision)) THEN 'content'
               WHEN w.hash <> accounting_sha256(w.previous || w.digest) THEN 'link'
               WHEN s.difference <> 0 THEN 'balance'
               WHEN NOT s.alike THEN 'items'
               WHEN n.id IS NULL OR n.journal_id <> w.journal_id
                    OR w.number <> n.prefix || lpad(w.series_number::text,
                        greatest(n.padding, length(w.series_number::text)), '0') || n.suffix
                    OR w.revision = 0 AND w.series_number <> n.first_number + w.in_series - 1
                    OR w.revision <> w.revision_before + 1 THEN 'number'
           END AS problem
    FROM walked w
    LEFT JOIN sealed s ON s.entry_id = w.id
    LEFT JOIN accounting_numberseries n ON n.id = w.series_id
), ends AS (
    SELECT journal_id, count(*) AS entries, count(problem) AS broken,
           min(chain_index) FILTER (WHERE problem IS NOT NULL) AS first_broken,
           min(chain_index) AS first_place, max(chain_index) AS last_place
    FROM judged GROUP BY journal_id
)
SELECT j.id, j.company_id, j.code, j.name, coalesce(x.entries, 0), coalesce(x.broken, 0), coalesce(first.number, ''),
       coalesce(first.hash, ''), coalesce(last.number, ''), coalesce(last.hash, ''),
       coalesce(h.length, 0), coalesce(h.last_hash, ''), bad.id, bad.number, bad.problem
FROM accounting_journal j
LEFT JOIN ends x ON x.journal_id = j.id
LEFT JOIN accounting_journalchain h ON h.journal_id = j.id
LEFT JOIN judged first ON first.journal_id = j.id AND first.chain_index = x.first_place
LEFT JOIN judged last ON last.journal_id = j.id AND last.chain_index = x.last_place
LEFT JOIN judged bad ON bad.journal_id = j.id AND bad.chain_index = x.first_broken
WHERE j.id = ANY(%(journals)s) ORDER BY j.company_id, j.code
""".replace("__ITEM__", _ITEM)
# Series whose next number is not the one after their last.
_SERIES = """
SELECT s.journal_id, s.prefix FROM accounting_numberseries s
LEFT JOIN (
    SELECT series_id, max(series_number) AS last FROM accounting_journalentry
    WHERE state = 'posted' AND journal_id = ANY(%(journals)s) GROUP BY series_id
) e ON e.series_id = s.id
WHERE s.journal_id = ANY(%(journals)s) AND s.next_number <> coalesce(e.last + 1, s.first_number) ORDER BY s.id
"""
PROBLEMS = {
    "place": _("its place in the chain does not follow the one before: an entry is missing or out of order"),
    "content": _("its content is not what was posted: the digest differs"),
    "link": _("its hash does not continue the entry before"),
    "balance": _("debit and credit differ"),
    "items": _("its items do not carry its company, journal and date"),
    "number": _("its number does not follow in its series"),
    "end": _("the chain ended elsewhere: entries at its end are missing"),
    "series": _("the series goes on at another number: entries at its end are missing"),
}


@dataclass(slots=True)
class JournalProof:
    """What walking one journal came to. ``problem`` is a key of ``PROBLEMS``, empty when all is well; ``broken_pk`` and
    ``broken_number`` name the first entry that fails (none when the end is missing), ``broken`` counts them."""

    journal_pk: int
    company_pk: int
    code: str
    name: str
    entries: int
    broken: int
    first_number: str
    first_hash: str
    last_number: str
    last_hash: str
    problem: str = ""
    broken_pk: int | None = None
    broken_number: str = ""

    @property
    def sound(self) -> bool:
        return not self.problem


def verify_journals(journal_pks: Collection[int]) -> list[JournalProof]:
    """Walk the chains of journals: two statements, however many entries they have, in one snapshot of the books.

    A million items take ten to twenty seconds; postings are not held up.
    """
    names = {"journals": sorted(set(journal_pks))}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '256MB'")
        cursor.execute(_WALK, names)
        rows = cursor.fetchall()
        cursor.execute(_SERIES, names)
        series = dict(reversed(cursor.fetchall()))
    proofs = []
    for *plain, length, end, broken_pk, broken_number, problem in rows:
        proof = JournalProof(*plain)
        if problem:
            proof.problem, proof.broken_pk, proof.broken_number = problem, broken_pk, broken_number
        elif (length, end) != (proof.entries, proof.last_hash):
            proof.problem = "end"
        elif proof.journal_pk in series:
            proof.problem, proof.broken_number = "series", series[proof.journal_pk]
        proofs.append(proof)
    return proofs
