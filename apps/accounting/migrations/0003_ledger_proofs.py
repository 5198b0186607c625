"""Guards of what the ledger rests on: items and their entry, the ends of series and chains, lock exceptions, and the set-up.

``docs/accounting-ledger.md`` tells each in words.
"""

from django.db import migrations

from apps.core.db import AddTrigger

# An item is posted exactly when its entry is, whatever order the rows come in. The key takes the place of a plain foreign key
# and costs the same look. It has no more columns than that: with journal or date in it, a server that has no statistics yet
# could look for the entry by those instead, through all entries of the journal.
ITEM_WITH_ENTRY = """
ALTER TABLE accounting_journalentry ADD COLUMN is_posted boolean GENERATED ALWAYS AS (state = 'posted') STORED;
ALTER TABLE accounting_journalentry ADD CONSTRAINT accounting_entry_of_items UNIQUE (id, is_posted);
ALTER TABLE accounting_journalitem ADD CONSTRAINT accounting_item_with_entry
    FOREIGN KEY (entry_id, posted) REFERENCES accounting_journalentry (id, is_posted) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX accounting_entry_to_reverse ON accounting_journalentry (auto_reverse_on)
    WHERE state = 'posted' AND auto_reverse_on IS NOT NULL;
CREATE UNIQUE INDEX accounting_item_first ON accounting_journalitem (entry_id) WHERE posted AND position = 0;
ALTER TABLE accounting_journalitem ADD CONSTRAINT accounting_item_is_number CHECK (
    'NaN' NOT IN (debit, credit, amount_currency, tax_base_amount)
    AND quantity IS DISTINCT FROM 'NaN' AND discount_amount_currency IS DISTINCT FROM 'NaN'
);
"""
ITEM_WITH_ENTRY_BACK = """
ALTER TABLE accounting_journalitem DROP CONSTRAINT accounting_item_is_number;
DROP INDEX accounting_item_first;
DROP INDEX accounting_entry_to_reverse;
ALTER TABLE accounting_journalitem DROP CONSTRAINT accounting_item_with_entry;
ALTER TABLE accounting_journalentry DROP CONSTRAINT accounting_entry_of_items;
ALTER TABLE accounting_journalentry DROP COLUMN is_posted;
"""

# ------------------------------------------------------------------------------------------------ series and chains
SERIES_CHANGES = """
    IF (NEW.id, NEW.journal_id, NEW.kind, NEW.prefix, NEW.suffix, NEW.padding, NEW.first_number)
       IS DISTINCT FROM (OLD.id, OLD.journal_id, OLD.kind, OLD.prefix, OLD.suffix, OLD.padding, OLD.first_number)
       AND EXISTS (SELECT 1 FROM accounting_journalentry WHERE series_id = OLD.id) THEN
        RAISE EXCEPTION 'the series % has numbers; only the next one moves', OLD.prefix
            USING ERRCODE = 'check_violation', CONSTRAINT = 'accounting_series_fixed';
    END IF;
    RETURN NEW;
"""
SERIES_NEXT = """
    SELECT s.next_number,
           coalesce((SELECT max(e.series_number) + 1 FROM accounting_journalentry e WHERE e.series_id = s.id), s.first_number)
    INTO stands, due FROM accounting_numberseries s WHERE s.id = NEW.id;
    IF FOUND AND stands <> due THEN
        RAISE EXCEPTION 'the next number of the series % is %, not %', NEW.prefix, due, stands
            USING ERRCODE = 'check_violation', CONSTRAINT = 'accounting_series_next', COLUMN = 'next_number';
    END IF;
    RETURN NULL;
"""
CHAIN_END = """
    FOR home IN SELECT DISTINCT unnest(ARRAY[NEW.journal_id, OLD.journal_id]) LOOP
        CONTINUE WHEN home IS NULL;
        stored := NULL;
        SELECT c.length, c.last_hash INTO stored FROM accounting_journalchain c WHERE c.journal_id = home;
        SELECT e.chain_index, e.hash INTO last FROM accounting_journalentry e
        WHERE e.journal_id = home AND e.chain_index IS NOT NULL ORDER BY e.chain_index DESC LIMIT 1;
        IF coalesce(stored.length, 0) <> coalesce(last.chain_index, 0) OR coalesce(stored.last_hash, '') <> coalesce(last.hash, '') THEN
            RAISE EXCEPTION 'the chain of journal % ends at its last entry', home
                USING ERRCODE = 'check_violation', CONSTRAINT = 'accounting_chain_end';
        END IF;
    END LOOP;
    RETURN NULL;
"""

