"""Bank files to plain values: CAMT, MT940/MT942, OFX, QIF, CODA, CSV and XLSX.

``parse(data)`` finds the format by content and returns a :class:`ParsedFile` or raises :class:`BankFileError`. Nothing
here knows the database, the journals or the user; duplicates, partners and posting are the business of the caller.
"""

from apps.accounting.compute.bank.csv import TableMapping, read_table, suggest_mapping
from apps.accounting.compute.bank.detect import detect_format, parse
from apps.accounting.compute.bank.types import (
    BankFileError,
    Kind,
    ParsedFile,
    ParsedLine,
    ParsedSplit,
    ParsedStatement,
    Problem,
    Severity,
)

__all__ = [
    "BankFileError",
    "Kind",
    "ParsedFile",
    "ParsedLine",
    "ParsedSplit",
    "ParsedStatement",
    "Problem",
    "Severity",
    "TableMapping",
    "detect_format",
    "parse",
    "read_table",
    "suggest_mapping",
]
