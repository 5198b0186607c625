"""What processes look at to know that set-up rows changed: a row for every statement that wrote one of the tables of a scope.

Rows are added, never changed, so that nobody waits for anybody; ``apps.core.memory`` tells how they are read. Old ones go when
a number of new ones has come, those that somebody else is just taking away excepted.
"""

from django.db import migrations

CHANGES = """
CREATE TABLE core_change (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, scope text NOT NULL);
CREATE INDEX core_change_scope ON core_change (scope, id);
CREATE FUNCTION core_note_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last bigint;
BEGIN
    INSERT INTO core_change (scope) VALUES (TG_ARGV[0]) RETURNING id INTO last;
    IF last % 256 = 0 THEN
        DELETE FROM core_change WHERE id IN (
            SELECT id FROM core_change WHERE scope = TG_ARGV[0] AND id < last - 256 FOR UPDATE SKIP LOCKED
        );
    END IF;
    RETURN NULL;
END
$$;
"""
CHANGES_BACK = """
DROP FUNCTION core_note_change();
DROP TABLE core_change;
"""


class Migration(migrations.Migration):
    dependencies = [("core", "0003_numbering_and_jobs")]

    operations = [migrations.RunSQL(CHANGES, CHANGES_BACK)]
