"""What PostgreSQL says about tasks whoever writes them: pairs of project and stage, no circles, whose work, history."""

from django.db import migrations

from apps.core.db import AddCompanyGuard, AddSearchIndex, AddTrigger, AppendOnly

# Checked at commit, so that a project can change together with what hangs on it.
PAIRS = """
ALTER TABLE projects_task ADD CONSTRAINT projects_task_stage_of_project
    FOREIGN KEY (project_id, stage_id) REFERENCES projects_projecttaskstage (project_id, stage_id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE projects_task ADD CONSTRAINT projects_task_milestone_of_project
    FOREIGN KEY (milestone_id, project_id) REFERENCES projects_milestone (id, project_id)
    DEFERRABLE INITIALLY DEFERRED;
"""
PAIRS_BACK = """
ALTER TABLE projects_task DROP CONSTRAINT projects_task_stage_of_project;
ALTER TABLE projects_task DROP CONSTRAINT projects_task_milestone_of_project;
"""

# Two transactions could close a circle that neither sees: changes of the graph meet at one lock (constants.GRAPH_LOCK).
# A new task is nobody's parent yet, so inserting needs the check (rows of one statement) but not the lock.
PARENT_GUARD = """
    IF TG_OP = 'UPDATE' THEN
        PERFORM pg_advisory_xact_lock(7301001);
    END IF;
    IF EXISTS (
        WITH RECURSIVE up(id) AS (
            SELECT NEW.parent_id
            UNION SELECT t.parent_id FROM up JOIN projects_task t ON t.id = up.id WHERE t.parent_id IS NOT NULL
        ) SELECT 1 FROM up WHERE id = NEW.id
    ) THEN
        RAISE EXCEPTION 'a task cannot be a part of itself'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'projects_task_not_own_parent', TABLE = 'projects_task',
                  COLUMN = 'parent_id';
    END IF;
    IF EXISTS (SELECT 1 FROM projects_task WHERE id = NEW.parent_id AND project_id IS NULL) THEN
        RAISE EXCEPTION 'a private task cannot have sub-tasks'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'projects_task_part_has_project', TABLE = 'projects_task',
                  COLUMN = 'parent_id';
    END IF;
    RETURN NEW;
"""
PRIVATE_GUARD = """
    IF EXISTS (SELECT 1 FROM projects_task WHERE parent_id = NEW.id AND project_id IS NOT NULL) THEN
        RAISE EXCEPTION 'a task with sub-tasks cannot become private'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'projects_task_part_has_project', TABLE = 'projects_task',
                  COLUMN = 'project_id';
    END IF;
    IF EXISTS (SELECT 1 FROM projects_taskdependency WHERE NEW.id IN (task_id, blocker_id)) THEN
        RAISE EXCEPTION 'a task with blockers or dependents cannot become private'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'projects_dependency_in_projects', TABLE = 'projects_task',
                  COLUMN = 'project_id';
    END IF;
    RETURN NULL;
"""
DEPENDENCY_GUARD = """
    PERFORM pg_advisory_xact_lock(7301001);
    IF EXISTS (
        WITH RECURSIVE up(id) AS (
            SELECT NEW.blocker_id
            UNION SELECT d.blocker_id FROM up JOIN projects_taskdependency d ON d.task_id = up.id
        ) SELECT 1 FROM up WHERE id = NEW.task_id
    ) THEN
        RAISE EXCEPTION 'two tasks cannot depend on each other'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'projects_dependency_not_itself',
                  TABLE = 'projects_taskdependency', COLUMN = 'blocker_id';
    END IF;
    IF EXISTS (SELECT 1 FROM projects_task WHERE id IN (NEW.task_id, NEW.blocker_id) AND project_id IS NULL) THEN
        RAISE EXCEPTION 'only tasks of projects can block each other'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'projects_dependency_in_projects',
                  TABLE = 'projects_taskdependency', COLUMN = 'blocker_id';
    END IF;
    RETURN NEW;
"""
ASSIGNEE_GUARD = """
    IF NOT EXISTS (SELECT 1 FROM access_user WHERE id = NEW.user_id AND kind = 'internal') THEN
        RAISE EXCEPTION 'only employees can be assigned to a task'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'projects_assignee_is_employee',
                  TABLE = 'projects_taskassignee', COLUMN = 'user_id';
    END IF;
    IF NEW.personal_stage_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM projects_taskstage WHERE id = NEW.personal_stage_id AND owner_id = NEW.user_id
    ) THEN
        RAISE EXCEPTION 'a personal stage belongs to the assignee'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'projects_assignee_own_stage',
                  TABLE = 'projects_taskassignee', COLUMN = 'personal_stage_id';
    END IF;
    RETURN NEW;
"""
# The stage row is locked, so that it cannot become personal at the same moment.
SHARED_STAGE_GUARD = """
    PERFORM 1 FROM projects_taskstage WHERE id = NEW.stage_id AND owner_id IS NULL FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a personal stage cannot serve a project'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'projects_stage_shared_or_personal',
                  TABLE = 'projects_projecttaskstage', COLUMN = 'stage_id';
    END IF;
    RETURN NEW;
"""
PERSONAL_STAGE_GUARD = """
    IF EXISTS (SELECT 1 FROM projects_projecttaskstage WHERE stage_id = NEW.id) THEN
        RAISE EXCEPTION 'a stage of projects cannot become personal'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'projects_stage_shared_or_personal',
                  TABLE = 'projects_taskstage', COLUMN = 'owner_id';
    END IF;
    RETURN NEW;
"""
HISTORY = """
    INSERT INTO projects_taskstagehistory (task_id, project_id, stage_id, state, user_pk, at)
    VALUES (NEW.id, NEW.project_id, NEW.stage_id, NEW.state, NEW.updated_by_id,
            CASE WHEN TG_OP = 'INSERT' THEN NEW.created_at ELSE NEW.date_last_stage_update END);
    RETURN NULL;
"""

