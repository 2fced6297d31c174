"""Where a request comes from: what is bounded for each address."""

from __future__ import annotations

import ipaddress
from contextvars import ContextVar

from starlette.datastructures import Headers
from starlette.types import Scope

asking: ContextVar[str | None] = ContextVar("asking", default=None)
"""The address that asks now; None inside the program."""


def find_address(scope: Scope) -> str:
    """Return the network address of who asks; behind a proxy in the same network, what the proxy says.

    Of an IPv6 address, the network of 64 bits: it is one house's.
    """
    peer = (scope.get("client") or ("",))[0]
    forwarded = Headers(scope=scope).get("x-forwarded-for", "").split(",")
    found = [_parse(peer), *(_parse(each.strip()) for each in reversed(forwarded))]
    if found[0] is not None and found[0].is_global:
        found = found[:1]
    known = next((each for each in found if each is not None and each.is_global), found[0])
    if isinstance(known, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((known, 64), strict=False))
    return str(known or peer)


def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
