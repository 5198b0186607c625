"""Document numbering: the rows that ``apps.core.sequences`` draws from."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateRangeField, RangeBoundary, RangeOperators
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.core.declarations import ModelOptions
from apps.core.models.base import ArchivableMixin, BaseModel, CompanySharedMixin

MAX_PADDING = 20


class Sequence(ArchivableMixin, CompanySharedMixin, BaseModel):
    """One numbering, found by its code; a company's own goes before the shared one.

    *Fast* sequences take their numbers from a PostgreSQL sequence object, one for the row or one for each date range:
    nobody ever waits, and a transaction that is rolled back leaves a hole. *Gapless* ones count in the row itself:
    who draws holds the row until he commits, so the draw belongs at the very end of the transaction.

    ``next_number`` is the number to come for gapless sequences without date ranges. For fast ones it is where the
    numbering was last set to start; ``upcoming_numbers`` of the sequence service tells the real one.
    """

    class Implementation(models.TextChoices):
        FAST = "fast", _("fast, a cancelled transaction leaves a gap")
        GAPLESS = "gapless", _("without gaps, one at a time")

    erp: ClassVar[ModelOptions] = ModelOptions(
        tracked=(
            "title",
            "prefix",
            "suffix",
            "padding",
            "step",
            "implementation",
            "use_date_ranges",
            "active",
        ),
    )

    code = models.CharField(_("code"), max_length=80)
    title = models.CharField(_("title"), max_length=120)
    prefix = models.CharField(_("prefix"), max_length=120, blank=True)
    suffix = models.CharField(_("suffix"), max_length=120, blank=True)
    padding = models.PositiveSmallIntegerField(_("digits"), default=5)
    step = models.IntegerField(_("step"), default=1)
    next_number = models.BigIntegerField(_("next number"), default=1, editable=False)
    implementation = models.CharField(
        _("kind"), max_length=8, choices=Implementation.choices, default=Implementation.FAST
    )
    use_date_ranges = models.BooleanField(
        _("date ranges"),
        default=False,
        help_text=_("Count anew in each range of dates; without one, in each year."),
    )

    class Meta:
        verbose_name = _("sequence")
        verbose_name_plural = _("sequences")
        ordering = ("code", "company_id", "pk")
        constraints = (
            models.UniqueConstraint(
                fields=["code", "company"],
                name="core_sequence_code_once",
                condition=models.Q(active=True),
                nulls_distinct=False,
                violation_error_message=_("This company already has an active sequence with that code."),
            ),
            models.CheckConstraint(
                condition=~models.Q(step=0),
                name="core_sequence_step_not_zero",
                violation_error_message=_("The step of a sequence cannot be zero."),
            ),
            models.CheckConstraint(
                condition=models.Q(padding__gte=0, padding__lte=MAX_PADDING),
                name="core_sequence_padding_range",
                violation_error_message=_("A number can be padded to at most 20 digits."),
            ),
        )

    def __str__(self) -> str:
        return self.title

    @property
    def is_gapless(self) -> bool:
        return self.implementation == self.Implementation.GAPLESS


class SequenceRange(BaseModel):
    """A range of dates in which a sequence counts for itself, both ends included. Ranges never overlap."""

    erp: ClassVar[ModelOptions] = ModelOptions(
        exempt={"company": "part of a sequence, which has the company"},
    )

    sequence = models.ForeignKey(
        Sequence, verbose_name=_("sequence"), on_delete=models.CASCADE, related_name="ranges"
    )
    date_from = models.DateField(_("from"))
    date_to = models.DateField(_("to"))
    next_number = models.BigIntegerField(_("next number"), default=1, editable=False)

    class Meta:
        verbose_name = _("date range of a sequence")
        verbose_name_plural = _("date ranges of sequences")
        ordering = ("sequence_id", "date_from", "pk")
        constraints = (
            models.CheckConstraint(
                condition=models.Q(date_from__lte=models.F("date_to")),
                name="core_sequence_range_order",
                violation_error_message=_("A range cannot end before it begins."),
            ),
            ExclusionConstraint(
                name="core_sequence_range_no_overlap",
                expressions=[
                    ("sequence", RangeOperators.EQUAL),
                    (
                        models.Func(
                            "date_from",
                            "date_to",
                            RangeBoundary(inclusive_upper=True),
                            function="daterange",
                            output_field=DateRangeField(),
                        ),
                        RangeOperators.OVERLAPS,
                    ),
                ],
                violation_error_message=_("The date ranges of a sequence cannot overlap."),
            ),
        )

    def __str__(self) -> str:
        return f"{self.date_from:%Y-%m-%d} – {self.date_to:%Y-%m-%d}"
