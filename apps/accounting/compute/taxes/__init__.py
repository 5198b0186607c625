"""Taxes of a document: the one function everything else asks. Pure; see docs/accounting-taxes.md.

``specs`` holds the values, ``plan`` the order of computation of a combination of taxes, ``totals`` the computation,
``prices`` what works backwards from a total or across fiscal positions, ``shares`` what divides a computed document
(payments, early discounts, typed taxes, another currency). Import from here.
"""

from apps.accounting.compute.taxes.plan import flatten
from apps.accounting.compute.taxes.prices import map_price, solve_unit_price
from apps.accounting.compute.taxes.shares import (
    MixedDocument,
    compute_mixed,
    convert_rows,
    payment_share,
    payment_shares,
    spread_manual_tax,
)
from apps.accounting.compute.taxes.specs import (
    DocumentTotals,
    LineTax,
    LineTotals,
    ManualTaxRefused,
    PaymentShareError,
    PriceMode,
    Repartition,
    RoundingPolicy,
    TaxDefinitionError,
    TaxError,
    TaxGroupTotals,
    TaxLine,
    TaxRow,
    TaxSpec,
    UnreachableTotal,
)
from apps.accounting.compute.taxes.totals import (
    LineDetail,
    TaxPart,
    compute_document,
    compute_line,
    split_tax,
)

__all__ = [
    "DocumentTotals",
    "LineDetail",
    "LineTax",
    "LineTotals",
    "ManualTaxRefused",
    "MixedDocument",
    "PaymentShareError",
    "PriceMode",
    "Repartition",
    "RoundingPolicy",
    "TaxDefinitionError",
    "TaxError",
    "TaxGroupTotals",
    "TaxLine",
    "TaxPart",
    "TaxRow",
    "TaxSpec",
    "UnreachableTotal",
    "compute_document",
    "compute_line",
    "compute_mixed",
    "convert_rows",
    "flatten",
    "map_price",
    "payment_share",
    "payment_shares",
    "solve_unit_price",
    "split_tax",
    "spread_manual_tax",
]
