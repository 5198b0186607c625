"""What PostgreSQL guards and speeds up for mail."""

from django.db import migrations

from apps.core.db import AddCompanyGuard, AddSearchIndex, AddTrigger

RESERVED = """
    IF EXISTS (
        SELECT 1 FROM mail_aliasdomain d
        WHERE d.id = NEW.domain_id AND NEW.local_part IN (d.bounce, d.catchall)
    ) THEN
        RAISE EXCEPTION '% is kept by the gateway and cannot be an alias', NEW.local_part
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, COLUMN = 'local_part';
    END IF;
    RETURN NEW;
"""
TAKEN = """
    IF EXISTS (
        SELECT 1 FROM mail_alias a WHERE a.domain_id = NEW.id AND a.local_part IN (NEW.bounce, NEW.catchall)
    ) THEN
        RAISE EXCEPTION 'an alias uses this address already'
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, COLUMN = 'catchall';
    END IF;
    RETURN NEW;
"""


class Migration(migrations.Migration):
    dependencies = [("mail", "0001_initial"), ("core", "0002_kernel")]

    operations = [
        AddCompanyGuard("alias", ("domain",)),
        AddTrigger("alias", "mail_alias_not_reserved", when="BEFORE INSERT OR UPDATE OF local_part, domain_id", body=RESERVED),
        AddTrigger("aliasdomain", "mail_domain_not_taken", when="BEFORE UPDATE OF bounce, catchall", body=TAKEN),
        AddSearchIndex("alias", ("local_part",)),
        AddSearchIndex("incomingmail", ("subject", "sender", "reason")),
        AddSearchIndex("outgoingmail", ("subject", "to_address")),
    ]
