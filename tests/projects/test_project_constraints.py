"""What PostgreSQL refuses, whoever asks: each rule attacked with SQL of its own."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.db import DatabaseError, connection, transaction

from apps.projects.models import Milestone, TaskAssignee, TaskDependency, TaskStageHistory
from tests.projects.factories import make_partner, make_project, make_stage, make_task, stages_of


def refused(statement: str, *parameters: object) -> str:
    """Run a statement, checking what is put off to the end of the transaction too; answers the refusal."""
    with pytest.raises(DatabaseError) as caught, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, list(parameters))
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    return str(caught.value)


@pytest.fixture
def scene(world: SimpleNamespace) -> SimpleNamespace:
    project, elsewhere = make_project("One"), make_project("Two")
    world.project, world.elsewhere = project, elsewhere
    world.task = make_task(project)
    world.second = make_task(project)
    world.private = make_task(None, actor=world.bob)
    return world


@pytest.mark.parametrize(
    ("column", "value", "constraint"),
    [
        ("name", " ", "projects_task_has_name"),
        ("state", "finished", "projects_task_state_known"),
        ("state", "done", "projects_task_closed_on"),
        ("date_closed", "2026-01-01", "projects_task_closed_on"),
        ("priority", 4, "projects_task_priority_max"),
        ("allocated_hours", -1, "projects_task_hours_positive"),
        ("display_in_project", False, "projects_task_top_is_shown"),
    ],
)
def test_task_row_that_contradicts_itself(
    scene: SimpleNamespace, column: str, value: object, constraint: str
) -> None:
    said = refused(f"UPDATE projects_task SET {column} = %s WHERE id = %s", value, scene.task.pk)

    assert constraint in said


def test_task_is_no_part_of_itself_at_any_depth(scene: SimpleNamespace) -> None:
    child = make_task(None, parent=scene.task)
    grandchild = make_task(None, parent=child)

    own = refused("UPDATE projects_task SET parent_id = id WHERE id = %s", scene.task.pk)
    deep = refused("UPDATE projects_task SET parent_id = %s WHERE id = %s", grandchild.pk, scene.task.pk)

    assert "part of itself" in own or "projects_task_not_own_parent" in own
    assert "part of itself" in deep


def test_private_task_has_neither_parent_nor_stage_nor_parts(scene: SimpleNamespace) -> None:
    stage = stages_of(scene.project)[0]

    assert "projects_task_private_unstaged" in refused(
        "UPDATE projects_task SET stage_id = %s WHERE id = %s", stage.pk, scene.private.pk
    )
    assert "projects_task_part_has_project" in refused(
        "UPDATE projects_task SET parent_id = %s WHERE id = %s", scene.task.pk, scene.private.pk
    )
    said = refused("UPDATE projects_task SET parent_id = %s WHERE id = %s", scene.private.pk, scene.task.pk)
    assert "private task cannot have sub-tasks" in said
    make_task(None, parent=scene.task)
    said = refused("UPDATE projects_task SET project_id = NULL, stage_id = NULL WHERE id = %s", scene.task.pk)
    assert "sub-tasks cannot become private" in said


def test_stage_of_a_task_is_one_of_its_project(scene: SimpleNamespace) -> None:
    foreign = stages_of(scene.elsewhere)[0]
    used = scene.task.stage_id

    taken = refused("UPDATE projects_task SET stage_id = %s WHERE id = %s", foreign.pk, scene.task.pk)
    removed = refused("DELETE FROM projects_projecttaskstage WHERE stage_id = %s", used)

    assert "projects_task_stage_of_project" in taken
    assert "projects_task_stage_of_project" in removed


def test_milestone_of_a_task_is_one_of_its_project(scene: SimpleNamespace) -> None:
    foreign = Milestone.objects.create(project=scene.elsewhere, name="Far")

    said = refused("UPDATE projects_task SET milestone_id = %s WHERE id = %s", foreign.pk, scene.task.pk)

    assert "projects_task_milestone_of_project" in said


def test_circles_of_blockers(scene: SimpleNamespace) -> None:
    third = make_task(scene.project)
    TaskDependency.objects.create(task=scene.second, blocker=scene.task)
    TaskDependency.objects.create(task=third, blocker=scene.second)
    insert = "INSERT INTO projects_taskdependency (task_id, blocker_id) VALUES (%s, %s)"

    assert "depend on each other" in refused(insert, scene.task.pk, third.pk)
    assert refused(insert, scene.task.pk, scene.task.pk)
    assert "projects_dependency_once" in refused(insert, scene.second.pk, scene.task.pk)
    assert "only tasks of projects" in refused(insert, scene.private.pk, scene.task.pk)
    assert TaskDependency.objects.count() == 2


def test_only_employees_are_assigned(scene: SimpleNamespace) -> None:
    insert = "INSERT INTO projects_taskassignee (task_id, user_id, at) VALUES (%s, %s, now())"

    assert "only employees" in refused(insert, scene.task.pk, scene.users.pia.pk)
    with connection.cursor() as cursor:
        cursor.execute(insert, [scene.task.pk, scene.users.eve.pk])
    assert "still assigned" in refused(
        "UPDATE access_user SET kind = 'portal' WHERE id = %s", scene.users.eve.pk
    )
    assert TaskAssignee.objects.filter(task=scene.task).count() == 1


def test_stage_is_personal_or_shared(scene: SimpleNamespace) -> None:
    mine, shared = make_stage("Mine", owner=scene.users.bob), stages_of(scene.project)[0]
    link = TaskAssignee.objects.create(task=scene.task, user=scene.users.cid)

    assert "personal stage cannot serve" in refused(
        "INSERT INTO projects_projecttaskstage (project_id, stage_id) VALUES (%s, %s)",
        scene.project.pk,
        mine.pk,
    )
    assert "cannot become personal" in refused(
        "UPDATE projects_taskstage SET owner_id = %s WHERE id = %s", scene.users.bob.pk, shared.pk
    )
    assert "belongs to the assignee" in refused(
        "UPDATE projects_taskassignee SET personal_stage_id = %s WHERE id = %s", mine.pk, link.pk
    )


def test_links_stay_within_the_company(scene: SimpleNamespace) -> None:
    foreign = make_partner("Foreign", company=scene.other)
    project = make_project("Alpha's", company=scene.company)
    task = make_task(project)

    assert refused("UPDATE projects_task SET partner_id = %s WHERE id = %s", foreign.pk, task.pk)
    assert refused("UPDATE projects_task SET company_id = %s WHERE id = %s", scene.other.pk, task.pk)
    assert refused("UPDATE projects_project SET partner_id = %s WHERE id = %s", foreign.pk, project.pk)
    assert refused("UPDATE projects_project SET company_id = %s WHERE id = %s", scene.other.pk, project.pk)
    task.refresh_from_db()
    assert task.company_id == scene.company.pk


def test_history_is_written_for_every_writer_and_never_changed(scene: SimpleNamespace) -> None:
    todo, doing, _finished = stages_of(scene.project)

    with connection.cursor() as cursor:
        cursor.execute("UPDATE projects_task SET stage_id = %s WHERE id = %s", [doing.pk, scene.task.pk])
        cursor.execute("UPDATE projects_task SET name = 'other' WHERE id = %s", [scene.task.pk])

    rows = list(TaskStageHistory.objects.filter(task=scene.task).values_list("stage_id", "state"))
    assert rows == [(todo.pk, "in_progress"), (doing.pk, "in_progress")]
    assert "append-only" in refused("UPDATE projects_taskstagehistory SET state = 'done'")
    assert "append-only" in refused("DELETE FROM projects_taskstagehistory")
    with connection.cursor() as cursor:  # off in the test database, see the root conftest
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(
            "ALTER TABLE projects_taskstagehistory ENABLE TRIGGER projects_taskstagehistory_no_truncate"
        )
    assert "append-only" in refused("TRUNCATE projects_taskstagehistory")


@pytest.mark.parametrize(
    ("assignment", "constraint"),
    [
        ("date_start = '2026-01-01'", "projects_project_dates"),
        ("date_start = '2026-02-01', date_end = '2026-01-31'", "projects_project_dates"),
        ("label_tasks = ''", "projects_project_names_tasks"),
        ("name = E'\\t'", "projects_project_has_name"),
        ("privacy = 'public'", "projects_project_privacy_known"),
    ],
)
def test_project_row_that_contradicts_itself(
    scene: SimpleNamespace, assignment: str, constraint: str
) -> None:
    assert constraint in refused(f"UPDATE projects_project SET {assignment} WHERE id = %s", scene.project.pk)


def test_reached_milestone_has_a_date(scene: SimpleNamespace) -> None:
    milestone = Milestone.objects.create(project=scene.project, name="M")

    assert "projects_milestone_reached_on" in refused(
        "UPDATE projects_milestone SET reached = true WHERE id = %s", milestone.pk
    )


def test_tags_are_unique_whatever_their_case(scene: SimpleNamespace) -> None:
    insert = "INSERT INTO projects_projecttag (version, created_at, updated_at, name, color) VALUES (1, now(), now(), %s, 0)"
    with connection.cursor() as cursor:
        cursor.execute(insert, ["Urgent"])

    assert "projects_tag_name_once" in refused(insert, "URGENT")


def test_names_are_indexed_for_search(scene: SimpleNamespace) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexname FROM pg_indexes WHERE tablename IN ('projects_task', 'projects_project')"
        )
        names = {row[0] for row in cursor.fetchall()}

    assert {"projects_task_search", "projects_project_search"} <= names
