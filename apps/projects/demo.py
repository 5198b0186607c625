"""Demo data: what the two companies are working on, with threads; and many more tasks for trying speed.

The support project of Noordlicht answers to ``support@<mail domain>``; its customers see their tasks in the portal.
"""

from __future__ import annotations

import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.access.models import Company, User
from apps.access.selectors.actors import actor_for
from apps.chatter.constants import COMMENT, NOTE
from apps.chatter.services.posting import post_message
from apps.contacts.models import Partner
from apps.core.actor import Actor
from apps.core.records import service_for
from apps.projects.constants import Privacy, TaskState
from apps.projects.models import Milestone, Project, ProjectTag, Task, TaskAssignee, TaskStage
from apps.projects.services import mark_done, set_alias
from apps.projects.services.followers import follow

EUROPE = "Noordlicht Instruments"
AMERICA = "Harbor & Pine"
STAGES = (("New", False), ("In progress", False), ("Waiting for customer", False), ("Done", True))
SIZES = {"m": 5_000, "l": 100_000}
BATCH = 5_000

# project, company, customer, manager, privacy, alias, tasks: title, assignee, stage, days to deadline, tags
PROJECTS: tuple[
    tuple[str, str, str, str, str, str, tuple[tuple[str, str, int, int, tuple[str, ...]], ...]], ...
] = (
    (
        "Customer support",
        EUROPE,
        "",
        "petra",
        Privacy.PORTAL,
        "support",
        (
            ("Spectrometer shows drift after warm-up", "jonas", 1, 2, ("urgent",)),
            ("Certificate of calibration for audit", "mei", 2, 5, ("documents",)),
            ("Lamp module replaced under warranty", "jonas", 3, -4, ("warranty",)),
        ),
    ),
    (
        "Laboratory fit-out Lelie",
        EUROPE,
        "Universitair Ziekenhuis Lelie",
        "petra",
        Privacy.PORTAL,
        "lelie",
        (
            ("Site survey and power plan", "jonas", 3, -20, ()),
            ("Deliver and mount the benches", "mei", 1, 6, ()),
            ("Train the technicians", "jonas", 0, 14, ("training",)),
            ("Acceptance test with the customer", "petra", 0, 21, ()),
        ),
    ),
    (
        "New colour sensor",
        EUROPE,
        "",
        "jonas",
        Privacy.FOLLOWERS,
        "",
        (
            ("Choose the detector supplier", "jonas", 1, 9, ("research",)),
            ("Firmware for the second channel", "mei", 0, 30, ("research",)),
        ),
    ),
    (
        "Field service 2026",
        AMERICA,
        "Cascade Water Authority",
        "carlos",
        Privacy.PORTAL,
        "service",
        (
            ("Quarterly visit, Salem plant", "dana", 1, 3, ()),
            ("Replace pH probes at intake 4", "dana", 0, 11, ("warranty",)),
        ),
    ),
    (
        "Office move",
        AMERICA,
        "",
        "carlos",
        Privacy.EMPLOYEES,
        "",
        (("Get three quotes from movers", "dana", 1, 8, ()), ("Cancel the old lease", "carlos", 0, 40, ())),
    ),
)


def load(size: str, *, actor: Actor) -> None:
    """Projects with their tasks and threads; a project that is there is left as it is."""
    tags = _tags(actor)
    for name, owner, customer, manager, privacy, alias, tasks in PROJECTS:
        company = Company.objects.get(name=owner)
        if Project.objects.filter(name=name, company=company).exists():
            continue
        stages = [
            service_for(TaskStage).create_one(
                {"name": title, "sequence": 10 * (number + 1), "fold": fold}, actor=actor
            )
            for number, (title, fold) in enumerate(STAGES)
        ]
        boss = User.objects.get(login=manager)
        partner = Partner.objects.filter(name=customer, is_company=True).first() if customer else None
        project = service_for(Project).create_one(
            {
                "name": name,
                "company": company,
                "partner": partner,
                "manager": boss,
                "privacy": privacy,
                "stages": stages,
                "date_start": datetime.date(2026, 1, 5) if customer else None,
                "date_end": datetime.date(2026, 12, 18) if customer else None,
            },
            actor=actor,
        )
        if alias:
            set_alias([project], actor=actor_for(boss, company_pks=[company.pk]), local_part=alias)
        _tasks(project, stages, tasks, tags, actor)
        if partner is not None:
            _share(project, partner, actor)
    _conversation(actor)


def _tags(actor: Actor) -> dict[str, ProjectTag]:
    names = sorted({tag for project in PROJECTS for task in project[6] for tag in task[4]})
    held = {tag.name: tag for tag in ProjectTag.objects.filter(name__in=names)}
    for number, name in enumerate(names):
        if name not in held:
            held[name] = service_for(ProjectTag).create_one({"name": name, "color": number % 10}, actor=actor)
    return held


