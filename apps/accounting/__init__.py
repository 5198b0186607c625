"""Books: charts of accounts, taxes, invoices, ledger, payments and reconciliation."""
