"""What a module says about itself: plain data, importable before Django is set up.

A module's ``apps.py`` holds these declarations as class attributes of its ``ModuleConfig``; the platform reads
them to build roles, sequences, jobs, menus, reports and settings. Declaring is all a module does: nothing here
touches a database, and the rows are brought in line after ``migrate``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# ``str`` for a plain name, or a gettext_lazy proxy; both render with ``str()``.
Text = Any


@dataclass(frozen=True, slots=True)
class Role:
    """A named set of rights.

    ``grants`` maps a model label (``"projects.Task"``) to operations separated by blanks: ``view add change
    delete`` and the permission names of actions. ``implies`` lists role codes whose rights come along.
    ``for_admins`` makes the administrator role imply this one. ``kind`` is the user kind that may hold it.
    """

    code: str
    title: Text
    category: Text = ""
    implies: tuple[str, ...] = ()
    grants: Mapping[str, str] = field(default_factory=dict)
    comment: Text = ""
    kind: str = "internal"
    for_admins: bool = False
    sequence: int = 10


@dataclass(frozen=True, slots=True)
class SequenceSpec:
    """A numbering that the module draws from by ``code``; ``gapless`` costs a row lock, plain does not."""

    code: str
    title: Text
    prefix: str = ""
    suffix: str = ""
    padding: int = 5
    step: int = 1
    gapless: bool = False
    use_date_ranges: bool = False


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A scheduled job. ``task`` is the dotted path of a function ``(run) -> None`` that is safe to run twice."""

    code: str
    title: Text
    task: str
    every: int = 1
    unit: str = "days"  # minutes | hours | days | weeks | months
    priority: int = 5
    at: str = ""  # "08:00": local time of the first run for daily and longer units


@dataclass(frozen=True, slots=True)
class ReportSpec:
    """A printable document. ``builder`` is the dotted path of ``(pks, *, actor) -> context``.

    ``filename`` may name ``{title}``, ``{pk}``, ``{name}`` and ``{slug}`` (the name in word characters only). ``archive``
    is the dotted path of an ``apps.reports.types.Archive``: documents that are made once and then kept as they are.
    """

    code: str
    title: Text
    model: str
    builder: str
    template: str
    filename: str = "{title}"
    portal: bool = False
    paper: str = "A4"
    archive: str = ""


@dataclass(frozen=True, slots=True)
class MenuItem:
    """One entry of the back-office menu. It shows when the user may ``view`` the model (or holds ``role``)."""

    title: Text
    model: str = ""
    url_name: str = ""
    icon: str = "chevron_right"
    group: Text = ""
    sequence: int = 10
    role: str = ""
    query: str = ""


@dataclass(frozen=True, slots=True)
class PortalCard:
    """A card on the portal's home page; ``counter`` is the dotted path of ``(actor) -> int``; zero hides it."""

    key: str
    title: Text
    url: str
    counter: str
    icon: str = ""
    sequence: int = 10


@dataclass(frozen=True, slots=True)
class SettingSpec:
    """A setting that an administrator changes while the system runs. ``scope``: ``company`` or ``system``."""

    key: str
    title: Text
    kind: str = "text"  # text | integer | decimal | boolean | choice
    default: Any = None
    choices: tuple[tuple[str, Text], ...] = ()
    help: Text = ""
    scope: str = "system"


@dataclass(frozen=True, slots=True)
class SubtypeSpec:
    """A kind of message in a thread. ``internal`` ones never reach a portal user."""

    code: str
    title: Text
    model: str = ""
    internal: bool = False
    default: bool = True
    hidden: bool = False
    parent: str = ""  # subtype code of the parent's model that subscribes to this one
    relation: str = ""  # field of ``model`` leading to the parent record
    sequence: int = 10


@dataclass(frozen=True, slots=True)
class SearchField:
    """A field that full-text search covers, with its PostgreSQL weight ``A`` (strongest) to ``D``."""

    name: str
    weight: str = "B"


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """What the platform should know about a model; set as the class attribute ``erp``.

    ``company``: ``owned`` (a row belongs to one company), ``shared`` (no company = every company's), ``inherited``
    (owned, and used by the branches of its company as well), ``none``.
    ``tracked``: fields whose changes appear in the thread and the audit trail.
    ``field_roles``: field name -> role codes, one of which is needed to see, filter, sort or write that field.
    ``secret``: fields that no interface ever serialises, filters or sorts, whatever the role.
    ``exempt``: conformance check -> written reason.
    """

    company: str = "none"
    tracked: tuple[str, ...] = ()
    search: tuple[SearchField, ...] = ()
    field_roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    secret: tuple[str, ...] = ()
    thread: bool = False
    company_links: tuple[str, ...] | None = None
    exempt: Mapping[str, str] = field(default_factory=dict)
