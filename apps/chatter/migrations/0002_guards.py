"""What PostgreSQL keeps of the promises about threads, whoever writes."""

from django.db import migrations

from apps.core.db import AddTrigger

REFUSED = "USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME"


class Migration(migrations.Migration):
    dependencies = [
        ("chatter", "0001_initial"),
        ("core", "0002_kernel"),
        ("contacts", "0002_guards"),
    ]

    operations = [
        # A message of an internal or unknown kind is internal, whatever the writer says; and what was written for
        # employees never becomes public.
        AddTrigger(
            "message",
            "chatter_message_stays_internal",
            when="BEFORE INSERT OR UPDATE OF is_internal, subtype_id",
            body=f"""
                IF NEW.subtype_id IS NULL
                   OR EXISTS (SELECT 1 FROM chatter_subtype s WHERE s.id = NEW.subtype_id AND s.internal) THEN
                    NEW.is_internal := true;
                END IF;
                IF TG_OP = 'UPDATE' AND OLD.is_internal AND NOT NEW.is_internal THEN
                    RAISE EXCEPTION 'message % was written for employees and cannot become public', NEW.id {REFUSED};
                END IF;
                RETURN NEW;
            """,
        ),
        # Nobody but an employee is told about an internal message.
        AddTrigger(
            "notification",
            "chatter_notification_internal",
            when="BEFORE INSERT OR UPDATE OF message_id, partner_id",
            body=f"""
                IF EXISTS (SELECT 1 FROM chatter_message m WHERE m.id = NEW.message_id AND m.is_internal)
                   AND NOT EXISTS (
                       SELECT 1 FROM contacts_partner p JOIN access_user u ON u.id = p.user_id
                       WHERE p.id = NEW.partner_id AND u.kind = 'internal') THEN
                    RAISE EXCEPTION 'message % is for employees; partner % is none', NEW.message_id, NEW.partner_id
                        {REFUSED};
                END IF;
                RETURN NEW;
            """,
        ),
        # History is not rewritten.
        AddTrigger(
            "trackedvalue",
            "chatter_tracked_unchanged",
            when="BEFORE UPDATE",
            body="""
                RAISE EXCEPTION 'recorded changes cannot be changed'
                    USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
            """,
        ),
        # The bytes behind a checksum are what they are.
        AddTrigger(
            "storedobject",
            "chatter_object_unchanged",
            when="BEFORE UPDATE OF checksum, size",
            body="""
                IF NEW.checksum IS DISTINCT FROM OLD.checksum OR NEW.size IS DISTINCT FROM OLD.size THEN
                    RAISE EXCEPTION 'stored content cannot be changed'
                        USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
                END IF;
                RETURN NEW;
            """,
        ),
        # Types of activity that the program relies on stay.
        AddTrigger(
            "activitytype",
            "chatter_activity_type_built_in",
            when="BEFORE DELETE",
            condition="OLD.code <> ''",
            body="""
                RAISE EXCEPTION 'type of activity % is used by the program', OLD.code
                    USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
            """,
        ),
    ]