def _tasks(
    project: Project, stages: list[TaskStage], tasks: Any, tags: dict[str, ProjectTag], actor: Actor
) -> None:
    now = timezone.now().replace(hour=15, minute=0, second=0, microsecond=0)
    users = {user.login: user for user in User.objects.filter(login__in=[task[1] for task in tasks])}
    made = service_for(Task).create(
        [
            {
                "name": title,
                "project": project,
                "stage": stages[stage],
                "assignees": [users[login]],
                "date_deadline": now + datetime.timedelta(days=days),
                "tags": [tags[name] for name in names],
                "priority": 1 if "urgent" in names else 0,
            }
            for title, login, stage, days, names in tasks
        ],
        actor=actor,
    )
    done = [task for task, plan in zip(made, tasks, strict=True) if plan[2] == len(STAGES) - 1]
    if done:
        mark_done(done, actor=actor)


def _share(project: Project, customer: Partner, actor: Actor) -> None:
    """The customer's people with a login follow the project and its tasks, and have a milestone to look forward to."""
    people = list(Partner.objects.filter(parent=customer, user__isnull=False).values_list("pk", flat=True))
    tasks = list(Task.objects.filter(project=project))
    follow([project, *tasks], [customer.pk, *people], actor=actor)
    service_for(Milestone).create_one(
        {"project": project, "name": "Hand-over", "deadline": datetime.date(2026, 12, 11)}, actor=actor
    )


def _conversation(actor: Actor) -> None:
    """The first support task is Ingrid's, and has been talked about."""
    task = Task.objects.filter(name="Spectrometer shows drift after warm-up").first()
    ingrid = Partner.objects.filter(user__login="portal").first()
    jonas = User.objects.filter(login="jonas").first()
    if task is None or ingrid is None or jonas is None or task.partner_id is not None:
        return
    service_for(Task).update([task], {"partner": ingrid}, actor=actor)
    follow([task], [ingrid.pk], actor=actor)
    technician = actor_for(jonas)
    post_message(
        task,
        actor=actor,
        author_partner=ingrid,
        subtype=COMMENT,
        message_type="email",
        body="<p>The reading drifts by two units in the first hour after we switch it on. Is that to be expected?</p>",
    )
    post_message(
        task,
        actor=technician,
        subtype=NOTE,
        body="<p>Same batch as the one in Augsburg: check the lamp driver before anything else.</p>",
    )
    post_message(
        task,
        actor=technician,
        subtype=COMMENT,
        body="<p>Half a unit would be normal, two are not. May we look at the log of the last warm-up?</p>",
    )


def seed(size: str, *, actor: Actor) -> None:
    """Many tasks in projects of their own, inserted set-wise: 5,000 for ``m``, 100,000 for ``l``. Runs once a size."""
    wanted = SIZES.get(size, 0)
    company = Company.objects.get(name=EUROPE)
    users = list(
        User.objects.filter(company=company, kind="internal", active=True, special="").order_by("pk")
    )
    customers = list(Partner.objects.filter(company=company, is_company=True).order_by("pk"))
    projects = _seed_projects(company, max(10, wanted // 2000), actor)
    missing = wanted - Task.objects.filter(project__in=projects).count()
    now = timezone.now()
    for start in range(0, max(0, missing), BATCH):
        with transaction.atomic():
            tasks = Task.objects.bulk_create(
                [
                    _seed_task(number, projects[number % len(projects)], customers, company, now)
                    for number in range(start, min(start + BATCH, missing))
                ]
            )
            TaskAssignee.objects.bulk_create(
                [TaskAssignee(task=task, user=users[task.pk % len(users)]) for task in tasks]
            )


def _seed_projects(company: Company, count: int, actor: Actor) -> list[Project]:
    held = list(Project.objects.filter(company=company, name__startswith="Load ").order_by("pk"))
    if len(held) < count:
        stages = [
            service_for(TaskStage).create_one({"name": title, "sequence": 10 * n, "fold": fold}, actor=actor)
            for n, (title, fold) in enumerate(STAGES, 1)
        ]
        held += service_for(Project).create(
            [
                {"name": f"Load {n:03}", "company": company, "stages": stages, "privacy": Privacy.EMPLOYEES}
                for n in range(len(held), count)
            ],
            actor=actor,
        )
    for project in held:
        project.seed_stages = list(project.stages.order_by("sequence", "pk"))  # type: ignore[attr-defined]
    return held


def _seed_task(
    number: int, project: Any, customers: list[Partner], company: Company, now: datetime.datetime
) -> Task:
    stage = project.seed_stages[number % len(project.seed_stages)]
    closed = stage.fold
    return Task(
        name=f"Load task {number:06} {('calibrate', 'deliver', 'repair', 'inspect')[number % 4]}",
        project=project,
        company=company,
        stage=stage,
        state=TaskState.DONE if closed else TaskState.IN_PROGRESS,
        partner=customers[number % len(customers)] if customers and number % 3 == 0 else None,
        date_deadline=now + datetime.timedelta(hours=number % 2000 - 500),
        date_closed=now if closed else None,
        date_end=now if closed else None,
        date_assign=now,
        date_last_stage_update=now,
        priority=1 if number % 17 == 0 else 0,
        sequence=number % 40,
    )
