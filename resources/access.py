"""Who may reach the API: the settings that are lists, and when keys are needed."""

from ipaddress import ip_address, ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator


def listed(text: str) -> tuple[str, ...]:
    """The parts of a setting that is a list with commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on ``host``."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _are_networks(value: str) -> str:
    for part in listed(value):
        try:
            ip_network(part)
        except ValueError:
            raise ValueError("proxies are addresses or networks, like 10.0.0.0/8,127.0.0.1") from None
    return value


def _are_origins(value: str) -> str:
    for part in listed(value):
        url = urlsplit(part)
        if url.scheme not in ("http", "https") or part != f"{url.scheme}://{url.netloc}" or not url.hostname:
            raise ValueError("an origin is https://host or https://host:port, and nothing behind it")
    return value


def _are_hosts(value: str) -> str:
    if any("/" in part or part.count(":") == 1 for part in listed(value)):
        raise ValueError("hosts are names or addresses without a port, like api.example.com; * is any")
    return value.lower()


Networks = Annotated[str, AfterValidator(_are_networks)]
Origins = Annotated[str, AfterValidator(_are_origins)]
Hosts = Annotated[str, AfterValidator(_are_hosts)]
