"""Triggers that keep the commercial entity and the full name of partners true, guards, and the search index."""

from django.db import migrations

from apps.core.db import AddCompanyGuard, AddSearchIndex

# What a row says about itself follows from its parent; what hangs below follows from the row.
PARTNER = """
CREATE FUNCTION contacts_partner_derive() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    above record;
    entity_name text := '';
    own_name text := NEW.name;
BEGIN
    IF NEW.parent_id IS NOT NULL THEN
        SELECT p.id, p.name, p.commercial_entity_id INTO above FROM contacts_partner p WHERE p.id = NEW.parent_id;
    END IF;
    IF NEW.is_company OR NEW.parent_id IS NULL THEN
        NEW.commercial_entity_id := NEW.id;
    ELSE
        NEW.commercial_entity_id := above.commercial_entity_id;
    END IF;
    IF own_name = '' THEN
        own_name := CASE NEW.type WHEN 'invoice' THEN 'Invoice address' WHEN 'delivery' THEN 'Delivery address'
                                  WHEN 'other' THEN 'Other address' ELSE '' END;
    END IF;
    IF NOT NEW.is_company THEN
        IF NEW.parent_id IS NOT NULL THEN
            SELECT p.name INTO entity_name FROM contacts_partner p WHERE p.id = NEW.commercial_entity_id;
            IF coalesce(entity_name, '') = '' THEN
                entity_name := above.name;
            END IF;
        ELSE
            entity_name := NEW.company_name;
        END IF;
    END IF;
    NEW.complete_name := CASE WHEN coalesce(entity_name, '') = '' THEN own_name
                              ELSE entity_name || ', ' || own_name END;
    RETURN NEW;
END $$;
CREATE TRIGGER contacts_partner_derive BEFORE INSERT OR UPDATE OF name, company_name, type, is_company, parent_id,
    commercial_entity_id, complete_name ON contacts_partner
    FOR EACH ROW EXECUTE FUNCTION contacts_partner_derive();

CREATE FUNCTION contacts_partner_spread() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.commercial_entity_id IS DISTINCT FROM OLD.commercial_entity_id THEN
        UPDATE contacts_partner SET commercial_entity_id = NEW.commercial_entity_id
        WHERE parent_id = NEW.id AND NOT is_company AND id <> NEW.id;
    END IF;
    IF NEW.name <> OLD.name OR NEW.is_company <> OLD.is_company THEN
        UPDATE contacts_partner SET complete_name = ''
        WHERE id <> NEW.id AND NOT is_company
          AND (parent_id = NEW.id OR (commercial_entity_id = NEW.id AND parent_id IS NOT NULL));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER contacts_partner_spread AFTER UPDATE ON contacts_partner FOR EACH ROW
    WHEN (NEW.commercial_entity_id IS DISTINCT FROM OLD.commercial_entity_id OR NEW.name <> OLD.name
          OR NEW.is_company <> OLD.is_company)
    EXECUTE FUNCTION contacts_partner_spread();

-- A circle could only close through an UPDATE; two at a time meet at the lock.
CREATE FUNCTION contacts_partner_no_circle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('contacts_partner_parent'));
    IF EXISTS (
        WITH RECURSIVE line(id) AS (
            SELECT NEW.parent_id
            UNION SELECT p.parent_id FROM line JOIN contacts_partner p ON p.id = line.id WHERE p.parent_id IS NOT NULL
        ) SELECT 1 FROM line WHERE id = NEW.id
    ) THEN
        RAISE EXCEPTION 'a contact cannot belong to one that belongs to it'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'contacts_partner_no_circle', TABLE = 'contacts_partner',
                  COLUMN = 'parent_id';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER contacts_partner_no_circle AFTER UPDATE OF parent_id ON contacts_partner FOR EACH ROW
    WHEN (NEW.parent_id IS NOT NULL AND NEW.parent_id IS DISTINCT FROM OLD.parent_id)
    EXECUTE FUNCTION contacts_partner_no_circle();
CREATE FUNCTION contacts_tag_no_circle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('contacts_partnertag_parent'));
    IF EXISTS (
        WITH RECURSIVE line(id) AS (
            SELECT NEW.parent_id
            UNION SELECT t.parent_id FROM line JOIN contacts_partnertag t ON t.id = line.id WHERE t.parent_id IS NOT NULL
        ) SELECT 1 FROM line WHERE id = NEW.id
    ) THEN
        RAISE EXCEPTION 'a tag cannot be below itself'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'contacts_tag_no_circle', TABLE = 'contacts_partnertag',
                  COLUMN = 'parent_id';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER contacts_tag_no_circle AFTER UPDATE OF parent_id ON contacts_partnertag FOR EACH ROW
    WHEN (NEW.parent_id IS NOT NULL AND NEW.parent_id IS DISTINCT FROM OLD.parent_id)
    EXECUTE FUNCTION contacts_tag_no_circle();

-- An active user needs an active contact, and the state of an address lies in its country.
CREATE FUNCTION contacts_partner_guards() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    now_is contacts_partner%ROWTYPE;
BEGIN
    -- What counts is the row as it is at the end, not as this statement left it.
    SELECT * INTO now_is FROM contacts_partner WHERE id = NEW.id;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF NOT now_is.active AND now_is.user_id IS NOT NULL
       AND EXISTS (SELECT 1 FROM access_user WHERE id = now_is.user_id AND active) THEN
        RAISE EXCEPTION 'contact % belongs to an active user and cannot be archived', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'contacts_partner_user_active',
                  TABLE = 'contacts_partner', COLUMN = 'active';
    END IF;
    IF now_is.state_id IS NOT NULL AND now_is.country_id IS DISTINCT FROM
       (SELECT country_id FROM core_countrystate WHERE id = now_is.state_id) THEN
        RAISE EXCEPTION 'the state does not lie in the country'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'contacts_partner_state_in_country',
                  TABLE = 'contacts_partner', COLUMN = 'state_id';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER contacts_partner_guards AFTER INSERT OR UPDATE OF active, user_id, state_id, country_id
    ON contacts_partner DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION contacts_partner_guards();

-- What an actor knows about its own partner is kept in memory under the user's stamp.
CREATE FUNCTION contacts_partner_stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE access_user SET rights_stamp = nextval('access_rights_stamps')
    WHERE id IN (CASE WHEN TG_OP <> 'INSERT' THEN OLD.user_id END, CASE WHEN TG_OP <> 'DELETE' THEN NEW.user_id END);
    RETURN NULL;
END $$;
CREATE TRIGGER contacts_partner_stamp_new AFTER INSERT ON contacts_partner FOR EACH ROW
    WHEN (NEW.user_id IS NOT NULL) EXECUTE FUNCTION contacts_partner_stamp();
CREATE TRIGGER contacts_partner_stamp_changed AFTER UPDATE ON contacts_partner FOR EACH ROW
    WHEN ((NEW.user_id IS NOT NULL OR OLD.user_id IS NOT NULL)
          AND (NEW.user_id IS DISTINCT FROM OLD.user_id
               OR NEW.commercial_entity_id IS DISTINCT FROM OLD.commercial_entity_id))
    EXECUTE FUNCTION contacts_partner_stamp();
CREATE TRIGGER contacts_partner_stamp_gone AFTER DELETE ON contacts_partner FOR EACH ROW
    WHEN (OLD.user_id IS NOT NULL) EXECUTE FUNCTION contacts_partner_stamp();
"""
PARTNER_BACK = """
DROP TRIGGER contacts_partner_derive ON contacts_partner;
DROP TRIGGER contacts_partner_spread ON contacts_partner;
DROP TRIGGER contacts_partner_no_circle ON contacts_partner;
DROP TRIGGER contacts_tag_no_circle ON contacts_partnertag;
DROP TRIGGER contacts_partner_guards ON contacts_partner;
DROP TRIGGER contacts_partner_stamp_new ON contacts_partner;
DROP TRIGGER contacts_partner_stamp_changed ON contacts_partner;
DROP TRIGGER contacts_partner_stamp_gone ON contacts_partner;
DROP FUNCTION contacts_partner_derive();
DROP FUNCTION contacts_partner_spread();
DROP FUNCTION contacts_partner_no_circle();
DROP FUNCTION contacts_tag_no_circle();
DROP FUNCTION contacts_partner_guards();
DROP FUNCTION contacts_partner_stamp();
"""

