"""Mail to a purchase journal becomes a draft bill.

The gateway has routed the mail, applied the address' policy and made an unknown sender a contact; it puts the mail with its
files into the thread of what is made here. Every mail makes one draft: without lines, from its sender. A mail that one of our
own people passes on names no vendor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Model
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.access.constants import UserKind
from apps.accounting.constants import InvoiceType, JournalType
from apps.accounting.models import Invoice, Journal
from apps.contacts.models import Partner
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import ValidationFailed
from apps.core.records import service_for
from apps.mail.constants import Policy
from apps.mail.models import Alias
from apps.mail.services.aliases import ensure_alias
from apps.mail.targets import MailTarget, MailView, mail_targets

TARGET = Invoice._meta.label_lower
ORIGIN_LENGTH = 200


class BillTarget(MailTarget):
    """How a mail becomes a bill of the address' journal."""

    makes_contact = True

    def create(
        self, mail: MailView, *, defaults: Mapping[str, Any], alias: Alias, owner: Model | None, actor: Actor
    ) -> Invoice:
        """The subject says where the bill came from; what it is about stands in its files."""
        if not isinstance(owner, Journal) or owner.type != JournalType.PURCHASE or not owner.active:
            raise ValidationFailed(_("The address leads to no journal for purchases that is in use."))
        values = {
            **{name.removesuffix("_id"): value for name, value in defaults.items()},
            "type": InvoiceType.VENDOR_BILL,
            "journal": owner.pk,
            "company": owner.company_id,
            "origin": mail.subject[:ORIGIN_LENGTH],
        }
        vendor = mail.author
        if vendor is not None and not _is_ours(vendor):
            values["partner"] = vendor.pk
        return service_for(Invoice).create_one(values, actor=actor)


def _is_ours(partner: Partner) -> bool:
    user = partner.user
    return user is not None and user.kind == UserKind.INTERNAL


@action(
    Journal,
    name="set_mail_address",
    permission="change",
    title=gettext_lazy("Address for bills"),
    icon="alternate_email",
    bulk=False,
    condition=lambda journal, actor: journal.type == JournalType.PURCHASE,
)
def set_mail_address(
    journals: Sequence[Journal],
    *,
    actor: Actor,
    local_part: str,
    policy: str = Policy.EVERYONE.value,
) -> dict[str, str]:
    """Give a purchase journal an e-mail address: what vendors send there becomes a draft bill. An empty one takes it away.
    ``policy`` says who may write: everyone, or partners (known contacts only)."""
    if policy not in (Policy.EVERYONE, Policy.PARTNERS):
        raise ValidationFailed(fields={"policy": [_("Choose everyone or partners.")]})
    answer = {}
    for journal in journals:
        if journal.type != JournalType.PURCHASE:
            text = _("Journal %(journal)s is not for purchases.") % {"journal": journal}
            raise ValidationFailed(fields={"local_part": [text]})
        alias = ensure_alias(local_part, TARGET, owner=journal, actor=actor, policy=policy)
        answer[str(journal.pk)] = alias.address if alias is not None else ""
    return answer


mail_targets.register(TARGET, BillTarget())
