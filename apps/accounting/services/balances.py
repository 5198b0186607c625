"""Looking after the balances: folding the rows that postings add, and proving that they equal the items."""

from __future__ import annotations

from django.db import connection
from django.utils.translation import gettext as _

from apps.accounting.selectors.balances import differences
from apps.core.errors import Conflict
from apps.core.jobs.handle import RunHandle

KEYS_A_BATCH = 20_000


class BooksDiffer(Conflict):
    """Balances or open amounts are not what the items say; the log of the run lists them."""

    code = "books_differ"


def fold_balances(run: RunHandle) -> None:
    """Scheduled: make one row of the rows of each account, month and currency (and partner). Postings never wait for it:
    they only add rows, and it takes only those it sees."""
    folded = fold(KEYS_A_BATCH)
    run.report(folded, _crowded())


def fold(keys: int = KEYS_A_BATCH) -> int:
    """Fold the rows of at most so many keys a table; answers how many rows there were. 0 while somebody else folds."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT accounting_fold_balances(%s)", [keys])
        row = cursor.fetchone()
    return int(row[0])


def _crowded() -> int:
    """Keys that still have several rows, as far as this transaction sees."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM (SELECT 1 FROM accounting_periodbalance "
            "GROUP BY company_id, account_id, month, currency_id HAVING count(*) > 1) AS p) + "
            "(SELECT count(*) FROM (SELECT 1 FROM accounting_partnerbalance "
            "GROUP BY company_id, account_id, partner_id, month, currency_id HAVING count(*) > 1) AS q)"
        )
        row = cursor.fetchone()
    return int(row[0])


def check_balances(run: RunHandle) -> None:
    """Scheduled: prove that balances and open amounts equal items and matchings. Fails, and so tells the administrators, when
    they do not; nothing is repaired by itself."""
    found = differences()
    for difference in found:
        run.log(difference.text)
    if found:
        raise BooksDiffer(
            _("%(count)s figures of the books differ from their items; the first: %(text)s")
            % {"count": len(found), "text": found[0].text}
        )
    run.report(1, 0)
