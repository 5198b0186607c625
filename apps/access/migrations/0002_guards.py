"""What PostgreSQL refuses about users, roles and companies, and the stamps that tell when rights changed."""

from django.db import migrations

from apps.core.db import AppendOnly

# A sequence that no table owns: TRUNCATE … RESTART IDENTITY leaves it alone, so a stamp never comes twice.
STAMPS = """
CREATE SEQUENCE access_rights_stamps;

CREATE FUNCTION access_bump_roles() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO access_rightsstamp (id, value) VALUES (1, nextval('access_rights_stamps'))
    ON CONFLICT (id) DO UPDATE SET value = nextval('access_rights_stamps');
    RETURN NULL;
END $$;
CREATE TRIGGER access_role_stamp AFTER INSERT OR UPDATE OR DELETE ON access_role
    FOR EACH STATEMENT EXECUTE FUNCTION access_bump_roles();
CREATE TRIGGER access_implication_stamp AFTER INSERT OR UPDATE OR DELETE ON access_roleimplication
    FOR EACH STATEMENT EXECUTE FUNCTION access_bump_roles();
CREATE TRIGGER access_grant_stamp AFTER INSERT OR UPDATE OR DELETE ON access_rolegrant
    FOR EACH STATEMENT EXECUTE FUNCTION access_bump_roles();
CREATE TRIGGER access_company_stamp AFTER INSERT OR UPDATE OF active, sequence, parent_id OR DELETE ON access_company
    FOR EACH STATEMENT EXECUTE FUNCTION access_bump_roles();

CREATE FUNCTION access_bump_users_new() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE access_user SET rights_stamp = nextval('access_rights_stamps')
    WHERE id IN (SELECT user_id FROM fresh);
    RETURN NULL;
END $$;
CREATE FUNCTION access_bump_users_old() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE access_user SET rights_stamp = nextval('access_rights_stamps')
    WHERE id IN (SELECT user_id FROM gone);
    RETURN NULL;
END $$;
CREATE TRIGGER access_userrole_stamp_new AFTER INSERT ON access_userrole
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION access_bump_users_new();
CREATE TRIGGER access_userrole_stamp_changed AFTER UPDATE ON access_userrole
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION access_bump_users_new();
CREATE TRIGGER access_userrole_stamp_moved AFTER UPDATE ON access_userrole
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION access_bump_users_old();
CREATE TRIGGER access_userrole_stamp_old AFTER DELETE ON access_userrole
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION access_bump_users_old();
CREATE TRIGGER access_usercompany_stamp_new AFTER INSERT ON access_user_companies
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION access_bump_users_new();
CREATE TRIGGER access_usercompany_stamp_old AFTER DELETE ON access_user_companies
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION access_bump_users_old();

-- An instance that was loaded before a change and is saved afterwards must not bring the old stamp back.
CREATE FUNCTION access_user_stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.rights_stamp := nextval('access_rights_stamps');
    ELSIF NEW.kind <> OLD.kind OR NEW.company_id IS DISTINCT FROM OLD.company_id THEN
        NEW.rights_stamp := nextval('access_rights_stamps');
    ELSE
        NEW.rights_stamp := greatest(NEW.rights_stamp, OLD.rights_stamp);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER access_user_stamp BEFORE INSERT OR UPDATE ON access_user
    FOR EACH ROW EXECUTE FUNCTION access_user_stamp();
"""

STAMPS_BACK = """
DROP TRIGGER access_role_stamp ON access_role;
DROP TRIGGER access_implication_stamp ON access_roleimplication;
DROP TRIGGER access_grant_stamp ON access_rolegrant;
DROP TRIGGER access_company_stamp ON access_company;
DROP TRIGGER access_userrole_stamp_new ON access_userrole;
DROP TRIGGER access_userrole_stamp_changed ON access_userrole;
DROP TRIGGER access_userrole_stamp_moved ON access_userrole;
DROP TRIGGER access_userrole_stamp_old ON access_userrole;
DROP TRIGGER access_usercompany_stamp_new ON access_user_companies;
DROP TRIGGER access_usercompany_stamp_old ON access_user_companies;
DROP TRIGGER access_user_stamp ON access_user;
DROP FUNCTION access_bump_roles();
DROP FUNCTION access_bump_users_new();
DROP FUNCTION access_bump_users_old();
DROP FUNCTION access_user_stamp();
DROP SEQUENCE access_rights_stamps;
"""