# A user who stops being an employee works on no task; asked at commit, after the services have cleaned up.
LEAVER = """
CREATE FUNCTION projects_assignee_leaves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM projects_taskassignee a JOIN access_user u ON u.id = a.user_id
        WHERE a.user_id = NEW.id AND u.kind <> 'internal'
    ) THEN
        RAISE EXCEPTION 'user % is still assigned to tasks', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'projects_assignee_is_employee',
                  TABLE = 'projects_taskassignee', COLUMN = 'user_id';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER projects_assignee_leaves AFTER UPDATE OF kind ON access_user
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.kind <> OLD.kind)
    EXECUTE FUNCTION projects_assignee_leaves();
"""
LEAVER_BACK = """
DROP TRIGGER projects_assignee_leaves ON access_user;
DROP FUNCTION projects_assignee_leaves();
"""


class Migration(migrations.Migration):
    dependencies = [("projects", "0001_initial"), ("access", "0002_guards"), ("core", "0002_kernel")]

    operations = [
        migrations.RunSQL(PAIRS, PAIRS_BACK),
        AddTrigger(
            "task",
            "projects_task_parent_guard",
            when="BEFORE INSERT OR UPDATE OF parent_id",
            condition="NEW.parent_id IS NOT NULL",
            body=PARENT_GUARD,
        ),
        AddTrigger(
            "task",
            "projects_task_private_guard",
            when="AFTER UPDATE OF project_id",
            condition="NEW.project_id IS NULL AND OLD.project_id IS NOT NULL",
            body=PRIVATE_GUARD,
            deferred=True,
        ),
        AddTrigger(
            "taskdependency",
            "projects_dependency_guard",
            when="BEFORE INSERT OR UPDATE",
            body=DEPENDENCY_GUARD,
        ),
        AddTrigger("taskassignee", "projects_assignee_guard", when="BEFORE INSERT OR UPDATE", body=ASSIGNEE_GUARD),
        AddTrigger(
            "projecttaskstage", "projects_shared_stage_guard", when="BEFORE INSERT OR UPDATE", body=SHARED_STAGE_GUARD
        ),
        AddTrigger(
            "taskstage",
            "projects_personal_stage_guard",
            when="BEFORE UPDATE OF owner_id",
            condition="NEW.owner_id IS NOT NULL",
            body=PERSONAL_STAGE_GUARD,
        ),
        AddTrigger("task", "projects_task_history_new", when="AFTER INSERT", body=HISTORY),
        AddTrigger(
            "task",
            "projects_task_history_moved",
            when="AFTER UPDATE OF project_id, stage_id, state",
            condition="(OLD.project_id, OLD.stage_id, OLD.state) IS DISTINCT FROM "
            "(NEW.project_id, NEW.stage_id, NEW.state)",
            body=HISTORY,
        ),
        AppendOnly("taskstagehistory"),
        AddCompanyGuard("project", ("partner", "stage")),
        AddCompanyGuard("task", ("project", "parent", "partner")),
        AddSearchIndex("project", ("name",)),
        AddSearchIndex("task", ("name",)),
        AddSearchIndex("taskstage", ("name",)),
        AddSearchIndex("projectstage", ("name",)),
        AddSearchIndex("projecttag", ("name",)),
        AddSearchIndex("milestone", ("name",)),
        AddSearchIndex("projectupdate", ("name",)),
        migrations.RunSQL(LEAVER, LEAVER_BACK),
    ]
