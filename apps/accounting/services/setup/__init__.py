"""Writing the plan of the books: settings, accounts, journals, taxes, positions, terms."""

from apps.accounting.services.setup import accounts, journals, taxes, terms
from apps.accounting.services.setup.settings import settings_for

__all__ = ["accounts", "journals", "settings_for", "taxes", "terms"]
