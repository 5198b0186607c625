"""Walk the hash chains of the ledger and say, journal by journal, whether anything was altered."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.accounting.models import Journal
from apps.accounting.selectors.chain import PROBLEMS, JournalProof, verify_journals


class Command(BaseCommand):
    help = (
        "Verify the ledger: content, hash chain, gapless numbers and balance of every posted entry. "
        "Ends with 1 when something was altered, naming the first broken entry of each journal."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--journal", action="append", default=[], help="short code; may be repeated")
        parser.add_argument("--company", type=int, help="primary key of a company")
        parser.add_argument("--json", action="store_true", help="one JSON object a line")

    def handle(self, *args: Any, **options: Any) -> None:
        journals = Journal.objects.all()
        if options["company"] is not None:
            journals = journals.filter(company=options["company"])
        if options["journal"]:
            journals = journals.filter(code__in=options["journal"])
            missing = sorted(set(options["journal"]) - set(journals.values_list("code", flat=True)))
            if missing:
                raise CommandError(f"There is no journal {', '.join(missing)}.", returncode=2)
        proofs = verify_journals(list(journals.values_list("pk", flat=True)))
        for proof in proofs:
            self.stdout.write(json.dumps(asdict(proof)) if options["json"] else self._line(proof))
        broken = [proof for proof in proofs if not proof.sound]
        entries = sum(proof.entries for proof in proofs)
        if broken:
            raise CommandError(
                f"{len(broken)} of {len(proofs)} journals are broken ({entries} entries read).", returncode=1
            )
        if not options["json"]:
            self.stdout.write(self.style.SUCCESS(f"{len(proofs)} journals, {entries} entries: all sound."))

    def _line(self, proof: JournalProof) -> str:
        head = f"company {proof.company_pk}  {proof.code:<5} {proof.entries:>9} entries"
        if not proof.entries and proof.sound:
            return head
        text = f"{head}  {proof.first_number} {proof.first_hash[:16]}… to {proof.last_number} {proof.last_hash[:16]}…"
        if proof.sound:
            return text
        named = (
            f"{proof.broken_number} (id {proof.broken_pk})"
            if proof.broken_pk
            else proof.broken_number or "the end"
        )
        return self.style.ERROR(
            f"{text}\n    BROKEN: {named}: {PROBLEMS[proof.problem]}; {proof.broken} entries fail"
        )
