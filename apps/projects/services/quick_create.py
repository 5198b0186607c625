"""One line that says it all: ``Improve screen 5h #feature #v16 @Mitchell !``.

Words at the *end* of the line are read, from the right: ``5h`` planned hours (several are added), ``#tag``,
``@user``, ``!`` high priority. The title is what stands before them and must not begin with such a word. A tag that
does not exist is made (by those who may), a user word must fit exactly one employee, or it stays in the title.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django.db.models import Q
from django.db.models.functions import Lower

from apps.access.constants import UserKind
from apps.access.models import User
from apps.core.actor import Actor
from apps.core.records import service_for
from apps.core.rules import visible
from apps.projects.constants import Priority
from apps.projects.models import Project, ProjectTag, Task
from apps.projects.types import QuickTask

_HOURS = re.compile(r"(\d+(?:[.,]\d+)?)h\Z", re.IGNORECASE)
_MARKED = re.compile(r"([#@])(\S+)\Z")


def parse_quick(line: str) -> QuickTask:
    """Split a line into title and marks; without a proper title the whole line is the title."""
    words = line.split()
    rest = list(words)
    tags: list[str] = []
    users: list[str] = []
    hours, urgent = Decimal(0), False
    while rest:
        word = rest[-1]
        if word == "!":
            urgent = True
        elif match := _HOURS.match(word):
            hours += Decimal(match[1].replace(",", "."))
        elif match := _MARKED.match(word):
            (tags if match[1] == "#" else users).insert(0, match[2])
        else:
            break
        rest.pop()
    if not rest or rest[0] == "!" or _HOURS.match(rest[0]) or rest[0][0] in "#@!":
        return QuickTask(name=" ".join(words))
    return QuickTask(" ".join(rest), hours, tuple(dict.fromkeys(tags)), tuple(users), urgent)


def quick_create(line: str, *, project: Project | None, actor: Actor, **values: Any) -> Task:
    """Make a task from a line. Further ``values`` win over what was read."""
    quick = parse_quick(line)
    assignees, unknown = _users(quick.users, actor)
    title = " ".join([quick.name, *(f"@{word}" for word in unknown)])
    tags = _tags(quick.tags, actor)
    draft = {
        "name": title,
        "project": project,
        "allocated_hours": quick.hours,
        "priority": Priority.HIGH if quick.urgent else Priority.NORMAL,
        **({"tags": tags} if tags else {}),
        **({"assignees": assignees} if assignees else {}),
        **values,
    }
    return service_for(Task).create_one(draft, actor=actor)


def _users(words: Iterable[str], actor: Actor) -> tuple[list[int], list[str]]:
    """Each word must fit the name or login of exactly one employee."""
    found, unknown = [], []
    for word in words:
        fits = Q(login__iexact=word) | Q(name__iexact=word) | Q(name__istartswith=f"{word} ")
        employees = visible(User, actor).filter(fits, kind=UserKind.INTERNAL, active=True)
        pks = list(employees.values_list("pk", flat=True)[:2])
        if len(pks) == 1:
            found.append(pks[0])
        else:
            unknown.append(word)
    return found, unknown


def _tags(words: Iterable[str], actor: Actor) -> list[int]:
    wanted = {word.lower(): word for word in words}
    if not wanted:
        return []
    rows = ProjectTag.objects.annotate(folded=Lower("name")).filter(folded__in=wanted)
    held = dict(rows.values_list("folded", "pk"))
    missing = [{"name": word} for folded, word in wanted.items() if folded not in held]
    made = service_for(ProjectTag).create(missing, actor=actor) if missing else []
    return [*held.values(), *(tag.pk for tag in made)]
