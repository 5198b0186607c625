"""How Django signs users in and asks for permissions: by our services and actors."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import BaseBackend
from django.http import HttpRequest  # noqa: TID251  (Django hands its backends the request)

from apps.access.http import client_of
from apps.access.models import User
from apps.access.selectors.actors import actor_for
from apps.access.services.login import check_login
from apps.access.types import Client
from apps.core.actor import Actor
from apps.core.errors import NotAuthenticated

ADMIN_OPERATIONS = {"view": "view", "add": "add", "change": "change", "delete": "delete"}


class AccessBackend(BaseBackend):
    """Authentication by login and password, throttled; permissions ``app.operation_model`` from the actor."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        login = username if username is not None else kwargs.get("login")
        if login is None or password is None:
            return None
        try:
            return check_login(
                str(login), password, client=client_of(request) if request is not None else Client()
            )
        except NotAuthenticated:
            return None

    def get_user(self, user_id: Any) -> User | None:
        """One query: the user with the stamps that tell whether rights in memory are still true."""
        user = User.objects.with_rights_key().select_related("company").filter(pk=user_id).first()
        return user if user is not None and user.active else None

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        """``projects.change_task`` asks for ``change`` on ``projects.task``; custom ones for the named operation.

        About the kind of record only: which rows is what ``visible()`` answers.
        """
        actor = _actor(user_obj)
        if actor is None:
            return False
        app, _dot, name = perm.partition(".")
        operation, _underscore, model = name.rpartition("_")
        if not app or not operation or not model:
            return False
        return actor.can(f"{app}.{model}", operation)

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        actor = _actor(user_obj)
        if actor is None:
            return False
        prefixes = (f"{app_label}.", "*:")
        return any(key.startswith(prefixes) for key in actor.permissions)


def _actor(user: Any) -> Actor | None:
    if not isinstance(user, User) or not user.active:
        return None
    actor = user.__dict__.get("_backend_actor")
    if actor is None or "roles_stamp" not in user.__dict__:
        actor = actor_for(user, channel="admin")
        user.__dict__["_backend_actor"] = actor
    return actor
