"""What django-allauth asks of a project: how secrets lie in the database, and that it signs nobody up by itself."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter

from apps.access.services.second_factor import decrypt, encrypt


class AccessMFAAdapter(DefaultMFAAdapter):
    """Authenticator secrets are encrypted the same way whoever writes them."""

    def encrypt(self, text: str) -> str:
        return encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        return decrypt(encrypted_text)


class AccessAccountAdapter(DefaultAccountAdapter):
    """Accounts are made by the services of this app only."""

    def is_open_for_signup(self, request: Any) -> bool:
        return False
