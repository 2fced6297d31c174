"""Bounds of the server's connections: how many, and how long one may take to say what it asks."""

from __future__ import annotations

import asyncio

import uvicorn

HEADER_SECONDS = 15.0
"""A connection that has asked nothing for so long, or only a part of a question's headers, is closed."""

CONNECTIONS = 1000
"""More at once are answered with status 503."""


def bound_connections(server: uvicorn.Server) -> None:
    """Bound the connections of a server that gradio has started: it has no setting for that."""
    server.config.limit_concurrency = CONNECTIONS
    protocol = server.config.http_protocol_class

    class Bounded(protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            self._asked = None
            self._watch()

        def _watch(self) -> None:
            self._closing = self.loop.call_later(HEADER_SECONDS, self._close_if_idle)

        def _close_if_idle(self) -> None:
            if self.transport.is_closing():
                return
            cycle, before = self.cycle, self._asked
            self._asked = cycle
            if cycle is None or (cycle.response_complete and cycle is before):
                self.transport.close()
            else:
                self._watch()

        def connection_lost(self, error: Exception | None) -> None:
            self._closing.cancel()
            super().connection_lost(error)

    server.config.http_protocol_class = Bounded