# ------------------------------------------------------------------------------------------------------------ locks
EXCEPTION_KEPT = """
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'exceptions from locks are kept; revoke it instead'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'accounting_lock_exception_kept';
    END IF;
    IF (NEW.id, NEW.company_id, NEW.kind, NEW.lock_date, NEW.user_id, NEW.until, NEW.reason, NEW.created_at, NEW.created_by_id)
       IS DISTINCT FROM (OLD.id, OLD.company_id, OLD.kind, OLD.lock_date, OLD.user_id, OLD.until, OLD.reason, OLD.created_at,
                         OLD.created_by_id)
       OR OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at THEN
        RAISE EXCEPTION 'an exception from a lock is revoked, never changed; make another one'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'accounting_lock_exception_kept';
    END IF;
    RETURN NEW;
"""

# ----------------------------------------------------------------------------------------------------------- set-up
# The balances know what was ever posted: their rows are folded, never removed.
ACCOUNT_FIXED = """
    IF NEW.company_id = OLD.company_id AND NEW.type = OLD.type AND NEW.currency_id IS NOT DISTINCT FROM OLD.currency_id THEN
        RETURN NEW;
    END IF;
    -- wait for items that are being written and have looked at the account as it was
    LOCK TABLE accounting_journalitem IN SHARE ROW EXCLUSIVE MODE;
    IF NOT EXISTS (SELECT 1 FROM accounting_periodbalance WHERE account_id = OLD.id) THEN
        RETURN NEW;
    END IF;
    IF NEW.company_id <> OLD.company_id THEN
        RAISE EXCEPTION 'account % has items and stays in its company', OLD.code
            USING ERRCODE = 'check_violation', CONSTRAINT = 'accounting_account_company_fixed', COLUMN = 'company_id';
    END IF;
    IF (NEW.type IN ('asset_receivable', 'liability_payable'), NEW.type = 'off_balance')
       <> (OLD.type IN ('asset_receivable', 'liability_payable'), OLD.type = 'off_balance') THEN
        RAISE EXCEPTION 'account % has items; it stays, or stays not, one of partners or off balance', OLD.code
            USING ERRCODE = 'check_violation', CONSTRAINT = 'accounting_account_type_fixed', COLUMN = 'type';
    END IF;
    IF NEW.currency_id IS NOT NULL AND EXISTS (
        SELECT 1 FROM accounting_periodbalance WHERE account_id = OLD.id AND currency_id <> NEW.currency_id
    ) THEN
        RAISE EXCEPTION 'account % has items in other currencies', OLD.code
            USING ERRCODE = 'check_violation', CONSTRAINT = 'accounting_account_currency_fixed', COLUMN = 'currency_id';
    END IF;
    RETURN NEW;
"""
SETUP_BELOW = """
CREATE FUNCTION accounting_currency_fixed() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
    IF (NEW.code <> OLD.code OR mod(OLD.rounding, NEW.rounding) <> 0) AND EXISTS (
        SELECT 1 FROM accounting_periodbalance b JOIN access_company c ON c.id = b.company_id
        WHERE b.currency_id = OLD.id OR c.currency_id = OLD.id
    ) THEN
        RAISE EXCEPTION 'the books have amounts in %: its code and its smallest step are fixed', OLD.code
            USING ERRCODE = 'check_violation', CONSTRAINT = 'accounting_currency_fixed', COLUMN = 'rounding';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER accounting_currency_fixed BEFORE UPDATE OF code, rounding ON core_currency
    FOR EACH ROW EXECUTE FUNCTION accounting_currency_fixed();
CREATE FUNCTION accounting_company_currency_fixed() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
    IF NEW.currency_id <> OLD.currency_id AND EXISTS (
        SELECT 1 FROM accounting_periodbalance WHERE company_id = OLD.id
    ) THEN
        RAISE EXCEPTION 'company % has posted entries and keeps its currency', OLD.name
            USING ERRCODE = 'check_violation', CONSTRAINT = 'accounting_company_currency_fixed', COLUMN = 'currency_id';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER accounting_company_currency_fixed BEFORE UPDATE OF currency_id ON access_company
    FOR EACH ROW EXECUTE FUNCTION accounting_company_currency_fixed();
"""
SETUP_BELOW_BACK = """
DROP TRIGGER accounting_company_currency_fixed ON access_company;
DROP FUNCTION accounting_company_currency_fixed();
DROP TRIGGER accounting_currency_fixed ON core_currency;
DROP FUNCTION accounting_currency_fixed();
"""