# The own company is one of the companies; looked at when the transaction ends, so that the order of writing is free.
MEMBERSHIP = """
CREATE FUNCTION access_user_works_for_own_company() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    broken bigint;
BEGIN
    SELECT u.id INTO broken FROM access_user u
    WHERE u.id = CASE WHEN TG_TABLE_NAME = 'access_user' THEN (to_jsonb(NEW) ->> 'id')::bigint
                      ELSE (to_jsonb(OLD) ->> 'user_id')::bigint END
      AND u.active AND u.company_id IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM access_user_companies c WHERE c.user_id = u.id AND c.company_id = u.company_id);
    IF broken IS NOT NULL THEN
        RAISE EXCEPTION 'the default company of user % is not one of the companies that the user works for', broken
            USING ERRCODE = 'check_violation', CONSTRAINT = 'access_user_company_allowed', TABLE = 'access_user',
                  COLUMN = 'company_id';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER access_user_company_allowed AFTER INSERT OR UPDATE OF company_id, active ON access_user
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION access_user_works_for_own_company();
CREATE CONSTRAINT TRIGGER access_user_companies_allowed AFTER UPDATE OR DELETE ON access_user_companies
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION access_user_works_for_own_company();
"""
MEMBERSHIP_BACK = """
DROP TRIGGER access_user_company_allowed ON access_user;
DROP TRIGGER access_user_companies_allowed ON access_user_companies;
DROP FUNCTION access_user_works_for_own_company();
"""

# A user is of one kind and so are the roles he holds. The locks make concurrent writers wait for each other.
KINDS = """
CREATE FUNCTION access_userrole_kind() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    of_user text;
    of_role text;
BEGIN
    SELECT kind INTO of_user FROM access_user WHERE id = NEW.user_id FOR SHARE;
    SELECT kind INTO of_role FROM access_role WHERE id = NEW.role_id FOR SHARE;
    IF of_user <> of_role THEN
        RAISE EXCEPTION 'a % user cannot hold a role for % users: a user is of one kind', of_user, of_role
            USING ERRCODE = 'check_violation', CONSTRAINT = 'access_userrole_kind', TABLE = 'access_userrole',
                  COLUMN = 'role_id';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER access_userrole_kind BEFORE INSERT OR UPDATE ON access_userrole
    FOR EACH ROW EXECUTE FUNCTION access_userrole_kind();

CREATE FUNCTION access_user_kind_of_roles() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM access_userrole h JOIN access_role r ON r.id = h.role_id
               JOIN access_user u ON u.id = h.user_id
               WHERE h.user_id = NEW.id AND r.kind <> u.kind) THEN
        RAISE EXCEPTION 'user % cannot become a % user while holding roles of another kind', NEW.id, NEW.kind
            USING ERRCODE = 'check_violation', CONSTRAINT = 'access_user_kind_of_roles', TABLE = 'access_user',
                  COLUMN = 'kind';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER access_user_kind_of_roles AFTER UPDATE OF kind ON access_user
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.kind <> NEW.kind) EXECUTE FUNCTION access_user_kind_of_roles();

CREATE FUNCTION access_role_kind_fits() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM access_userrole h JOIN access_user u ON u.id = h.user_id
               WHERE h.role_id = NEW.id AND u.kind <> NEW.kind)
       OR EXISTS (SELECT 1 FROM access_roleimplication i JOIN access_role r
                  ON r.id = CASE WHEN i.role_id = NEW.id THEN i.implied_id ELSE i.role_id END
                  WHERE NEW.id IN (i.role_id, i.implied_id) AND r.kind <> NEW.kind) THEN
        RAISE EXCEPTION 'role % has users or implied roles of another kind', NEW.code
            USING ERRCODE = 'check_violation', CONSTRAINT = 'access_role_kind_fits', TABLE = 'access_role',
                  COLUMN = 'kind';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER access_role_kind_fits AFTER UPDATE OF kind ON access_role
    FOR EACH ROW WHEN (OLD.kind <> NEW.kind) EXECUTE FUNCTION access_role_kind_fits();

CREATE FUNCTION access_implication_fits() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('access_roleimplication'));
    IF (SELECT count(DISTINCT kind) FROM access_role WHERE id IN (NEW.role_id, NEW.implied_id)) > 1 THEN
        RAISE EXCEPTION 'a role can only imply roles for the same kind of user'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'access_implication_kind',
                  TABLE = 'access_roleimplication', COLUMN = 'implied_id';
    END IF;
    IF EXISTS (
        WITH RECURSIVE held(id) AS (
            SELECT NEW.implied_id
            UNION SELECT i.implied_id FROM held JOIN access_roleimplication i ON i.role_id = held.id
        ) SELECT 1 FROM held WHERE id = NEW.role_id
    ) THEN
        RAISE EXCEPTION 'the role would imply itself in a circle'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'access_implication_no_circle',
                  TABLE = 'access_roleimplication', COLUMN = 'implied_id';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER access_implication_fits AFTER INSERT OR UPDATE ON access_roleimplication
    FOR EACH ROW EXECUTE FUNCTION access_implication_fits();
"""
KINDS_BACK = """
DROP TRIGGER access_userrole_kind ON access_userrole;
DROP TRIGGER access_user_kind_of_roles ON access_user;
DROP TRIGGER access_role_kind_fits ON access_role;
DROP TRIGGER access_implication_fits ON access_roleimplication;
DROP FUNCTION access_userrole_kind();
DROP FUNCTION access_user_kind_of_roles();
DROP FUNCTION access_role_kind_fits();
DROP FUNCTION access_implication_fits();
"""

