"""Writes about people, rights and companies."""

from apps.access.services.sync import RoleDeclarationError, declared_roles, sync_roles

__all__ = ["RoleDeclarationError", "declared_roles", "sync_roles"]
