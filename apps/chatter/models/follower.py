"""Kinds of messages, and who follows which record for which of them."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.contacts.models import Partner
from apps.core.declarations import ModelOptions

DECLARED = ModelOptions(
    exempt={
        "company": "declared by modules, the same for every company",
        "version": "written by the platform only",
    }
)


class Subtype(models.Model):
    """A kind of message that one can follow. Rows come from the ``SubtypeSpec`` declarations of the modules.

    ``internal`` ones never reach anybody but employees. ``parent`` and ``relation`` make followers of a parent
    record (a project) follow what is made below it (its tasks). ``missing``: no running module declares it.
    """

    erp: ClassVar[ModelOptions] = DECLARED

    id = models.BigAutoField(primary_key=True)
    code = models.CharField(_("code"), max_length=80, unique=True)
    name = models.CharField(_("name"), max_length=120)
    model = models.CharField(
        _("kind of record"), max_length=100, blank=True, help_text=_("Empty: every kind.")
    )
    parent = models.ForeignKey(
        "self",
        verbose_name=_("follows from"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="children",
    )
    relation = models.CharField(_("field that leads to the parent record"), max_length=60, blank=True)
    internal = models.BooleanField(_("for employees only"), default=False)
    default = models.BooleanField(_("followed by default"), default=True)
    hidden = models.BooleanField(_("not offered"), default=False)
    sequence = models.PositiveIntegerField(_("sequence"), default=10)
    missing = models.BooleanField(_("no longer declared"), default=False, editable=False)

    class Meta:
        verbose_name = _("kind of message")
        verbose_name_plural = _("kinds of messages")
        ordering = ("model", "internal", "sequence", "code")

    def __str__(self) -> str:
        return self.name


class FollowerQuerySet(models.QuerySet["Follower"]):
    def of(self, model_label: str, pks: object) -> FollowerQuerySet:
        """Followers of records of one kind; ``pks`` is a list or a subquery."""
        return self.filter(model=model_label.lower(), object_id__in=pks)


class Follower(models.Model):
    """A partner who is told about the messages of a record, of the kinds in ``subtype_pks``.

    The kinds are an array and not a table of links, because every message of every record is matched with them.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        company_links=(),
        exempt={"company": "belongs to the record that it names", "version": "a fact without an edit form"},
    )

    id = models.BigAutoField(primary_key=True)
    model = models.CharField(_("kind of record"), max_length=100)
    object_id = models.BigIntegerField(_("record"))
    partner = models.ForeignKey(
        Partner, verbose_name=_("follower"), on_delete=models.CASCADE, related_name="follows"
    )
    subtype_pks = ArrayField(
        models.BigIntegerField(), verbose_name=_("kinds of messages"), default=list, blank=True
    )
    since = models.DateTimeField(_("since"), auto_now_add=True)

    objects = FollowerQuerySet.as_manager()

    class Meta:
        verbose_name = _("follower")
        verbose_name_plural = _("followers")
        ordering = ("model", "object_id", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["model", "object_id", "partner"],
                name="chatter_follower_once",
                violation_error_message=_("This contact follows the record already."),
            ),
        )

    def __str__(self) -> str:
        return f"{self.partner_id} → {self.model}:{self.object_id}"
