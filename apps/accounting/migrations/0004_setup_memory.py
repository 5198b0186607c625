"""Changes of the set-up are noted, so that processes may remember it between documents (``selectors.setup_memory``)."""

from django.db import migrations

from apps.core.db import NoteChanges


class Migration(migrations.Migration):
    dependencies = [
        ("accounting", "0003_ledger_proofs"),
        ("core", "0004_changes"),
        ("access", "0002_guards"),
    ]

    operations = [
        NoteChanges(
            "accounting.setup",
            [
                "access_company",
                "core_currency",
                "core_country",
                "accounting_accountingsettings",
                "accounting_account",
                "accounting_journal",
                "accounting_journal_allowed_accounts",
                "accounting_tax",
                "accounting_tax_children",
                "accounting_taxgroup",
                "accounting_taxrepartition",
                "accounting_taxrepartition_tags",
                "accounting_fiscalposition",
                "accounting_fiscalposition_states",
                "accounting_fiscalpositiontax",
                "accounting_fiscalpositionaccount",
                "accounting_paymentterm",
                "accounting_paymenttermline",
                "accounting_cashrounding",
            ],
        )
    ]
