"""The weights that a visitor's own GPU draws with: the server answers as a folder of `clit.exports.weights` would."""

from __future__ import annotations

import hashlib
import threading

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from clit.errors import UserError
from clit.exports.weights import LIST, Weights
from clit.ui.models import Models


def make_weights_routes(models: Models) -> list[BaseRoute]:
    """Return the routes weights/models.json, weights/encoders/... and weights/decoders/...

    Browsers keep what they got, and ask each time whether it is still right.
    """
    list_once = _ListOnce(models)

    def list_models(request: Request) -> Response:
        return JSONResponse({"models": list_once()})

    def send_file(request: Request) -> Response:
        wanted = "{part}/{name}".format(**request.path_params)
        names = [each["name"] for each in list_once() if wanted in (each.get("encoder"), each.get("decoder"))]
        try:
            content = Weights.read(names[0]).files().get(wanted) if names else None
        except UserError as error:
            return JSONResponse({"error": str(error)}, status_code=404)
        if content is None:
            return JSONResponse({"error": "There are no such weights: load the page again."}, status_code=404)
        return _send(request, content)

    return [
        Route(f"/weights/{LIST}", list_models),
        Route("/weights/{part}/{name}", send_file),
    ]


class _ListOnce:
    """The entries of all models whose weights can be read, made when first asked for: that reads every checkpoint."""

    def __init__(self, models: Models):
        self._models = models
        self._lock = threading.Lock()
        self._entries: list[dict] | None = None

    def __call__(self) -> list[dict]:
        with self._lock:
            if self._entries is None:
                self._entries = [entry for each in self._models.describe() if (entry := _describe(each))]
            return self._entries


def _describe(entry: dict) -> dict | None:
    if not entry["available"]:
        return None
    try:
        return entry | Weights.read(entry["name"]).describe()
    except UserError:  # who chooses it is told
        return None


def _send(request: Request, content: bytes) -> Response:
    headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"', "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/octet-stream", headers=headers)