MONEY = """
CREATE FUNCTION contacts_account_distrust() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.trusted := false;
    NEW.trusted_at := NULL;
    NEW.trusted_by_id := NULL;
    RETURN NEW;
END $$;
CREATE TRIGGER contacts_account_distrust BEFORE UPDATE OF sanitized ON contacts_bankaccount FOR EACH ROW
    WHEN (NEW.sanitized <> OLD.sanitized) EXECUTE FUNCTION contacts_account_distrust();

CREATE FUNCTION contacts_rate_of_root() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    owner record;
BEGIN
    IF NEW.company_id IS NOT NULL THEN
        SELECT parent_id, currency_id INTO owner FROM access_company WHERE id = NEW.company_id;
        IF owner.parent_id IS NOT NULL THEN
            RAISE EXCEPTION 'branches use the rates of their company'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'contacts_rate_of_root',
                      TABLE = 'contacts_currencyrate', COLUMN = 'company_id';
        END IF;
        IF owner.currency_id <> NEW.base_id THEN
            RAISE EXCEPTION 'the rates of a company are per unit of its own currency'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'contacts_rate_base_of_company',
                      TABLE = 'contacts_currencyrate', COLUMN = 'base_id';
        END IF;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER contacts_rate_of_root AFTER INSERT OR UPDATE ON contacts_currencyrate
    FOR EACH ROW EXECUTE FUNCTION contacts_rate_of_root();

CREATE FUNCTION contacts_currency_in_use() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM access_company WHERE currency_id = NEW.id AND active) THEN
        RAISE EXCEPTION 'currency % is the currency of a company', NEW.code
            USING ERRCODE = 'check_violation', CONSTRAINT = 'contacts_currency_in_use', TABLE = 'core_currency',
                  COLUMN = 'active';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER contacts_currency_in_use AFTER UPDATE OF active ON core_currency FOR EACH ROW
    WHEN (OLD.active AND NOT NEW.active) EXECUTE FUNCTION contacts_currency_in_use();
"""
MONEY_BACK = """
DROP TRIGGER contacts_account_distrust ON contacts_bankaccount;
DROP TRIGGER contacts_rate_of_root ON contacts_currencyrate;
DROP TRIGGER contacts_currency_in_use ON core_currency;
DROP FUNCTION contacts_account_distrust();
DROP FUNCTION contacts_rate_of_root();
DROP FUNCTION contacts_currency_in_use();
"""


class Migration(migrations.Migration):
    dependencies = [("contacts", "0001_initial"), ("access", "0002_guards"), ("core", "0002_kernel")]

    operations = [
        migrations.RunSQL(PARTNER, PARTNER_BACK),
        migrations.RunSQL(MONEY, MONEY_BACK),
        AddSearchIndex("partner", ("complete_name", "email", "ref", "tax_id", "phone_digits")),
        AddCompanyGuard("partner", ("parent",)),
        AddCompanyGuard("bankaccount", ("partner",)),
        AddCompanyGuard("partnertag", ("parent",)),
    ]
