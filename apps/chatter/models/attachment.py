"""Files: rows that say what a file is and where it belongs, and the stored bytes, each kept once.

Bytes are addressed by their SHA-256, so the same content is one object however often it is attached. An object
that no attachment names any more is removed by a job after a day of grace.
"""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.access.models import Company
from apps.core.declarations import ModelOptions
from apps.core.models import BaseModel


class StoredObject(models.Model):
    """Bytes in the object store under their checksum."""

    erp: ClassVar[ModelOptions] = ModelOptions(
        exempt={
            "company": "content without meaning of its own; attachments say whose it is",
            "version": "immutable",
        }
    )

    id = models.BigAutoField(primary_key=True)
    checksum = models.CharField("SHA-256", max_length=64, unique=True)
    size = models.BigIntegerField(_("size in bytes"))
    created_at = models.DateTimeField(_("stored on"), default=timezone.now)
    unused_since = models.DateTimeField(_("unused since"), null=True, blank=True)

    class Meta:
        verbose_name = _("stored content")
        verbose_name_plural = _("stored contents")
        ordering = ("pk",)
        constraints = (
            models.CheckConstraint(
                condition=Q(checksum__regex=r"^[0-9a-f]{64}$"), name="chatter_object_checksum_form"
            ),
            models.CheckConstraint(condition=Q(size__gte=0), name="chatter_object_size"),
        )
        indexes = (
            models.Index(
                fields=["unused_since"], condition=Q(unused_since__isnull=False), name="chatter_object_unused"
            ),
        )

    def __str__(self) -> str:
        return self.checksum

    @property
    def path(self) -> str:
        """Key in the store: two letters as a folder, so that no folder grows beyond reason."""
        return f"{self.checksum[:2]}/{self.checksum}"


def new_token() -> str:
    return str(uuid.uuid4())


class AttachmentQuerySet(models.QuerySet["Attachment"]):
    def of_record(self, model_label: str, pk: int) -> AttachmentQuerySet:
        """Files of a record, without those that are the value of one of its fields (a picture, a logo)."""
        return self.filter(model=model_label.lower(), object_id=pk, field="")


class Attachment(BaseModel):
    """A named file of a record, or of nobody yet (an upload before its message is sent).

    Whoever has ``access_token`` reads the file. ``field`` names the field whose value it is. ``mimetype`` is found
    out from the content; what a browser would run is stored as plain text unless this program made it.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        secret=("access_token",),
        company_links=(),
        exempt={"company": "seen with the record that it belongs to; the company is kept for reports"},
    )

    name = models.CharField(_("name"), max_length=255)
    description = models.TextField(_("description"), blank=True)
    model = models.CharField(_("kind of record"), max_length=100, blank=True)
    object_id = models.BigIntegerField(_("record"), null=True, blank=True)
    field = models.CharField(_("field"), max_length=60, blank=True, editable=False)
    stored = models.ForeignKey(
        StoredObject,
        verbose_name=_("content"),
        on_delete=models.PROTECT,
        related_name="attachments",
        editable=False,
    )
    mimetype = models.CharField(_("type"), max_length=120, editable=False)
    size = models.BigIntegerField(_("size in bytes"), editable=False)
    checksum = models.CharField("SHA-256", max_length=64, editable=False)
    content_id = models.CharField(_("Content-ID"), max_length=255, blank=True, editable=False)
    access_token = models.CharField(max_length=36, default=new_token, editable=False)
    public = models.BooleanField(_("for everybody"), default=False)
    company = models.ForeignKey(
        Company,
        verbose_name=_("company"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        editable=False,
    )

    objects = AttachmentQuerySet.as_manager()

    class Meta:
        verbose_name = _("file")
        verbose_name_plural = _("files")
        ordering = ("-pk",)
        indexes = (models.Index(fields=["model", "object_id", "id"], name="chatter_attachment_record"),)
        constraints = (
            models.CheckConstraint(condition=~Q(name=""), name="chatter_attachment_has_name"),
            models.CheckConstraint(
                condition=(Q(model="") & Q(object_id__isnull=True))
                | (~Q(model="") & Q(object_id__isnull=False)),
                name="chatter_attachment_names_record",
            ),
            models.UniqueConstraint(
                fields=["model", "object_id", "field"],
                condition=~Q(field=""),
                name="chatter_attachment_field_once",
            ),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def is_image(self) -> bool:
        return self.mimetype.startswith("image/") and self.mimetype != "image/svg+xml"
