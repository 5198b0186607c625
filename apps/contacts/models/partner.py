"""Partners: the people and organisations that a company deals with, and their addresses.

A partner without a parent, or one that is a company, is its own *commercial entity*; anybody else belongs to that
of the parent. Triggers keep ``commercial_entity`` and ``complete_name`` true for every writer, raw SQL included.
"""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Concat, Lower, Trim
from django.utils.translation import gettext_lazy as _

from apps.access.models import Company
from apps.contacts.constants import PartnerType
from apps.core.declarations import ModelOptions, SearchField
from apps.core.models import (
    ArchivableMixin,
    BaseModel,
    CompanySharedMixin,
    Country,
    CountryState,
    CustomFieldsMixin,
)


class Industry(ArchivableMixin, BaseModel):
    """A line of business."""

    erp: ClassVar[ModelOptions] = ModelOptions(exempt={"company": "a vocabulary, the same for every company"})

    name = models.CharField(_("name"), max_length=120, unique=True)

    class Meta:
        verbose_name = _("industry")
        verbose_name_plural = _("industries")
        ordering = ("name", "pk")

    def __str__(self) -> str:
        return self.name


class PartnerTag(ArchivableMixin, CompanySharedMixin, BaseModel):
    """A label for partners; tags form a tree, without circles (trigger)."""

    name = models.CharField(_("name"), max_length=80)
    parent = models.ForeignKey(
        "self",
        verbose_name=_("parent"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="children",
    )
    color = models.PositiveSmallIntegerField(_("colour"), default=0)

    class Meta:
        verbose_name = _("tag of contacts")
        verbose_name_plural = _("tags of contacts")
        ordering = ("name", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["name", "parent", "company"],
                name="contacts_tag_name_once",
                nulls_distinct=False,
                violation_error_message=_("There is a tag with this name already."),
            ),
            models.CheckConstraint(condition=~Q(parent=F("id")), name="contacts_tag_not_own_parent"),
        )

    def __str__(self) -> str:
        return self.name


class PartnerQuerySet(models.QuerySet["Partner"]):
    def active(self) -> PartnerQuerySet:
        return self.filter(active=True)

    def companies(self) -> PartnerQuerySet:
        return self.filter(is_company=True)

    def with_email(self, address: str) -> PartnerQuerySet:
        """Partners of an e-mail address, whatever its capitals."""
        return self.filter(email_normalized=address.strip().lower())