# --------------------------------------------------------------------------------------------------------- balances
# Rows of one key become one row with their sums. Only committed rows are seen; postings add rows meanwhile and never wait.
FOLD = """
CREATE FUNCTION accounting_fold_balances(most integer) RETURNS bigint LANGUAGE plpgsql AS
$$
DECLARE
    folded bigint := 0;
    step bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock(7301011, 0) THEN
        RETURN 0;  -- another one folds
    END IF;
    WITH crowded AS (
        SELECT company_id, account_id, month, currency_id FROM accounting_periodbalance
        GROUP BY 1, 2, 3, 4 HAVING count(*) > 1 LIMIT most
    ), gone AS (
        DELETE FROM accounting_periodbalance b USING crowded c
        WHERE b.company_id = c.company_id AND b.account_id = c.account_id AND b.month = c.month
          AND b.currency_id = c.currency_id
        RETURNING b.*
    ), made AS (
        INSERT INTO accounting_periodbalance
            (company_id, account_id, month, currency_id, debit, credit, amount_currency, items)
        SELECT company_id, account_id, month, currency_id, sum(debit), sum(credit), sum(amount_currency), sum(items)
        FROM gone GROUP BY 1, 2, 3, 4
    ) SELECT count(*) INTO step FROM gone;
    folded := folded + step;
    WITH crowded AS (
        SELECT company_id, account_id, partner_id, month, currency_id FROM accounting_partnerbalance
        GROUP BY 1, 2, 3, 4, 5 HAVING count(*) > 1 LIMIT most
    ), gone AS (
        DELETE FROM accounting_partnerbalance b USING crowded c
        WHERE b.company_id = c.company_id AND b.account_id = c.account_id AND b.month = c.month
          AND b.currency_id = c.currency_id AND b.partner_id IS NOT DISTINCT FROM c.partner_id
        RETURNING b.*
    ), made AS (
        INSERT INTO accounting_partnerbalance
            (company_id, account_id, partner_id, month, currency_id, debit, credit, amount_currency, items)
        SELECT company_id, account_id, partner_id, month, currency_id, sum(debit), sum(credit), sum(amount_currency),
               sum(items)
        FROM gone GROUP BY 1, 2, 3, 4, 5
    ) SELECT count(*) INTO step FROM gone;
    RETURN folded + step;
END
$$;
"""


class Migration(migrations.Migration):
    dependencies = (("accounting", "0002_ledger"), ("access", "0002_guards"))

    operations = (
        migrations.RunSQL(ITEM_WITH_ENTRY, ITEM_WITH_ENTRY_BACK),
        AddTrigger("numberseries", "accounting_series_changes", when="BEFORE UPDATE", body=SERIES_CHANGES),
        AddTrigger(
            "numberseries",
            "accounting_series_next",
            when="AFTER INSERT OR UPDATE",
            deferred=True,
            declare="stands bigint; due bigint;",
            body=SERIES_NEXT,
        ),
        AddTrigger(
            "journalchain",
            "accounting_chain_end",
            when="AFTER INSERT OR UPDATE OR DELETE",
            deferred=True,
            declare="home bigint; stored record; last record;",
            body=CHAIN_END,
        ),
        AddTrigger(
            "lockexception", "accounting_lock_exception_kept", when="BEFORE UPDATE OR DELETE", body=EXCEPTION_KEPT
        ),
        AddTrigger(
            "account",
            "accounting_account_fixed",
            when="BEFORE UPDATE OF company_id, type, currency_id",
            body=ACCOUNT_FIXED,
        ),
        migrations.RunSQL(SETUP_BELOW, SETUP_BELOW_BACK),
        migrations.RunSQL(FOLD, "DROP FUNCTION accounting_fold_balances(integer)"),
    )
