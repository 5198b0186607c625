"""Sending to addresses that users typed, without letting them reach what only this server can reach.

The host is resolved once, every address it has must be public, and the connection goes to the address that was checked
(the name is used for TLS and the Host header only), so a name that resolves differently a moment later gains
nothing. Redirects are not followed. Networks in ``WEBHOOK_ALLOWED_NETWORKS`` are reachable on purpose.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class TargetRefused(Exception):
    """The address may not be called; the message says why."""


class SendFailed(Exception):
    """The address could not be called or broke off."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: str


def allowed_networks() -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    return [ipaddress.ip_network(text) for text in getattr(settings, "WEBHOOK_ALLOWED_NETWORKS", ())]


def is_reachable(address: Address) -> bool:
    """Whether an address is public, or in a network that the installation allows."""
    if any(address in network for network in allowed_networks() if network.version == address.version):
        return True
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_reachable(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved


def check_url(url: str) -> None:
    """Refuse what can be told from the address itself; the name is resolved when something is sent."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise TargetRefused(_("Give an address that begins with https:// or http://."))
    if parts.username or parts.password:
        raise TargetRefused(_("An address with a password in it is refused."))
    try:
        literal = ipaddress.ip_address(parts.hostname)
    except ValueError:
        if parts.hostname.lower() == "localhost" and not is_reachable(ipaddress.ip_address("127.0.0.1")):
            raise TargetRefused(_("This address is not public.")) from None
        return
    if not is_reachable(literal):
        raise TargetRefused(_("This address is not public."))


def resolve(host: str, port: int) -> list[str]:
    """All addresses of a host; refused unless every one of them may be called."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise SendFailed(_("The name %(host)s cannot be resolved.") % {"host": host}) from exc
    addresses = list(dict.fromkeys(str(item[4][0]).partition("%")[0] for item in found))
    for text in addresses:
        if not is_reachable(ipaddress.ip_address(text)):
            raise TargetRefused(_("%(host)s leads to an address that is not public.") % {"host": host})
    return addresses


class _PinnedConnection(http.client.HTTPConnection):
    """Connects to a checked address; the host name is for TLS and the Host header."""

    def __init__(self, host: str, port: int, address: str, *, tls: bool, timeout: float) -> None:
        super().__init__(host, port, timeout=timeout)
        self._address = address
        self._tls = tls

    def connect(self) -> None:
        raw = socket.create_connection((self._address, self.port), self.timeout)
        self.sock = (
            ssl.create_default_context().wrap_socket(raw, server_hostname=self.host) if self._tls else raw
        )


def post(url: str, body: bytes, headers: dict[str, str], *, timeout: float, keep: int) -> Answer:
    """POST and read at most ``keep`` bytes of the answer within ``timeout`` seconds for everything together."""
    check_url(url)
    parts = urlsplit(url)
    assert parts.hostname is not None
    tls = parts.scheme == "https"
    try:
        port = parts.port or (443 if tls else 80)
    except ValueError as exc:
        raise TargetRefused(_("The port is not a number from 1 to 65535.")) from exc
    deadline = time.monotonic() + timeout
    address = resolve(parts.hostname, port)[0]
    connection = _PinnedConnection(parts.hostname, port, address, tls=tls, timeout=timeout)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return Answer(answer.status, _read(connection, answer, keep, deadline))
    except (OSError, http.client.HTTPException, ValueError) as exc:
        raise SendFailed(f"{type(exc).__name__}: {exc}") from exc
    finally:
        connection.close()


def _read(
    connection: http.client.HTTPConnection, answer: http.client.HTTPResponse, keep: int, deadline: float
) -> str:
    """The beginning of the body; a receiver that drips bytes is cut off at the deadline."""
    data = b""
    while len(data) < keep:
        left = deadline - time.monotonic()
        if left <= 0:
            raise SendFailed(_("The answer took too long."))
        if connection.sock is not None:
            connection.sock.settimeout(left)
        part = answer.read1(keep - len(data))
        if not part:
            break
        data += part
    return data.decode("utf-8", "replace").replace("\0", "")
