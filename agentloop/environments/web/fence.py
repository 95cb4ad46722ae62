"""What pages may reach: the origins of a task, at addresses that are fit for them, and nothing else."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from agentloop.errors import BadInput

PORTS = {"http": 80, "https": 443}
SCHEMES = frozenset(PORTS)
BLANK = "about:blank"
Refusal: TypeAlias = Literal["scheme", "origin"]
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Origin(NamedTuple):
    """A scheme, a host (lower case, an IPv6 address without its brackets) and a port."""

    scheme: str
    host: str
    port: int


class Fence:
    """The origins that pages may reach: ``https://example.org``, ``http://127.0.0.1:8000``.

    A name is followed only to public addresses. An address of this machine or of a private network is
    reached where an origin names that very address, or ``localhost``; the port must be named too.
    """

    def __init__(self, origins: Iterable[str] = ()) -> None:
        self.origins = frozenset(_named(origin) for origin in origins)
        self._places = frozenset((origin.host, origin.port) for origin in self.origins)

    def refusal(self, url: str) -> Refusal | None:
        """Why a page may not go to ``url``, or None where it may."""
        if url == BLANK:
            return None
        origin = origin_of(url)
        if origin is None:
            return "scheme" if urlsplit_scheme(url) not in SCHEMES else "origin"
        return None if origin in self.origins else "origin"

    def names(self, host: str, port: int) -> bool:
        """Whether some origin is at this host and port, whatever its scheme: for tunnels."""
        return (host, port) in self._places

    def fit(self, host: str, address: str) -> bool:
        """Whether ``address`` may be connected to under the name ``host``, whose origin is allowed."""
        reached = ipaddress.ip_address(address.partition("%")[0])
        named = _address(host)
        if named is not None:
            return reached == named
        if host == "localhost" or host.endswith(".localhost"):
            return reached.is_loopback
        return public(reached)


def public(address: Address) -> bool:
    """Whether an address, and every address embedded in it, is one of the open internet."""
    if not address.is_global or address.is_multicast:
        return False
    return all(public(inner) for inner in _embedded(address))


def _embedded(address: Address) -> list[Address]:
    """The addresses of the older form that tunnels and translators would take out of this one."""
    if not isinstance(address, ipaddress.IPv6Address):
        return []
    found: list[Address | None] = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in NAT64:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    if int(address) >> 32 == 0:
        found.append(ipaddress.IPv4Address(int(address)))
    return [each for each in found if each is not None]


def origin_of(url: str) -> Origin | None:
    """The origin of an absolute http or https address as browsers write them; None for anything else.

    An address with a user's name, a backslash, a space or another control character in it has none.
    """
    if any(character <= " " or character in "\\\x7f" for character in url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").removesuffix(".")
    except ValueError:
        return None
    if parts.scheme not in SCHEMES or port == 0 or "@" in parts.netloc:
        return None
    if not NAME.fullmatch(host) and _address(host) is None:
        return None
    return Origin(parts.scheme, host, port or PORTS[parts.scheme])


def urlsplit_scheme(url: str) -> str:
    """The scheme of an address, lower case; empty where there is none."""
    head, colon, _ = url.strip().partition(":")
    return head.lower() if colon else ""


def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _named(text: str) -> Origin:
    parts = urlsplit(text) if isinstance(text, str) else None
    host = "" if parts is None else (parts.hostname or "")
    try:
        ascii_host = host if host.isascii() else host.encode("idna").decode()
        origin = origin_of(text.replace(host, ascii_host)) if parts is not None else None
    except UnicodeError:
        origin = None
    if origin is None or parts is None or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise BadInput(
            f"an origin must be a scheme with a host and, where it is not the usual one, a port, such as "
            f"'https://example.org' or 'http://127.0.0.1:8000', got {text!r}"
        )
    return origin
