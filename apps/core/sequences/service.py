"""Drawing document numbers, and keeping the sequences they come from.

**Lock order.** A gapless number is the last lock of a transaction: parents, children, stock rows, then the number.
Whoever draws earlier makes everybody else wait for the rest of his work, and two transactions that draw from two
gapless sequences must do so in the same order (``draw_each`` orders by range; several sequences: by primary key).
Different gapless sequences, and different date ranges of one, never wait for each other. Fast sequences never wait,
except for the first number of a new date range, which has to make the range.

A sequence is found by its code: the company's own first, else the shared one. None is an error that says what to do;
there is no made-up number.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Mapping
from collections.abc import Sequence as Rows
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connections
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core import modules
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.declarations import SequenceSpec
from apps.core.errors import Conflict, ValidationFailed
from apps.core.models.sequence import MAX_PADDING, Sequence, SequenceRange
from apps.core.records import RecordService, Values, service
from apps.core.rules import rule
from apps.core.sequences import counters
from apps.core.sequences.counters import Counter, CounterChanged, Start
from apps.core.sequences.formats import TIMES, check_format, compile_format, moments_for, pad


class SequenceMissing(ValidationFailed):
    """There is no active sequence of that code for the company; ``sequence_code`` is the code asked for."""

    code = "sequence_missing"

    def __init__(self, sequence_code: str) -> None:
        self.sequence_code = sequence_code
        super().__init__(
            _(
                "No number can be given: there is no active sequence with the code “%(code)s”, neither for this "
                "company nor shared. Create or unarchive one under Technical, Sequences."
            )
            % {"code": sequence_code}
        )


@dataclass(frozen=True, slots=True)
class DrawnNumber:
    """A number that was drawn: as shown, and in its parts for documents that sort or search by them."""

    text: str
    number: int
    prefix: str
    suffix: str
    sequence_pk: int
    range_pk: int | None


# ------------------------------------------------------------------------------------------------------- drawing
def draw(
    code: str, *, company_pk: int | None, on: datetime.date | None = None, actor: Actor | None = None
) -> str:
    """The next number of the sequence ``code`` for a document dated ``on`` (default: today).

    Preconditions: inside the transaction that stores the document. Draw last; see the module's text. Two statements,
    three with date ranges. Errors: ``SequenceMissing``.
    """
    return draw_each(code, [on], company_pk=company_pk, actor=actor)[0].text


def draw_many(
    code: str,
    count: int,
    *,
    company_pk: int | None,
    on: datetime.date | None = None,
    actor: Actor | None = None,
) -> list[str]:
    """``count`` numbers in ascending order, in as many statements as one number costs."""
    return [drawn.text for drawn in draw_each(code, [on] * count, company_pk=company_pk, actor=actor)]


def draw_each(
    code: str,
    dates: Rows[datetime.date | None],
    *,
    company_pk: int | None,
    actor: Actor | None = None,
) -> list[DrawnNumber]:
    """One number for each of ``dates``, in their order; one statement for each date range they fall into."""
    if not dates:
        return []
    return draw_from(find_sequence(code, company_pk=company_pk), dates, company_pk=company_pk, actor=actor)


def draw_from(
    sequence: Sequence,
    dates: Rows[datetime.date | None],
    *,
    company_pk: int | None = None,
    actor: Actor | None = None,
) -> list[DrawnNumber]:
    """Like ``draw_each`` from a sequence that the caller holds, such as the one a journal points to."""
    now = _clock(sequence, dates, company_pk, actor)
    days = [on or now.date() for on in dates]
    ranges = _ranges_for(sequence, set(days)) if sequence.use_date_ranges else {}
    wanted: dict[Counter, list[int]] = {}
    for position, day in enumerate(days):
        wanted.setdefault(ranges.get(day, sequence), []).append(position)
    numbers: dict[int, int] = {}
    for counter in sorted(wanted, key=lambda item: item.pk):
        positions = wanted[counter]
        numbers.update(zip(positions, _take(sequence, counter, len(positions)), strict=True))
    return [
        _rendered(sequence, ranges.get(day), day, numbers[position], now) for position, day in enumerate(days)
    ]


def find_sequence(code: str, *, company_pk: int | None) -> Sequence:
    """The active sequence that a company draws from: its own, else the shared one. ``SequenceMissing`` if none."""
    found = (
        Sequence.objects.filter(code=code, active=True)
        .filter(Q(company_id=company_pk) | Q(company_id__isnull=True))
        .order_by(F("company_id").asc(nulls_last=True))
        .first()
    )
    if found is None:
        raise SequenceMissing(code)
    return found


def _take(sequence: Sequence, counter: Counter, count: int) -> list[int]:
    try:
        if sequence.is_gapless:
            return counters.take_gapless(counter, count, sequence.step)
        return counters.take_fast(counter, count)
    except CounterChanged as exc:
        raise _just_changed(sequence) from exc


def _just_changed(sequence: Sequence) -> Conflict:
    return Conflict(_("The sequence “%(title)s” was just changed. Try again.") % {"title": sequence.title})


def _rendered(
    sequence: Sequence,
    date_range: SequenceRange | None,
    day: datetime.date,
    number: int,
    now: datetime.datetime,
) -> DrawnNumber:
    start = date_range.date_from if date_range is not None else None
    moments = moments_for(on=day, range_start=start, now=now)
    prefix = compile_format(sequence.prefix).render(moments)
    suffix = compile_format(sequence.suffix).render(moments)
    return DrawnNumber(
        text=f"{prefix}{pad(number, sequence.padding)}{suffix}",
        number=number,
        prefix=prefix,
        suffix=suffix,
        sequence_pk=sequence.pk,
        range_pk=date_range.pk if date_range is not None else None,
    )


def _clock(
    sequence: Sequence, dates: Rows[datetime.date | None], company_pk: int | None, actor: Actor | None
) -> datetime.datetime:
    """The wall clock of the company, which decides what day it is; without a company the actor's, then UTC.

    The company is read only when a missing date or a placeholder depends on the hour, which few numbers do.
    """
    now = timezone.now()
    names = compile_format(sequence.prefix).placeholders | compile_format(sequence.suffix).placeholders
    owner = company_pk or sequence.company_id
    zone = actor.timezone if actor is not None else "UTC"
    if owner is not None and (
        None in dates or any(name.startswith("current_") or name in TIMES for name in names)
    ):
        company = Sequence._meta.get_field("company").related_model
        found = company._base_manager.filter(pk=owner).values_list("timezone", flat=True).first()
        zone = found or zone
    return now.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


# -------------------------------------------------------------------------------------------------- date ranges
def _ranges_for(sequence: Sequence, days: Collection[datetime.date]) -> dict[datetime.date, SequenceRange]:
    """The range of each day; missing ones are made."""
    known = list(
        SequenceRange.objects.filter(sequence=sequence, date_from__lte=max(days), date_to__gte=min(days))
    )
    found: dict[datetime.date, SequenceRange] = {}
    for day in sorted(days):
        fitting = next((item for item in known if item.date_from <= day <= item.date_to), None)
        if fitting is None:
            fitting = _make_range(sequence, day)
            known.append(fitting)
        found[day] = fitting
    return found


def _make_range(sequence: Sequence, day: datetime.date) -> SequenceRange:
    """The calendar year of ``day``, clipped by its neighbours. Whoever comes second waits and takes the first's."""
    rows = SequenceRange.objects.filter(sequence=sequence)
    for _attempt in range(3):
        before = rows.filter(date_to__lt=day).order_by("-date_to").values_list("date_to", flat=True).first()
        after = (
            rows.filter(date_from__gt=day).order_by("date_from").values_list("date_from", flat=True).first()
        )
        one_day = datetime.timedelta(days=1)
        first, last = datetime.date(day.year, 1, 1), datetime.date(day.year, 12, 31)
        draft = SequenceRange(
            sequence=sequence,
            date_from=max(first, before + one_day) if before else first,
            date_to=min(last, after - one_day) if after else last,
        )
        # ON CONFLICT DO NOTHING heeds the exclusion constraint: it waits for a rival and then leaves his row be.
        SequenceRange.objects.bulk_create([draft], ignore_conflicts=True)
        made = rows.filter(date_from__lte=day, date_to__gte=day).first()
        if made is not None:
            # The new row's foreign key holds the sequence in place; before, somebody may have changed its kind.
            if not Sequence.objects.filter(pk=sequence.pk, implementation=sequence.implementation).exists():
                raise _just_changed(sequence)
            if not sequence.is_gapless and made not in counters.upcoming_of_objects([made]):
                counters.create_objects([Start(made, made.next_number, sequence.step)])
            return made
    raise _just_changed(sequence)


