"""The page's own tags in the head of the answer, see `tags`.

Gradio writes tags of its own, with its name and a picture of another host; they are replaced.
"""

from __future__ import annotations

import os
import re

from gradio.route_utils import get_root_url
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clit.ui.tags import make_tags

_OTHERS = re.compile(rb"<meta\s[^>]*(?:property|name)=\"(?:og|twitter):[^>]*>\s*")


class PreviewTags:
    """Middleware that puts the page's own tags in place of gradio's."""

    def __init__(self, app: ASGIApp):
        self._app = app

    @staticmethod
    def _url(scope: Scope) -> str:
        """The address under which the page was asked for, as a proxy before it or GRADIO_ROOT_PATH says."""
        return get_root_url(Request(scope), "/", os.environ.get("GRADIO_ROOT_PATH")) + "/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] != "/":
            return await self._app(scope, receive, send)
        start: Message | None = None
        body = b""

        async def hold(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            headers = MutableHeaders(raw=start["headers"])
            if headers.get("content-type", "").startswith("text/html"):
                body = _OTHERS.sub(b"", body).replace(b"<head>", b"<head>" + make_tags(self._url(scope)).encode(), 1)
                headers["content-length"] = str(len(body))
            await send(start)
            await send({"type": "http.response.body", "body": body})

        await self._app(scope, receive, hold)
