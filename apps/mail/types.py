"""Plain values of the gateway. No ORM here."""

from __future__ import annotations

from dataclasses import dataclass, field

from apps.chatter.types import RecordRef

EX_OK, EX_DATA, EX_NO_USER, EX_TRY_AGAIN = 0, 65, 67, 75


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one mail. ``state`` is a value of ``IncomingState`` or ``duplicate``; ``exit_code`` follows
    sysexits: 0 taken over, 65 refused as data, 67 nobody of that name, 75 try again later."""

    state: str
    reason: str = ""
    log_pk: int | None = None
    records: tuple[RecordRef, ...] = ()
    message_pks: tuple[int, ...] = ()
    exit_code: int = EX_OK


@dataclass(frozen=True, slots=True)
class Route:
    """One place where a mail goes: a message on an existing record, or a new record by way of an alias."""

    alias_pk: int | None = None
    reply_to: RecordRef | None = None
    parent_pk: int | None = None


@dataclass(slots=True)
class Routing:
    """The outcome of routing. Exactly one of routes, ``bounce`` (text for the sender), ``ignore`` or ``lost``."""

    routes: list[Route] = field(default_factory=list)
    bounce: str = ""
    ignore: str = ""
    lost: str = ""
