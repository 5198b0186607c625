"""Hooks of the module and its provider registry, open to yet other modules."""

from apps.core.hooks import Filter
from apps.core.providers import ProviderRegistry

filter_price = Filter("dummy.filter_price", "(price, gadget) – the price a gadget is sold at.")
packers: ProviderRegistry[type] = ProviderRegistry("dummy.packers")
