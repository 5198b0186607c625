"""Provider registries: named slots that modules fill with interchangeable implementations.

``payment_providers = ProviderRegistry("payments.providers", base=PaymentProvider)`` in the owning app; a module
calls ``payment_providers.register("stripe", StripeProvider)``. Looking up an unknown code is a clear error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from apps.core.errors import ValidationFailed

P = TypeVar("P")

_registries: dict[str, ProviderRegistry[Any]] = {}


class ProviderRegistry(Generic[P]):
    def __init__(self, name: str, *, base: type | None = None) -> None:
        if name in _registries:
            raise ValueError(f"A provider registry called '{name}' exists already.")
        self.name = name
        self.base = base
        self._providers: dict[str, P] = {}
        _registries[name] = self

    def register(self, code: str, provider: P) -> P:
        if code in self._providers and self._providers[code] is not provider:
            raise ValueError(f"'{code}' is taken in provider registry '{self.name}'.")
        if self.base and not (
            isinstance(provider, self.base)
            or (isinstance(provider, type) and issubclass(provider, self.base))
        ):
            raise TypeError(f"{provider!r} is not a {self.base.__name__}.")
        self._providers[code] = provider
        return provider

    def unregister(self, code: str) -> None:
        self._providers.pop(code, None)

    def get(self, code: str) -> P:
        try:
            return self._providers[code]
        except KeyError:
            known = ", ".join(sorted(self._providers)) or "none"
            raise ValidationFailed(f"'{code}' is not one of {self.name}. Registered: {known}.") from None

    def codes(self) -> list[str]:
        return sorted(self._providers)

    def __iter__(self) -> Iterator[tuple[str, P]]:
        return iter(sorted(self._providers.items()))

    def __contains__(self, code: str) -> bool:
        return code in self._providers


def all_registries() -> dict[str, ProviderRegistry[Any]]:
    return dict(_registries)