# ------------------------------------------------------------------------------------------------------ keeping
def upcoming_numbers(items: Rows[Counter]) -> dict[Counter, int]:
    """The number that each sequence or date range gives next, without taking it; for display. Two statements."""
    ranges = [item for item in items if isinstance(item, SequenceRange)]
    parents = Sequence.objects.in_bulk({item.sequence_id for item in ranges}) if ranges else {}
    fast = [
        item
        for item in items
        if not (parents[item.sequence_id] if isinstance(item, SequenceRange) else item).is_gapless
    ]
    found = counters.upcoming_of_objects(fast)
    return {item: found.get(item, item.next_number) for item in items}


def _with_ranges(sequences: Iterable[Sequence]) -> dict[Sequence, list[Counter]]:
    """Every counter of each sequence: the row itself and its date ranges."""
    found: dict[Sequence, list[Counter]] = {sequence: [sequence] for sequence in sequences}
    by_pk = {sequence.pk: sequence for sequence in found}
    for item in SequenceRange.objects.filter(sequence__in=by_pk).order_by("pk"):
        found[by_pk[item.sequence_id]].append(item)
    return found


@rule(SequenceRange, mandatory=True)
def ranges_of_own_and_shared_sequences(actor: Actor, op: str) -> Q:
    """A date range is seen with its sequence."""
    return Q(sequence__company_id__in=actor.company_pks) | Q(sequence__company_id__isnull=True)


