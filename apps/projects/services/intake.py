"""Mail to a project becomes a task.

The gateway has routed the mail, applied the alias' policy, made the sender a contact and cleaned the body. Here the
sender becomes the customer, contacts among To and Cc follow, and addresses nobody knows are kept for the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import formataddr, getaddresses
from typing import Any

from django.db.models import Model
from django.utils.translation import gettext as _

from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.records import service_for
from apps.mail.models import Alias
from apps.mail.targets import MailTarget, MailView, mail_targets
from apps.projects.constants import NAME_LENGTH, NO_SUBJECT
from apps.projects.models import Project, Task
from apps.projects.services.followers import follow

LABEL = "projects.task"


class TaskTarget(MailTarget):
    """How a mail becomes a task of the alias' project."""

    makes_contact = True

    def create(
        self, mail: MailView, *, defaults: Mapping[str, Any], alias: Alias, owner: Model | None, actor: Actor
    ) -> Task:
        """The subject names the task. Nobody is assigned, whatever the sender's address says."""
        values = {name.removesuffix("_id"): value for name, value in defaults.items()}
        project = Project._base_manager.filter(pk=values["project"]).first() if "project" in values else owner
        if not isinstance(project, Project):
            raise ValidationFailed(
                _("The alias leads to no project."), fields={"project": [_("No such project.")]}
            )
        values |= {
            "name": (mail.subject.strip() or str(NO_SUBJECT))[:NAME_LENGTH],
            "project": project,
            "email_from": str(mail.sender)[:320],
            "email_cc": _cc("", mail),
        }
        if mail.author is not None:
            values["partner"] = mail.author.pk
            values["description"] = mail.body_html
        return service_for(Task).create_one(values, actor=actor)

    def after_message(self, record: Model, mail: MailView, *, is_new: bool, actor: Actor) -> None:
        """Known people of To and Cc follow; an answer's new Cc addresses are added to those of the task."""
        follow([record], [partner.pk for partner in mail.known], actor=actor)
        if not is_new and isinstance(record, Task):
            merged = _cc(record.email_cc, mail)
            if merged != record.email_cc:
                service_for(Task).update([record], {"email_cc": merged}, actor=actor)


def _cc(held: str, mail: MailView) -> str:
    """The addresses of ``held`` and the unknown ones of the mail, each once whatever its capitals."""
    kept = [(name, email) for name, email in getaddresses([held]) if email]
    seen = {email.lower() for _name, email in kept}
    for address in mail.unknown_cc:
        if address.email.lower() not in seen:
            seen.add(address.email.lower())
            kept.append((address.name, address.email))
    return ", ".join(
        formataddr(pair, charset="utf-8") if pair[0].isascii() else f"{pair[0]} <{pair[1]}>" for pair in kept
    )


mail_targets.register(LABEL, TaskTarget())
