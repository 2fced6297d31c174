"""What stands before every request: which paths are answered, how long a body may be and take, who may ask, headers.

Gradio serves more than the page and programs use (monitoring, a proxy, run history); that is not answered here.
"""

from __future__ import annotations

import asyncio
import logging
import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clit.ui.addresses import asking, find_address
from clit.ui.limits import Limits
from clit.ui.receiving import refuse

log = logging.getLogger(__name__)

BODY_SECONDS, PART_SECONDS = 300.0, 20.0
"""A body must be there after so long, and its next part."""

ASKED_BYTES = 100_000
"""Longest body that is no file."""

_API = r"/gradio_api/"
_READ = re.compile(
    r"/|/(config|theme\.css|favicon\.ico|robots\.txt|manifest\.json|health|status|card\.png)/?"
    r"|/(assets|static|svelte|viewer|weights|made|pwa_icon)(/.*)?"
    rf"|{_API}(info|openapi\.json|theme\.css|startup-events|app_id|upload_progress|queue/(data|status))/?"
    rf"|{_API}(heartbeat/.*|call/\w+/\w+|file=.*|mcp(/.*)?)",
)
_SENT = re.compile(
    rf"/end|{_API}(component_server|upload|cancel|reset|queue/join|call/\w+|call/v2/\w+|run/\w+|api/\w+)/?"
    rf"|{_API}mcp(/.*)?"  # assistants, where gradio serves them
)

_ENDED = re.compile(rf"{_API}mcp(/.*)?")  # an assistant's visit

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'self'",
            "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",  # gradio's page begins with inline scripts
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "media-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self' data: blob:",
            "worker-src 'self' blob:",
            "frame-src 'self' blob: data:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            # Spaces show the page in a frame; so may who runs it.
            "frame-ancestors 'self' https://huggingface.co https://*.hf.space http://localhost:* http://127.0.0.1:*",
        )
    ),
}


class Guard:
    """Middleware that refuses what no page and no program asks, and bounds the rest."""

    def __init__(self, app: ASGIApp, limits: Limits):
        self._app = app
        self._upload_bytes = limits.upload_bytes + ASKED_BYTES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":  # the page opens no other connections
            return await send({"type": "websocket.close", "code": 1008})
        asking.set(find_address(scope))
        exchange = _Exchange(receive, send, self._most(scope))
        refusal = self._judge(scope, exchange.most)
        if refusal:
            return await exchange.refuse(*refusal)
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            pass  # nobody hears an answer, or has heard why there is none
        except Exception as error:  # our questions raise nothing: gradio could not read what was sent
            log.warning("a request to %s could not be read: %s", scope["path"][:80], type(error).__name__)
            await exchange.refuse(400, "This is no question that the page asks.")

    def _most(self, scope: Scope) -> int:
        is_file = scope["path"].startswith((f"{_API}upload", f"{_API}mcp"))
        return self._upload_bytes if is_file else ASKED_BYTES

    @staticmethod
    def _judge(scope: Scope, most: int) -> tuple[int, str] | None:
        """Return the status and sentence with which a request is refused; None where it is not."""
        headers, method, path = Headers(scope=scope), scope["method"], scope["path"]
        allowed = {"GET": _READ, "HEAD": _READ, "POST": _SENT, "DELETE": _ENDED}.get(method)
        if allowed is None or not allowed.fullmatch(path):
            return 404, "There is nothing here."
        if method == "POST" and _is_elsewhere(headers):
            return 403, "Pages of other sites may not ask this server."
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > most:
            return 413, f"This is too long: at most {most / 1e6:g} MB are taken."
        return None


def _is_elsewhere(headers: Headers) -> bool:
    """Tell whether a browser asks for a page of another site. Programs send none of these headers."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    hosts = {headers.get("host"), headers.get("x-forwarded-host")}
    return origin is not None and urlsplit(origin).netloc not in hosts


class _Exchange:
    """One request and its answer; the body is counted and timed."""

    def __init__(self, receive: Receive, send: Send, most: int):
        self.most = most
        self._receive, self._send = receive, send
        self._left = most
        self._until = asyncio.get_running_loop().time() + BODY_SECONDS
        self._is_whole = self._has_begun = self._is_over = False

    async def receive(self) -> Message:
        if self._is_over:
            return {"type": "http.disconnect"}
        if self._is_whole:
            return await self._receive()
        seconds = min(PART_SECONDS, self._until - asyncio.get_running_loop().time())
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, seconds))
        except asyncio.TimeoutError:
            await self.refuse(408, "The rest did not arrive in time: send it again.")
            return {"type": "http.disconnect"}
        self._left -= len(message.get("body", b""))
        self._is_whole = not message.get("more_body")
        if self._left < 0:
            await self.refuse(413, f"This is too long: at most {self.most / 1e6:g} MB are taken.")
            return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        if self._is_over:
            return
        if message["type"] == "http.response.start":
            self._has_begun = True
            headers = MutableHeaders(raw=message["headers"])
            for name, value in HEADERS.items():
                headers[name] = value
        await self._send(message)

    async def refuse(self, status: int, sentence: str) -> None:
        """Answer with a sentence, unless an answer has begun; then close the connection."""
        if not self._has_begun:
            response = refuse(status, sentence)
            response.headers["Connection"] = "close"
            await response({"type": "http"}, self._receive, self.send)
        self._is_over = True