@service(Sequence)
class SequenceService(RecordService[Sequence]):
    """Writes sequences together with the PostgreSQL objects behind the fast ones."""

    internal_fields = frozenset({"next_number"})

    def validate(self, records: Rows[Sequence], actor: Actor) -> None:
        for record in records:
            check_format(record.prefix, record.suffix)
            errors: dict[str, list[str]] = {}
            if record.step == 0:
                errors["step"] = [_("The step of a sequence cannot be zero.")]
            if record.padding > MAX_PADDING:
                errors["padding"] = [_("A number can be padded to at most 20 digits.")]
            if errors:
                raise ValidationFailed(fields=errors)

    def after_create(self, records: Rows[Sequence], rows: Rows[Values], actor: Actor) -> None:
        counters.create_objects(
            Start(record, record.next_number, record.step) for record in records if not record.is_gapless
        )

    def after_update(
        self, records: Rows[Sequence], before: Mapping[Any, Mapping[str, Any]], values: Values, actor: Actor
    ) -> None:
        if not {"implementation", "step", "next_number"} & set(values):
            return
        for record, members in _with_ranges(records).items():
            old = before[record.pk]
            was_gapless = old.get("implementation", record.implementation) == Sequence.Implementation.GAPLESS
            restarted = "next_number" in values and old["next_number"] != record.next_number
            if record.is_gapless:
                if not was_gapless:
                    self._to_rows(members, except_for=record if restarted else None)
                continue
            if was_gapless:
                counters.create_objects(Start(item, item.next_number, record.step) for item in members)
                continue
            if old.get("step", record.step) != record.step:
                counters.hold_objects(members)
                upcoming = counters.upcoming_of_objects(members)
                counters.restart_objects(Start(item, upcoming[item], record.step) for item in members)
            if restarted:
                counters.restart_objects([Start(record, record.next_number, record.step)])

    def _to_rows(self, members: Rows[Counter], *, except_for: Sequence | None) -> None:
        """From fast to gapless: the rows go on where the sequence objects stopped."""
        counters.hold_objects(members)
        for item, number in counters.upcoming_of_objects(members).items():
            if item is not except_for:
                type(item)._base_manager.filter(pk=item.pk).update(next_number=number)
                item.next_number = number
        counters.drop_objects(members)

    def before_delete(self, records: Rows[Sequence], actor: Actor) -> None:
        for members in _with_ranges(records).values():
            counters.drop_objects(members)


