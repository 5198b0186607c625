"""The line of quick entry."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace

import pytest

from apps.core.errors import PermissionDenied
from apps.projects.models import ProjectTag, Task
from apps.projects.services import parse_quick, quick_create
from apps.projects.types import QuickTask
from tests.projects.factories import make_project


@pytest.mark.parametrize(
    ("line", "read"),
    [
        (
            "Improve screen 5h #feature #v16 @Mitchell !",
            QuickTask("Improve screen", Decimal(5), ("feature", "v16"), ("Mitchell",), True),
        ),
        ("5h fix", QuickTask("5h fix")),
        ("Fix 1.5h 0,5h", QuickTask("Fix", Decimal("2.0"))),
        ("Call #one the customer", QuickTask("Call #one the customer")),
        ("#tag first", QuickTask("#tag first")),
        ("! now !", QuickTask("! now !")),
        ("@ann @bob", QuickTask("@ann @bob")),
        ("Really!", QuickTask("Really!")),
        ("  much   space  2h ", QuickTask("much space", Decimal(2))),
        ("", QuickTask("")),
    ],
)
def test_line_is_read_from_its_end(line: str, read: QuickTask) -> None:
    assert parse_quick(line) == read


def test_known_tags_are_found_whatever_their_case_and_new_ones_made(world: SimpleNamespace) -> None:
    known = ProjectTag.objects.create(name="Feature")
    project = make_project(actor=world.ann)

    task = quick_create("Improve screen 5h #feature #v16 @bob !", project=project, actor=world.ann)

    task.refresh_from_db()
    assert (task.name, task.allocated_hours, task.priority) == ("Improve screen", Decimal("5.00"), 1)
    assert sorted(task.tags.values_list("name", flat=True)) == ["Feature", "v16"]
    assert known in task.tags.all()
    assert list(task.assignees.all()) == [world.users.bob]


def test_user_word_that_fits_nobody_or_several_stays_in_the_title(world: SimpleNamespace) -> None:
    project = make_project(actor=world.ann)

    task = quick_create("Ask @nobody @bob", project=project, actor=world.ann)

    assert task.name == "Ask @nobody"
    assert list(task.assignees.all()) == [world.users.bob]


def test_project_user_may_use_tags_but_not_make_them(world: SimpleNamespace) -> None:
    ProjectTag.objects.create(name="old")
    project = make_project(actor=world.ann)

    with pytest.raises(PermissionDenied):
        quick_create("Do #new", project=project, actor=world.bob)

    assert not Task.objects.exists()
    assert not ProjectTag.objects.filter(name="new").exists()
    assert quick_create("Do #OLD", project=project, actor=world.bob).tags.get().name == "old"
