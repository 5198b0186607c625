"""Gadgets: a small document with states, lines, a company, custom fields and a thread."""

from typing import ClassVar

from django.db import models

from apps.core.declarations import ModelOptions, SearchField
from apps.core.models import (
    ArchivableMixin,
    BaseModel,
    CompanyOwnedMixin,
    CompanySharedMixin,
    CustomFieldsMixin,
)


class GadgetMaker(ArchivableMixin, CompanySharedMixin, BaseModel):
    """Who makes gadgets; shared by all companies unless it names one."""

    erp: ClassVar[ModelOptions] = ModelOptions(search=(SearchField("name", "A"),))

    name = models.CharField(max_length=60)

    class Meta:
        ordering = ("name", "pk")

    def __str__(self) -> str:
        return self.name


class Gadget(ArchivableMixin, CompanyOwnedMixin, CustomFieldsMixin, BaseModel):
    """A thing that is drafted, sold and scrapped."""

    class State(models.TextChoices):
        DRAFT = "draft"
        SOLD = "sold"
        SCRAPPED = "scrapped"

    erp: ClassVar[ModelOptions] = ModelOptions(
        tracked=("name", "state", "maker", "makers"),
        search=(SearchField("name", "A"), SearchField("note", "C")),
        field_roles={"cost": ("dummy.manager",)},
        secret=("pin",),
        thread=True,
    )

    name = models.CharField(max_length=80)
    number = models.CharField(max_length=20, blank=True, editable=False)
    note = models.TextField(blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT, editable=False)
    maker = models.ForeignKey(
        GadgetMaker, null=True, blank=True, on_delete=models.PROTECT, related_name="gadgets"
    )
    makers = models.ManyToManyField(GadgetMaker, blank=True, related_name="+")
    customer = models.ForeignKey(
        "contacts.Partner", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    price = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    cost = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    pin = models.CharField(max_length=20, blank=True)
    sold_on = models.DateField(null=True, blank=True)

    class Meta:
        ordering = ("name", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["company", "name"],
                name="dummy_gadget_name_once",
                violation_error_message="This company already has a gadget of that name.",
            ),
            models.CheckConstraint(
                condition=models.Q(price__gte=0),
                name="dummy_gadget_price_positive",
                violation_error_message="A gadget is not sold below zero.",
            ),
        )

    def __str__(self) -> str:
        return self.name


class GadgetPart(BaseModel):
    """A part of a gadget."""

    erp: ClassVar[ModelOptions] = ModelOptions(exempt={"company": "reached through its gadget"})

    gadget = models.ForeignKey(Gadget, on_delete=models.CASCADE, related_name="parts")
    name = models.CharField(max_length=60)
    quantity = models.DecimalField(max_digits=12, decimal_places=3, default=1)

    class Meta:
        ordering = ("gadget_id", "pk")

    def __str__(self) -> str:
        return self.name
