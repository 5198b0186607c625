"""Projects and tasks: what is to be done, by whom, until when, and who may see it."""

from django.utils.translation import gettext_lazy as _

from apps.core.declarations import MenuItem, PortalCard, ReportSpec, Role, SettingSpec, SubtypeSpec
from apps.core.modules import ModuleConfig


class ProjectsConfig(ModuleConfig):
    name = "apps.projects"
    label = "projects"
    title = _("Projects")
    summary = _("Projects, tasks, stages, milestones and to-dos; e-mails to a project become tasks.")
    category = _("Services")
    depends = ("core", "access", "contacts", "chatter", "mail", "reports", "portal")
    roles = (
        Role(
            code="projects.user",
            title=_("User"),
            category=_("Projects"),
            comment=_("Works on tasks, milestones and updates of the projects that he sees."),
            grants={
                # Changing a project takes an explicit share of that project; the record rule says so.
                "projects.Project": "view favourite change",
                "projects.Task": "view add change delete",
                "projects.TaskStage": "view add change delete",
                "projects.Milestone": "view add change delete",
                "projects.ProjectUpdate": "view add change delete",
                "projects.TaskStageHistory": "view",
            },
            sequence=10,
        ),
        Role(
            code="projects.manager",
            title=_("Administrator"),
            category=_("Projects"),
            comment=_("Makes and shares projects, their stages and tags; sees all of them."),
            implies=("projects.user",),
            grants={
                "projects.Project": "view add change delete favourite share",
                "projects.ProjectStage": "view add change delete",
                "projects.ProjectTag": "view add change delete",
                "projects.ProjectCollaborator": "view add change delete",
            },
            for_admins=True,
            sequence=20,
        ),
    )
    grants = {
        "access.internal": {
            "projects.Project": "view favourite",
            "projects.Task": "view",
            "projects.TaskStage": "view",
            "projects.ProjectStage": "view",
            "projects.ProjectTag": "view",
            "projects.Milestone": "view",
            "projects.ProjectUpdate": "view",
            "projects.ProjectCollaborator": "view",
        },
        "access.portal": {
            "projects.Project": "view",
            # Adding and changing reach the tasks of projects that are shared for editing, and no others.
            "projects.Task": "view add change",
            "projects.TaskStage": "view",
            "projects.ProjectTag": "view",
            "projects.Milestone": "view",
            "projects.ProjectCollaborator": "view",
        },
    }
    report_specs = (
        ReportSpec(
            code="projects.task",
            title=_("Task sheet"),
            model="projects.Task",
            builder="apps.projects.reports.task_sheet",
            template="projects/reports/task.html",
            filename="task-{pk}",
            portal=True,
        ),
    )
    demo = "apps.projects.demo.load"
    subtypes = (
        # Followers of a project who listen for new tasks follow each of them; those of a task follow its sub-tasks.
        SubtypeSpec("projects.new_tasks", _("New tasks"), model="projects.Project", sequence=10),
        SubtypeSpec(
            "projects.task_created",
            _("Task created"),
            model="projects.Task",
            default=False,
            parent="projects.new_tasks",
            relation="project",
            sequence=10,
        ),
        SubtypeSpec(
            "projects.new_parts", _("New sub-tasks"), model="projects.Task", hidden=True, sequence=11
        ),
        SubtypeSpec(
            "projects.part_created",
            _("Sub-task created"),
            model="projects.Task",
            default=False,
            hidden=True,
            parent="projects.new_parts",
            relation="parent",
            sequence=12,
        ),
        SubtypeSpec(
            "projects.stage_changed", _("Stage changed"), model="projects.Task", default=False, sequence=20
        ),
        SubtypeSpec(
            "projects.task_in_progress", _("In progress"), model="projects.Task", default=False, sequence=30
        ),
        SubtypeSpec(
            "projects.task_changes_requested",
            _("Changes requested"),
            model="projects.Task",
            default=False,
            sequence=31,
        ),
        SubtypeSpec(
            "projects.task_approved", _("Approved"), model="projects.Task", default=False, sequence=32
        ),
        SubtypeSpec("projects.task_waiting", _("Waiting"), model="projects.Task", default=False, sequence=33),
        SubtypeSpec("projects.task_done", _("Done"), model="projects.Task", default=False, sequence=34),
        SubtypeSpec(
            "projects.task_cancelled", _("Cancelled"), model="projects.Task", default=False, sequence=35
        ),
    )
    settings = (
        SettingSpec(
            "projects.allow_task_dependencies",
            _("New projects use dependencies between tasks"),
            kind="boolean",
            default=True,
            scope="company",
        ),
        SettingSpec(
            "projects.allow_milestones",
            _("New projects use milestones"),
            kind="boolean",
            default=True,
            scope="company",
        ),
    )
    portal_cards = (
        PortalCard(
            "project_count",
            _("Projects"),
            "/my/projects",
            "apps.projects.selectors.portal.project_count",
            icon="view_kanban",
            sequence=30,
        ),
        PortalCard(
            "task_count",
            _("Tasks"),
            "/my/tasks",
            "apps.projects.selectors.portal.task_count",
            icon="task_alt",
            sequence=40,
        ),
    )
    menu_title = _("Projects")
    menu_icon = "view_kanban"
    menu_sequence = 30
    menu = (
        MenuItem(_("Projects"), model="projects.Project", icon="view_kanban", sequence=10),
        MenuItem(_("Tasks"), model="projects.Task", icon="task_alt", sequence=20),
        MenuItem(_("Milestones"), model="projects.Milestone", icon="flag", sequence=30),
        MenuItem(_("Updates"), model="projects.ProjectUpdate", icon="monitoring", sequence=40),
        MenuItem(
            _("Task stages"),
            model="projects.TaskStage",
            icon="view_column",
            group=_("Configuration"),
            sequence=50,
            role="projects.manager",
        ),
        MenuItem(
            _("Project stages"),
            model="projects.ProjectStage",
            icon="view_week",
            group=_("Configuration"),
            sequence=60,
            role="projects.manager",
        ),
        MenuItem(
            _("Tags"),
            model="projects.ProjectTag",
            icon="label",
            group=_("Configuration"),
            sequence=70,
            role="projects.manager",
        ),
    )