# Once somebody administers the installation, somebody always does. Two transactions that each take one of the
# last two away meet at the advisory lock; the second then sees what the first did.
ADMINISTRATOR = """
CREATE FUNCTION access_admin_roles() RETURNS SETOF bigint LANGUAGE sql STABLE AS $$
    WITH RECURSIVE above(id) AS (
        SELECT id FROM access_role WHERE code = 'access.administrator'
        UNION SELECT i.role_id FROM above JOIN access_roleimplication i ON i.implied_id = above.id
    ) SELECT id FROM above
$$;
CREATE FUNCTION access_administrator_remains() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    old_row jsonb := to_jsonb(OLD);
    concerned boolean;
BEGIN
    IF TG_TABLE_NAME = 'access_userrole' THEN
        concerned := (old_row ->> 'role_id')::bigint IN (SELECT access_admin_roles());
    ELSIF TG_TABLE_NAME = 'access_user' THEN
        concerned := EXISTS (SELECT 1 FROM access_userrole h WHERE h.user_id = (old_row ->> 'id')::bigint
                             AND h.role_id IN (SELECT access_admin_roles()));
    ELSIF TG_TABLE_NAME = 'access_roleimplication' THEN
        concerned := (old_row ->> 'implied_id')::bigint IN (SELECT access_admin_roles());
    ELSE
        concerned := (old_row ->> 'id')::bigint IN (SELECT access_admin_roles());
    END IF;
    IF NOT concerned THEN
        RETURN NULL;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('access_administrator_remains'));
    IF NOT EXISTS (
        SELECT 1 FROM access_user u JOIN access_userrole h ON h.user_id = u.id
        JOIN access_role r ON r.id = h.role_id AND r.active
        WHERE u.active AND u.kind = 'internal' AND u.special = '' AND h.role_id IN (SELECT access_admin_roles())
    ) THEN
        RAISE EXCEPTION 'the last administrator cannot be taken away'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'access_administrator_remains', TABLE = 'access_user';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER access_admin_role_taken AFTER UPDATE OR DELETE ON access_userrole
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION access_administrator_remains();
CREATE CONSTRAINT TRIGGER access_admin_user_gone AFTER UPDATE OF active, kind, special ON access_user
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN ((OLD.active AND NOT NEW.active) OR OLD.kind <> NEW.kind OR OLD.special <> NEW.special)
    EXECUTE FUNCTION access_administrator_remains();
CREATE CONSTRAINT TRIGGER access_admin_implication_gone AFTER UPDATE OR DELETE ON access_roleimplication
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION access_administrator_remains();
CREATE CONSTRAINT TRIGGER access_admin_role_gone AFTER UPDATE OF active, code ON access_role
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN ((OLD.active AND NOT NEW.active) OR OLD.code <> NEW.code)
    EXECUTE FUNCTION access_administrator_remains();
"""
ADMINISTRATOR_BACK = """
DROP TRIGGER access_admin_role_taken ON access_userrole;
DROP TRIGGER access_admin_user_gone ON access_user;
DROP TRIGGER access_admin_implication_gone ON access_roleimplication;
DROP TRIGGER access_admin_role_gone ON access_role;
DROP FUNCTION access_administrator_remains();
DROP FUNCTION access_admin_roles();
"""

