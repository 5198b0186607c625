"""What a module says about its documents. No ORM here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apps.chatter.models import Attachment
    from apps.chatter.types import NewFile
    from apps.core.actor import Actor


class Archive:
    """Documents of one kind that are made once and from then on served byte for byte, such as posted invoices.

    Named by ``ReportSpec.archive``. It is asked for documents of one record only; a document of several is never kept. A
    mark stands for the state of a record that a document shows: with another state the record has another mark, and the
    document kept under the old one is no longer found.
    """

    def find(self, pk: int) -> Attachment | None:
        """The document kept of the record in its present state. The reader's right was checked."""
        raise NotImplementedError(f"{type(self).__name__} does not say where its documents are.")

    def mark(self, pk: int, *, internal: bool) -> str:
        """Under what a document that is about to be rendered will be kept; empty: it is not kept. ``internal`` is
        whether an employee asks."""
        raise NotImplementedError(f"{type(self).__name__} does not say which documents it keeps.")

    def keep(self, pk: int, mark: str, file: NewFile, *, actor: Actor) -> Attachment:
        """Keep the document. Of several that were rendered at once the first stays, and is answered to all."""
        raise NotImplementedError(f"{type(self).__name__} does not keep documents.")