@service(SequenceRange)
class SequenceRangeService(RecordService[SequenceRange]):
    """Writes date ranges; those of fast sequences have a PostgreSQL object each."""

    internal_fields = frozenset({"next_number"})

    def prepare_update(self, records: Rows[SequenceRange], values: Values, actor: Actor) -> None:
        if "sequence" in values:
            raise ValidationFailed(fields={"sequence": [_("A date range stays with its sequence.")]})

    def after_create(self, records: Rows[SequenceRange], rows: Rows[Values], actor: Actor) -> None:
        counters.create_objects(self._starts(records))

    def after_update(
        self,
        records: Rows[SequenceRange],
        before: Mapping[Any, Mapping[str, Any]],
        values: Values,
        actor: Actor,
    ) -> None:
        if "next_number" in values:
            counters.restart_objects(
                start
                for start in self._starts(records)
                if before[start.counter.pk]["next_number"] != start.number
            )

    def _starts(self, records: Rows[SequenceRange]) -> list[Start]:
        owners = Sequence.objects.in_bulk({record.sequence_id for record in records})
        return [
            Start(record, record.next_number, owners[record.sequence_id].step)
            for record in records
            if not owners[record.sequence_id].is_gapless
        ]

    def before_delete(self, records: Rows[SequenceRange], actor: Actor) -> None:
        counters.drop_objects(records)


def _set_next(items: Rows[Counter], number: int) -> None:
    for item in items:
        owner = item.sequence if isinstance(item, SequenceRange) else item
        item.next_number = number
        item.save(update_fields=["next_number"])
        if not owner.is_gapless:
            counters.restart_objects([Start(item, number, owner.step)])


@action(
    Sequence,
    name="set_next_number",
    permission="change",
    title=gettext_lazy("Set next number"),
    dangerous=True,
    bulk=False,
    icon="restart_alt",
)
def set_next_number(sequences: Rows[Sequence], *, actor: Actor, number: int) -> None:
    """The next document gets ``number``. Going back can give a number twice, which its documents then refuse."""
    _set_next(sequences, number)


@action(
    SequenceRange,
    name="set_next_number",
    permission="change",
    title=gettext_lazy("Set next number"),
    dangerous=True,
    bulk=False,
    icon="restart_alt",
)
def set_next_number_of_range(ranges: Rows[SequenceRange], *, actor: Actor, number: int) -> None:
    """The next document dated in the range gets ``number``."""
    _set_next(ranges, number)


# ------------------------------------------------------------------------------------------------- declarations
def declared_sequences() -> dict[str, SequenceSpec]:
    """What the running modules declare, by code."""
    return {spec.code: spec for config in modules.running() for spec in config.sequences}


def sync_declared(specs: Iterable[SequenceSpec] | None = None) -> int:
    """Make the shared sequence of every declaration that has none yet; answers how many were made.

    Existing ones are never touched, archived ones included: from their creation on they belong to the administrator.
    """
    wanted = {spec.code: spec for spec in (declared_sequences().values() if specs is None else specs)}
    known = set(Sequence.objects.filter(code__in=wanted, company__isnull=True).values_list("code", flat=True))
    fresh = [_from_spec(spec) for code, spec in wanted.items() if code not in known]
    for sequence in fresh:
        check_format(sequence.prefix, sequence.suffix)
    made = Sequence.objects.bulk_create(fresh)
    counters.create_objects(Start(row, row.next_number, row.step) for row in made if not row.is_gapless)
    return len(made)


def _from_spec(spec: SequenceSpec) -> Sequence:
    kinds = Sequence.Implementation
    return Sequence(
        code=spec.code,
        title=str(spec.title),
        prefix=spec.prefix,
        suffix=spec.suffix,
        padding=spec.padding,
        step=spec.step,
        implementation=kinds.GAPLESS if spec.gapless else kinds.FAST,
        use_date_ranges=spec.use_date_ranges,
    )


def sync_after_migrate(*, using: str = "default", **_kwargs: Any) -> None:
    """Receiver of ``post_migrate``. Does nothing while the table is not there (a partial migration)."""
    if using == "default" and Sequence._meta.db_table in connections[using].introspection.table_names():
        sync_declared()
