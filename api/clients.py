"""Where a request comes from: behind a proxy that is trusted, what that one says."""

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from resources.access import listed

_SITE_BITS = 64
"""A client on IPv6 has as many addresses as it likes below so many bits: they count as one."""


@dataclass(frozen=True)
class Origin:
    """Who sent a request, and what for.

    Attributes:
        address: of the client; on IPv6 its network.
        host: as the client wrote it, the port with it; empty if it named none.
    """

    address: str
    host: str


class Proxies:
    """Knows whose ``X-Forwarded-*`` headers to believe."""

    def __init__(self, trusted: str) -> None:
        self._networks = [ip_network(part) for part in listed(trusted)]

    def origin(self, scope: Any) -> Origin:
        """Where a request comes from. ``scope`` then names client, scheme and host as the client saw them."""
        peer = scope["client"][0] if scope["client"] else ""
        if self._networks and _within(peer, self._networks):
            self._believe(scope, peer)
        host = b",".join(value for name, value in scope["headers"] if name == b"host").decode("latin-1")
        return Origin(_site(scope["client"][0] if scope["client"] else ""), host)

    def _believe(self, scope: Any, peer: str) -> None:
        """Read the headers from their right ends: what stands further left, a client may have made up."""
        address = peer
        for hop in reversed(_forwarded(scope, b"x-forwarded-for")):
            if not _within(address, self._networks) or not _is_address(found := _without_port(hop)):
                break
            address = found
        scope["client"] = (address, 0)
        if (schemes := _forwarded(scope, b"x-forwarded-proto")) and schemes[-1] in ("http", "https"):
            scope["scheme"] = schemes[-1]
        if hosts := _forwarded(scope, b"x-forwarded-host"):
            others = [(name, value) for name, value in scope["headers"] if name != b"host"]
            scope["headers"] = [*others, (b"host", hosts[-1].encode("latin-1"))]


def _forwarded(scope: Any, header: bytes) -> list[str]:
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == header]
    return [part.strip() for line in lines for part in line.split(",") if part.strip()]


def _without_port(hop: str) -> str:
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _within(address: str, networks: list[IPv4Network | IPv6Network]) -> bool:
    return _is_address(address) and any(_plain(address) in network for network in networks)


def _plain(address: str) -> Any:
    """An address; an IPv4 one that is written as IPv6 is what it stands for."""
    found = ip_address(address)
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


@lru_cache(4096)
def _site(address: str) -> str:
    if not _is_address(address):
        return address
    found = _plain(address)
    return (
        str(ip_network((found, _SITE_BITS), strict=False)) if isinstance(found, IPv6Address) else str(found)
    )