SPECIAL_USERS = """
CREATE FUNCTION access_special_user_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.special <> '' THEN
            RAISE EXCEPTION 'the platform needs this account: it cannot be deleted'
                USING ERRCODE = 'restrict_violation', CONSTRAINT = 'access_special_user_stays';
        END IF;
        RETURN OLD;
    END IF;
    IF NEW.special <> OLD.special OR (OLD.special <> '' AND NEW.kind <> OLD.kind) THEN
        RAISE EXCEPTION 'the platform needs this account: it cannot become another'
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'access_special_user_stays';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER access_special_user_stays BEFORE UPDATE OR DELETE ON access_user
    FOR EACH ROW EXECUTE FUNCTION access_special_user_stays();
"""
SPECIAL_USERS_BACK = """
DROP TRIGGER access_special_user_stays ON access_user;
DROP FUNCTION access_special_user_stays();
"""

COMPANIES = """
CREATE FUNCTION access_company_tree() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    own_currency bigint;
    root_currency bigint;
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.parent_id IS DISTINCT FROM OLD.parent_id THEN
        RAISE EXCEPTION 'the place of a company in the tree cannot change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'access_company_tree_fixed', TABLE = 'access_company',
                  COLUMN = 'parent_id';
    END IF;
    IF NEW.parent_id IS NOT NULL THEN
        SELECT currency_id INTO own_currency FROM access_company WHERE id = NEW.id;
        SELECT currency_id INTO root_currency FROM access_company WHERE id = NEW.parent_id FOR SHARE;
        IF FOUND AND own_currency IS NOT NULL AND root_currency IS DISTINCT FROM own_currency THEN
            RAISE EXCEPTION 'a branch has the currency of its company'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'access_company_branch_currency',
                      TABLE = 'access_company', COLUMN = 'currency_id';
        END IF;
    END IF;
    IF TG_OP = 'UPDATE' AND EXISTS (
        SELECT 1 FROM access_company root JOIN access_company branch ON branch.parent_id = root.id
        WHERE root.id = NEW.id AND branch.currency_id <> root.currency_id
    ) THEN
        RAISE EXCEPTION 'a branch has the currency of its company'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'access_company_branch_currency',
                  TABLE = 'access_company', COLUMN = 'currency_id';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER access_company_tree AFTER INSERT OR UPDATE OF parent_id, currency_id ON access_company
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION access_company_tree();

CREATE FUNCTION access_company_in_use() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM access_user WHERE company_id = NEW.id AND active) THEN
        RAISE EXCEPTION 'active users have company % as their own', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'access_company_in_use', TABLE = 'access_company',
                  COLUMN = 'active';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER access_company_in_use AFTER UPDATE OF active ON access_company
    FOR EACH ROW WHEN (OLD.active AND NOT NEW.active) EXECUTE FUNCTION access_company_in_use();

CREATE FUNCTION access_user_company_active() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.active AND NEW.company_id IS NOT NULL
       AND NOT (SELECT active FROM access_company WHERE id = NEW.company_id FOR SHARE) THEN
        RAISE EXCEPTION 'an archived company cannot be the own company of an active user'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'access_user_company_active', TABLE = 'access_user',
                  COLUMN = 'company_id';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER access_user_company_active AFTER INSERT OR UPDATE OF company_id, active ON access_user
    FOR EACH ROW EXECUTE FUNCTION access_user_company_active();
"""
COMPANIES_BACK = """
DROP TRIGGER access_company_tree ON access_company;
DROP TRIGGER access_company_in_use ON access_company;
DROP TRIGGER access_user_company_active ON access_user;
DROP FUNCTION access_company_tree();
DROP FUNCTION access_company_in_use();
DROP FUNCTION access_user_company_active();
"""


class Migration(migrations.Migration):
    dependencies = [("access", "0001_initial"), ("core", "0001_reference")]

    operations = [
        migrations.RunSQL(STAMPS, STAMPS_BACK),
        migrations.RunSQL(MEMBERSHIP, MEMBERSHIP_BACK),
        migrations.RunSQL(KINDS, KINDS_BACK),
        migrations.RunSQL(ADMINISTRATOR, ADMINISTRATOR_BACK),
        migrations.RunSQL(SPECIAL_USERS, SPECIAL_USERS_BACK),
        migrations.RunSQL(COMPANIES, COMPANIES_BACK),
        AppendOnly("AuditEntry"),
        AppendOnly("AuditSeal"),
    ]
