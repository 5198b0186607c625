"""Migration operations for what PostgreSQL guarantees or speeds up: search indexes, company guards, triggers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import ForeignKey

EXTENSIONS = ("btree_gist", "pg_trgm", "unaccent")

# unaccent() is only STABLE because its dictionary may change; pinned to the shipped dictionary it is safe to index.
SEARCH_FUNCTIONS = """
CREATE OR REPLACE FUNCTION core_fold(value text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS
$$ SELECT public.unaccent('public.unaccent'::regdictionary, lower(value)) $$;
CREATE OR REPLACE FUNCTION core_vector(value text, weight "char") RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT setweight(to_tsvector('pg_catalog.simple'::regconfig, core_fold(coalesce(value, ''))), weight) $$;
"""

# A link is compatible when the target has no company, or its company is the row's own or an ancestor of it.
# TG_ARGV: pairs of (foreign-key column, target table).
COMPANY_FUNCTIONS = """
CREATE OR REPLACE FUNCTION core_company_covers(owner bigint, target bigint) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS
$$
    WITH RECURSIVE line(id) AS (
        SELECT owner UNION SELECT c.parent_id FROM access_company c JOIN line ON c.id = line.id
        WHERE c.parent_id IS NOT NULL
    ) SELECT target IS NULL OR EXISTS (SELECT 1 FROM line WHERE id = target)
$$;
CREATE OR REPLACE FUNCTION core_company_guard() RETURNS trigger LANGUAGE plpgsql AS
$$
DECLARE
    item integer := 0;
    link bigint;
    target bigint;
BEGIN
    WHILE item < TG_NARGS LOOP
        EXECUTE format('SELECT ($1).%I', TG_ARGV[item]) INTO link USING NEW;
        IF link IS NOT NULL THEN
            EXECUTE format('SELECT company_id FROM %I WHERE id = $1', TG_ARGV[item + 1]) INTO target USING link;
            IF target IS NOT NULL AND target IS DISTINCT FROM NEW.company_id
               AND (NEW.company_id IS NULL OR NOT core_company_covers(NEW.company_id, target)) THEN
                RAISE EXCEPTION 'row % of % belongs to company %, but % points to company %',
                    NEW.id, TG_TABLE_NAME, NEW.company_id, TG_ARGV[item], target
                    USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, COLUMN = TG_ARGV[item];
            END IF;
        END IF;
        item := item + 2;
    END LOOP;
    RETURN NULL;
END
$$;
CREATE OR REPLACE FUNCTION core_company_move_guard() RETURNS trigger LANGUAGE plpgsql AS
$$
DECLARE
    broken bigint;
BEGIN
    EXECUTE format(
        'SELECT id FROM %I WHERE %I = $1 AND $2 IS NOT NULL AND ($2 IS DISTINCT FROM company_id)'
        ' AND (company_id IS NULL OR NOT core_company_covers(company_id, $2)) LIMIT 1',
        TG_ARGV[0], TG_ARGV[1]) INTO broken USING NEW.id, NEW.company_id;
    IF broken IS NOT NULL THEN
        RAISE EXCEPTION 'row % of % is used by row % of % in another company',
            NEW.id, TG_TABLE_NAME, broken, TG_ARGV[0]
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, COLUMN = 'company';
    END IF;
    RETURN NULL;
END
$$;
"""

APPEND_ONLY_FUNCTION = """
CREATE OR REPLACE FUNCTION core_refuse_change() RETURNS trigger LANGUAGE plpgsql AS
$$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
END
$$;
"""


class _DatabaseOnly(Operation):
    """An operation that leaves Django's model state alone."""

    reversible = True

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        return None

    def _forward_sql(self, app_label: str, state: ProjectState) -> list[str]:
        raise NotImplementedError

    def _backward_sql(self, app_label: str, state: ProjectState) -> list[str]:
        raise NotImplementedError

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        for statement in self._forward_sql(app_label, to_state):
            schema_editor.execute(statement, params=None)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        for statement in self._backward_sql(app_label, from_state):
            schema_editor.execute(statement, params=None)


def _model(app_label: str, name: str, state: ProjectState) -> Any:
    return state.apps.get_model(app_label, name)


def search_expression(columns: Sequence[str]) -> str:
    """The text that trigram search indexes; ``search.py`` must build the very same expression."""
    parts = [f"coalesce(\"{column}\"::text, '')" for column in columns]
    return "core_fold(" + " || ' ' || ".join(parts) + ")"


class AddSearchIndex(_DatabaseOnly):
    """A GIN trigram index over the folded concatenation of the model's own ``columns``."""

    def __init__(self, model_name: str, columns: Sequence[str]) -> None:
        self.model_name = model_name
        self.columns = tuple(columns)

    def describe(self) -> str:
        return f"Index {', '.join(self.columns)} of {self.model_name} for search"

    @property
    def migration_name_fragment(self) -> str:
        return f"search_{self.model_name.lower()}"

    def _name(self, table: str) -> str:
        return f"{table[:50]}_search"

    def _forward_sql(self, app_label: str, state: ProjectState) -> list[str]:
        table = _model(app_label, self.model_name, state)._meta.db_table
        return [
            (
                f'CREATE INDEX "{self._name(table)}" ON "{table}" '
                f"USING gin (({search_expression(self.columns)}) gin_trgm_ops)"
            )
        ]

    def _backward_sql(self, app_label: str, state: ProjectState) -> list[str]:
        table = _model(app_label, self.model_name, state)._meta.db_table
        return [f'DROP INDEX IF EXISTS "{self._name(table)}"']


class AddCompanyGuard(_DatabaseOnly):
    """PostgreSQL refuses a row whose links lead to another company, and moving a linked row to another company.

    The migration that uses it must depend on ``("core", "0002_kernel")``, which makes the functions. With ``many`` the
    rows of an INSERT are checked together, one look a link: for tables that take thousands of rows at once.
    """

    def __init__(self, model_name: str, fields: Sequence[str], *, many: bool = False) -> None:
        self.model_name = model_name
        self.fields = tuple(fields)
        self.many = many

    def describe(self) -> str:
        return f"Keep {', '.join(self.fields)} of {self.model_name} within its company"

    @property
    def migration_name_fragment(self) -> str:
        return f"company_guard_{self.model_name.lower()}"

    def _links(self, app_label: str, state: ProjectState) -> tuple[str, list[tuple[str, str, str]]]:
        model = _model(app_label, self.model_name, state)
        links = []
        for name in self.fields:
            field = model._meta.get_field(name)
            if not isinstance(field, ForeignKey):
                raise ValueError(f"{self.model_name}.{name} is not a foreign key.")
            links.append((name, str(field.column), field.related_model._meta.db_table))
        return model._meta.db_table, links

    def _forward_sql(self, app_label: str, state: ProjectState) -> list[str]:
        table, links = self._links(app_label, state)
        columns = ", ".join(f'"{column}"' for _, column, _ in links)
        arguments = ", ".join(f"'{column}', '{target}'" for _, column, target in links)
        events = "UPDATE" if self.many else "INSERT OR UPDATE"
        statements = [
            (
                f'CREATE CONSTRAINT TRIGGER "{table}_company" AFTER {events} OF "company_id", {columns} '
                f'ON "{table}" DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW EXECUTE FUNCTION core_company_guard({arguments})'
            )
        ]
        if self.many:
            statements += self._together(table, links, arguments)
        for name, column, target in links:
            statements.append(
                f'CREATE CONSTRAINT TRIGGER "{table}_{name}_company" AFTER UPDATE OF "company_id" ON "{target}" '
                f"DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW "
                f"WHEN (OLD.company_id IS DISTINCT FROM NEW.company_id) "
                f"EXECUTE FUNCTION core_company_move_guard('{table}', '{column}')"
            )
        return statements

    @staticmethod
    def _together(table: str, links: Sequence[tuple[str, str, str]], arguments: str) -> list[str]:
        """A statement trigger over the new rows, and its function with one plain query a link."""
        look = """
            SELECT fresh.id, fresh.company_id, owner.company_id INTO broken, home, away
            FROM fresh JOIN "%(target)s" owner ON owner.id = fresh."%(column)s"
            WHERE owner.company_id IS DISTINCT FROM fresh.company_id AND owner.company_id IS NOT NULL
              AND (fresh.company_id IS NULL OR NOT core_company_covers(fresh.company_id, owner.company_id)) LIMIT 1;
            IF FOUND THEN
                RAISE EXCEPTION 'row %% of %(table)s belongs to company %%, but %(column)s points to company %%', broken, home, away
                    USING ERRCODE = 'check_violation', CONSTRAINT = '%(table)s_company', COLUMN = '%(column)s';
            END IF;"""
        looks = "".join(
            look % {"table": table, "column": column, "target": target} for _, column, target in links
        )
        return [
            (
                f"CREATE OR REPLACE FUNCTION {table}_company_many() RETURNS trigger LANGUAGE plpgsql AS $body$ "
                f"DECLARE broken bigint; home bigint; away bigint; BEGIN {looks} RETURN NULL; END $body$"
            ),
            (
                f'CREATE TRIGGER "{table}_company_many" AFTER INSERT ON "{table}" REFERENCING NEW TABLE AS fresh '
                f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_company_many({arguments})"
            ),
        ]

    def _backward_sql(self, app_label: str, state: ProjectState) -> list[str]:
        table, links = self._links(app_label, state)
        together = [
            f'DROP TRIGGER IF EXISTS "{table}_company_many" ON "{table}"',
            f"DROP FUNCTION IF EXISTS {table}_company_many()",
        ]
        return (
            [f'DROP TRIGGER IF EXISTS "{table}_company" ON "{table}"']
            + (together if self.many else [])
            + [f'DROP TRIGGER IF EXISTS "{table}_{name}_company" ON "{target}"' for name, _, target in links]
        )


class AppendOnly(_DatabaseOnly):
    """PostgreSQL refuses UPDATE, DELETE and TRUNCATE on the model's table."""

    def __init__(self, model_name: str, *, but_columns: Sequence[str] = ()) -> None:
        self.model_name = model_name
        self.but_columns = tuple(but_columns)

    def describe(self) -> str:
        return f"Make {self.model_name} append-only"

    @property
    def migration_name_fragment(self) -> str:
        return f"append_only_{self.model_name.lower()}"

    def _forward_sql(self, app_label: str, state: ProjectState) -> list[str]:
        model = _model(app_label, self.model_name, state)
        table = model._meta.db_table
        columns = [f.column for f in model._meta.concrete_fields if f.column not in self.but_columns]
        update = (
            f"UPDATE OF {', '.join(chr(34) + c + chr(34) for c in columns)}" if self.but_columns else "UPDATE"
        )
        return [
            (
                f'CREATE TRIGGER "{table}_append_only" BEFORE {update} OR DELETE ON "{table}" '
                "FOR EACH ROW EXECUTE FUNCTION core_refuse_change()"
            ),
            (
                f'CREATE TRIGGER "{table}_no_truncate" BEFORE TRUNCATE ON "{table}" '
                "FOR EACH STATEMENT EXECUTE FUNCTION core_refuse_change()"
            ),
        ]

    def _backward_sql(self, app_label: str, state: ProjectState) -> list[str]:
        table = _model(app_label, self.model_name, state)._meta.db_table
        return [
            f'DROP TRIGGER IF EXISTS "{table}_append_only" ON "{table}"',
            f'DROP TRIGGER IF EXISTS "{table}_no_truncate" ON "{table}"',
        ]


class AddTrigger(_DatabaseOnly):
    """A trigger with its own function. ``body`` is the plpgsql between BEGIN and END; ``when`` such as
    ``BEFORE UPDATE``; ``declare`` the variables. With ``deferred`` it is checked at commit. ``referencing`` names the
    transition tables of a trigger for each statement (``NEW TABLE AS fresh``)."""

    def __init__(
        self,
        model_name: str,
        name: str,
        *,
        when: str,
        body: str,
        declare: str = "",
        deferred: bool = False,
        level: str = "ROW",
        condition: str = "",
        referencing: str = "",
    ) -> None:
        self.model_name = model_name
        self.name = name
        self.when = when
        self.body = body
        self.declare = declare
        self.deferred = deferred
        self.level = level
        self.condition = condition
        self.referencing = referencing

    def describe(self) -> str:
        return f"Guard {self.model_name} by trigger {self.name}"

    @property
    def migration_name_fragment(self) -> str:
        return f"trigger_{self.name}"

    def _forward_sql(self, app_label: str, state: ProjectState) -> list[str]:
        table = _model(app_label, self.model_name, state)._meta.db_table
        declare = f"DECLARE {self.declare}" if self.declare else ""
        kind = "CONSTRAINT TRIGGER" if self.deferred else "TRIGGER"
        deferred = "DEFERRABLE INITIALLY DEFERRED" if self.deferred else ""
        condition = f"WHEN ({self.condition})" if self.condition else ""
        referencing = f"REFERENCING {self.referencing}" if self.referencing else ""
        return [
            (
                f"CREATE OR REPLACE FUNCTION {self.name}() RETURNS trigger LANGUAGE plpgsql AS "
                f"$body$ {declare} BEGIN {self.body} END $body$"
            ),
            (
                f'CREATE {kind} "{self.name}" {self.when} ON "{table}" {deferred} {referencing} '
                f"FOR EACH {self.level} {condition} EXECUTE FUNCTION {self.name}()"
            ),
        ]

    def _backward_sql(self, app_label: str, state: ProjectState) -> list[str]:
        table = _model(app_label, self.model_name, state)._meta.db_table
        return [
            f'DROP TRIGGER IF EXISTS "{self.name}" ON "{table}"',
            f"DROP FUNCTION IF EXISTS {self.name}()",
        ]


class NoteChanges(_DatabaseOnly):
    """Note every statement that writes one of ``tables``, for ``apps.core.memory.Memory(scope)``."""

    def __init__(self, scope: str, tables: Sequence[str]) -> None:
        self.scope = scope
        self.tables = tables

    def describe(self) -> str:
        return f"Note changes of {', '.join(self.tables)} as {self.scope}"

    @property
    def migration_name_fragment(self) -> str:
        return f"note_{self.scope.replace('.', '_')}"

    def _forward_sql(self, app_label: str, state: ProjectState) -> list[str]:
        return [
            f'CREATE TRIGGER "{self._name}" AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON "{table}" '
            f"FOR EACH STATEMENT EXECUTE FUNCTION core_note_change('{self.scope}')"
            for table in self.tables
        ]

    def _backward_sql(self, app_label: str, state: ProjectState) -> list[str]:
        return [f'DROP TRIGGER IF EXISTS "{self._name}" ON "{table}"' for table in self.tables]

    @property
    def _name(self) -> str:
        return f"{self.scope.replace('.', '_')}_noted"
