"""Words of the module."""

SELL = "sell"
SCRAP = "scrap"