class Partner(ArchivableMixin, CompanySharedMixin, CustomFieldsMixin, BaseModel):
    """A person, an organisation, or an address of one.

    ``tax_id``, ``registry`` and ``industry`` belong to the commercial entity; persons and addresses below it
    repeat its values. A contact of type *contact* shares its parent's address. ``customer_rank`` and
    ``supplier_rank`` count how often the partner appeared in either part.
    """

    erp: ClassVar[ModelOptions] = ModelOptions(
        tracked=(
            "name",
            "parent",
            "email",
            "phone",
            "mobile",
            "street",
            "zip",
            "city",
            "country",
            "tax_id",
            "salesperson",
            "company",
            "active",
        ),
        search=(
            SearchField("complete_name", "A"),
            SearchField("email", "B"),
            SearchField("ref", "B"),
            SearchField("tax_id", "C"),
            SearchField("phone_digits", "C"),
        ),
        thread=True,
        company_links=("parent",),  # the commercial entity follows from it
    )

    name = models.CharField(_("name"), max_length=200, blank=True)
    complete_name = models.CharField(
        _("full name"), max_length=420, blank=True, editable=False, db_index=True
    )
    is_company = models.BooleanField(_("is an organisation"), default=False)
    parent = models.ForeignKey(
        "self",
        verbose_name=_("belongs to"),
        null=True,
        blank=True,
        on_delete=models.RESTRICT,
        related_name="children",
    )
    type = models.CharField(
        _("type of address"), max_length=10, choices=PartnerType.choices, default=PartnerType.CONTACT
    )
    commercial_entity = models.ForeignKey(
        "self",
        verbose_name=_("commercial entity"),
        null=True,
        editable=False,
        on_delete=models.RESTRICT,
        related_name="commercial_members",
    )
    company_name = models.CharField(
        _("organisation's name"),
        max_length=200,
        blank=True,
        help_text=_("For a person whose organisation is no contact yet."),
    )
    title = models.CharField(_("title"), max_length=40, blank=True)
    job_position = models.CharField(_("job"), max_length=120, blank=True)
    tags = models.ManyToManyField(PartnerTag, verbose_name=_("tags"), related_name="partners", blank=True)
    industry = models.ForeignKey(
        Industry,
        verbose_name=_("industry"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    ref = models.CharField(_("reference"), max_length=60, blank=True, db_index=True)
    language = models.CharField(_("language"), max_length=10, blank=True)
    timezone = models.CharField(_("time zone"), max_length=64, blank=True)
    salesperson = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("salesperson"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )

    email = models.EmailField(_("e-mail"), blank=True)
    email_normalized = models.GeneratedField(
        expression=Lower(Trim("email")),
        output_field=models.CharField(max_length=254),
        db_persist=True,
        db_index=True,
    )
    phone = models.CharField(_("phone"), max_length=40, blank=True)
    phone_e164 = models.CharField(
        _("phone, international"), max_length=20, blank=True, editable=False, db_index=True
    )
    mobile = models.CharField(_("mobile"), max_length=40, blank=True)
    mobile_e164 = models.CharField(
        _("mobile, international"), max_length=20, blank=True, editable=False, db_index=True
    )
    phone_digits = models.GeneratedField(
        expression=Func(
            Concat("phone", Value(" "), "mobile", Value(" "), "phone_e164", Value(" "), "mobile_e164"),
            Value("[^0-9 ]"),
            Value(""),
            Value("g"),
            function="regexp_replace",
        ),
        output_field=models.CharField(max_length=140),
        db_persist=True,
    )
    website = models.CharField(_("website"), max_length=200, blank=True)

    street = models.CharField(_("street"), max_length=200, blank=True)
    street2 = models.CharField(_("street, second line"), max_length=200, blank=True)
    zip = models.CharField(_("postal code"), max_length=24, blank=True)
    city = models.CharField(_("city"), max_length=120, blank=True)
    state = models.ForeignKey(
        CountryState,
        verbose_name=_("state"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    country = models.ForeignKey(
        Country, verbose_name=_("country"), null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    latitude = models.DecimalField(_("latitude"), max_digits=9, decimal_places=6, null=True, blank=True)
    longitude = models.DecimalField(_("longitude"), max_digits=9, decimal_places=6, null=True, blank=True)

    tax_id = models.CharField(
        _("tax id"), max_length=40, blank=True, db_index=True, help_text=_("/ means: not liable to tax.")
    )
    registry = models.CharField(_("company registry"), max_length=60, blank=True)
    barcode = models.CharField(_("barcode"), max_length=60, blank=True)
    comment = models.TextField(_("notes"), blank=True)
    color = models.PositiveSmallIntegerField(_("colour"), default=0)
    image_attachment = models.BigIntegerField(
        _("picture"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("Primary key of the attachment that holds it."),
    )
    customer_rank = models.PositiveIntegerField(_("as a customer"), default=0)
    supplier_rank = models.PositiveIntegerField(_("as a vendor"), default=0)

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="partner",
    )
    represents = models.OneToOneField(
        Company,
        verbose_name=_("is our company"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="partner",
    )

    objects = PartnerQuerySet.as_manager()

    class Meta:
        verbose_name = _("contact")
        verbose_name_plural = _("contacts")
        ordering = ("complete_name", "pk")
        constraints = (
            models.CheckConstraint(
                condition=~Q(name="") | ~Q(type=PartnerType.CONTACT),
                name="contacts_partner_has_name",
                violation_error_message=_("A contact needs a name."),
            ),
            models.CheckConstraint(
                condition=~Q(parent=F("id")),
                name="contacts_partner_not_own_parent",
                violation_error_message=_("A contact cannot belong to itself."),
            ),
            models.CheckConstraint(
                condition=Q(commercial_entity__isnull=False), name="contacts_partner_has_entity"
            ),
            models.UniqueConstraint(
                fields=["barcode", "company"],
                condition=~Q(barcode=""),
                nulls_distinct=False,
                name="contacts_partner_barcode_once",
                violation_error_message=_("Another contact has this barcode already."),
            ),
            models.CheckConstraint(
                condition=Q(latitude__isnull=True) | Q(latitude__range=(-90, 90)),
                name="contacts_partner_latitude",
            ),
            models.CheckConstraint(
                condition=Q(longitude__isnull=True) | Q(longitude__range=(-180, 180)),
                name="contacts_partner_longitude",
            ),
        )

    def __str__(self) -> str:
        return self.complete_name or self.name or str(self.get_type_display())

    @property
    def is_person(self) -> bool:
        return not self.is_company

    @property
    def is_commercial_entity(self) -> bool:
        return self.is_company or self.parent_id is None
