"""The viewer's questions. Each function takes the site and what the browser sent, and returns an answer fit for JSON.

What browsers send is not trusted: `entries`, `requests` and `uploads` read it. Docstrings say {entries} -> answer.
"""

from __future__ import annotations

import base64
import math
import os
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from clit.errors import UserError
from clit.exports.figures import Look, encode_attention
from clit.geometry import Window
from clit.networks.model import SRModel
from clit.pictures import metrics
from clit.pictures.files import to_bytes
from clit.pictures.metrics import luma
from clit.rendering.looks import Attention, StageAttention
from clit.rendering.renderer import Renderer
from clit.system.apart import run_apart
from clit.ui.colours import HEAD_PAINTS, attention_colours, entropy_span, error_colours
from clit.ui.differences import choose_step, find_places, sample
from clit.ui.entries import read_picture, read_token
from clit.ui.failures import describe_failure
from clit.ui.jobs import KINDS, predict_file
from clit.ui.latents import mean_over_latents, whole_latents
from clit.ui.pictures import Picture, encode_lossless, make_smaller
from clit.ui.requests import (
    TRUTH,
    DifferenceRequest,
    Enlargement,
    ExampleRequest,
    PixelFileRequest,
    PixelRequest,
    ScoreRequest,
    SourceRequest,
    TruthRequest,
    ViewRequest,
)
from clit.ui.returning import make_small_again
from clit.ui.sessions import Session
from clit.ui.site import Site
from clit.ui.sources import check_sources, describe_source
from clit.ui.tracing import trace_pixel
from clit.ui.uploads import Upload, read_upload

Question = Callable[[Site, Any], dict]


def ask(question: Question, site: Site, sent: Any) -> dict:
    """Return the answer to a question; what goes wrong is an answer too: see `describe_failure`."""
    try:
        with site.answering(sent):
            return question(site, sent)
    except Exception as error:
        return describe_failure(error)


def begin(site: Site, sent: Any) -> dict:
    """Begin a visit: {} -> its secret token, and what the page offers."""
    limits = site.limits
    return {
        "token": site.begin().token,
        "models": site.models.describe(),
        "duplicate": _duplicate_link(),
        "examples": site.examples.describe(),
        "kinds": {name: list(kind.suffixes) for name, kind in KINDS.items()},
        "limits": {
            "scale": limits.scale,
            "view_pixels": limits.view_pixels,
            "full_pixels": limits.full_pixels,
            "upload_bytes": limits.upload_bytes,
            "page_bytes": limits.page_bytes,
        },
    }


def open_example(site: Site, sent: Any) -> dict:
    """Open one of the examples: {token, name} -> the picture, see `Picture.answer`."""
    session = site.session(read_token(sent))
    request = ExampleRequest.read(sent, site.examples.names())
    return site.show(session, site.examples.open(request.name), uploaded=False)


def open_upload(site: Site, sent: Any) -> dict:
    """Open what the visitor brought: {token, name, path of the received file} -> the picture, as `open_example`.

    The file is read and deleted, unless the server is busy.
    """
    upload = Upload.read(sent, site.uploads)
    with site.desk.join(read_token(sent), "exact") as place, place.turn():  # where that is refused, the file stays
        try:
            session = site.session(read_token(sent))
            return site.show(session, read_upload(upload.path, upload.name, site.limits), uploaded=True)
        finally:
            upload.path.unlink(missing_ok=True)


def open_truth(site: Site, sent: Any) -> dict:
    """Switch ground truth on or off: {token, picture, scale or None} -> the picture, as `open_example`.

    On: the open picture made smaller by `scale`. Off: the whole picture again.
    """
    session, picture = _find_visitor(site, sent)
    whole, scale = picture.whole or picture, TruthRequest.read(sent, site.limits).scale
    return site.show(session, whole if scale is None else make_smaller(whole, scale), session.uploaded)


def render_view(site: Site, sent: Any) -> dict:
    """Render a part of the enlarged picture: {token, picture, as ViewRequest} ->

    {image (lossless WebP in base64), size [H, W] of the whole output, window [top, left, height, width], scale,
    milliseconds, wanted, factors of all stages of a cascade, span of the entropies painted in bits, psnr}. An output
    made small again has the size of the small picture, all its pixels that the window touches, and a psnr in dB, which
    is None where nothing was lost.
    """
    session, picture = _find_visitor(site, sent)
    request = ViewRequest.read(sent, picture, site.limits)
    model = None if request.model == TRUTH else site.models.get(request.model)
    request.check_head(0 if model is None else model.heads)
    session.note_view(request)
    site.line.drop_stale()

    def is_stale() -> bool:
        return session.is_stale(picture, request)

    def progress(done: float) -> None:
        session.shares[request.series] = done

    with site.line.join(session.token, request.kind, is_stale) as place:

        def cancel() -> bool:
            return is_stale() or (request.kind == "ahead" and place.is_awaited())

        start = time.perf_counter()
        try:
            drawn = _draw(site.render_at(place), request, picture, model, progress, cancel)
        finally:
            session.shares.pop(request.series, None)
        milliseconds = (time.perf_counter() - start - place.waited) * 1000
    window = drawn.window
    return {
        "image": encode_lossless(drawn.rgb),
        "size": list(drawn.size),
        "window": [window.top, window.left, window.height, window.width],
        "scale": request.enlargement.scale,
        "milliseconds": round(milliseconds, 1),
        "wanted": request.wanted,
        "factors": _stage_factors(model, picture, request.enlargement),
        "span": drawn.span,
        "psnr": drawn.psnr,
    }


def tell_progress(site: Site, sent: Any) -> dict:
    """Say how far the views being drawn are: {token} -> {views: list of {model, stages, error, share}}.

    A view is there once a first part of it is done; share: 0..1.
    """
    shares = list(site.session(read_token(sent)).shares.items())
    names = ("model", "stages", "error")
    return {"views": [{**dict(zip(names, series, strict=False)), "share": share} for series, share in shares]}


@dataclass(frozen=True)
class _Drawn:
    """What a view shows: rgb (h, w, 3) in [0, 1] of a window of a picture of `size`, the output or what it is made of.

    span: of the entropies painted, in bits. psnr: of an output made small again.
    """

    rgb: np.ndarray
    window: Window
    size: tuple[int, int]
    span: tuple[float, float] | None = None
    psnr: float | None = None


def _draw(
    renderer: Renderer,
    request: ViewRequest,
    picture: Picture,
    model: SRModel | None,
    progress: Callable[[float], None],
    cancel: Callable[[], bool],
) -> _Drawn:
    """Draw a view. model: None is the ground truth."""
    enlargement, window = request.enlargement, request.window
    size, options = enlargement.size, {"chain": enlargement.chain, "stages": request.stages, "cancel": cancel}

    def render(part: Window, progress: Callable[[float], None] | None = None) -> np.ndarray:
        if model is None:
            return picture.truth[part.slices()]
        return renderer.render(model, picture.rgb, size=size, window=part, progress=progress, **options)

    if request.paint == "returned":
        found = make_small_again(render, picture.rgb, size, window)
        return _Drawn(found.rgb / 255, found.window, picture.size, psnr=_finite(found.psnr))
    if request.paint in HEAD_PAINTS:
        survey = _survey(renderer, request, picture, model, options | {"progress": progress})
        paint = "direction" if request.paint == "direction" else "entropy"
        span = entropy_span(survey, request.head) if paint == "entropy" else None
        return _Drawn(attention_colours(survey, paint, request.head, model.radius), window, size, span)
    rgb = render(window, progress)
    return _Drawn(error_colours(rgb, picture.truth[window.slices()]) if request.error else rgb, window, size)


def _survey(renderer: Renderer, request: ViewRequest, picture: Picture, model: SRModel, options: dict) -> np.ndarray:
    """Return the survey of a view's window; for "entropy-mean", with the means over the pixels of each latent."""
    window, size = request.window, request.enlargement.size
    if request.paint != "entropy-mean":
        return renderer.survey(model, picture.rgb, size=size, window=window, **options)
    view = model.view(picture.size, size, chain=request.enlargement.chain, stages=request.stages)
    grid = view.grids()[-1]  # heads are surveyed in the last stage
    whole = whole_latents(window, size, grid)
    survey = renderer.survey(model, picture.rgb, size=size, window=whole, **options)
    means = mean_over_latents(survey, whole, size, grid)
    return means[window.top - whole.top :, window.left - whole.left :][: window.height, : window.width]


def _stage_factors(model: SRModel | None, picture: Picture, enlargement: Enlargement) -> list[float]:
    """Return the factor of each stage of a cascade, of two axes the larger; nothing for other models."""
    if model is None or model.stage_count == 1:
        return []
    view = model.view(picture.size, enlargement.size, chain=enlargement.chain)
    return [max(pair) for pair in view.factors]


def score(site: Site, sent: Any) -> dict:
    """Compare a method with the ground truth, over the whole picture: {token, picture, as ScoreRequest} ->

    {scale, psnr and ssim of luma with a border of ceil(scale) left out, psnr_rgb}; equal pictures have no psnr. For
    another scale than the open picture's the small picture is made anew.
    """
    session, picture = _find_visitor(site, sent)
    if picture.whole is None:
        raise UserError("There is no ground truth: switch it on first.")
    request = ScoreRequest.read(sent, site.limits)
    pair = picture if request.scale == picture.scale else make_smaller(picture.whole, request.scale)
    model = site.models.get(request.model)

    def is_stale() -> bool:
        return session.is_stale(picture)

    with site.line.join(session.token, "exact", is_stale) as place:
        size = pair.truth.shape[:2]
        rgb = site.render_at(place).render(model, pair.rgb, size=size, chain=request.chain, cancel=is_stale)
    with site.desk.join(session.token, "file", is_stale) as place, place.turn():
        return {
            "scale": request.scale,
            "psnr": _finite(metrics.psnr(rgb, pair.truth, scale=request.scale)),
            "ssim": metrics.ssim(rgb, pair.truth, scale=request.scale),
            "psnr_rgb": _finite(metrics.psnr(rgb, pair.truth, "rgb", scale=request.scale)),
        }


def find_differences(site: Site, sent: Any) -> dict:
    """Find where two methods differ most, over the whole picture: {token, picture, as DifferenceRequest} ->

    {scale at which they were compared, places: the fields of `Place`, the largest difference first}.
    """
    session, picture = _find_visitor(site, sent)
    request = DifferenceRequest.read(sent, picture, site.limits)
    enlargement = request.enlargement
    models = [None if each.model == TRUTH else site.models.get(each.model) for each in request.methods]

    def is_stale() -> bool:
        return session.is_stale(picture)

    def draw(renderer: Renderer, model: SRModel | None, stages: int | None) -> np.ndarray:
        if model is None:
            pixels = sample(enlargement.size)
            return picture.truth[np.ix_(pixels.rows, pixels.columns)]
        options = {"size": enlargement.size, "chain": enlargement.chain, "stages": stages, "cancel": is_stale}
        return renderer.render(model, picture.rgb, step=choose_step(enlargement.size), **options)

    with site.line.join(session.token, "exact", is_stale) as place:
        renderer = site.render_at(place)
        first, second = (draw(renderer, m, each.stages) for m, each in zip(models, request.methods, strict=True))
    places = find_places(np.abs(luma(first) - luma(second)), picture.size, enlargement.size)
    return {"scale": enlargement.scale, "places": [asdict(place) for place in places]}


def inspect(site: Site, sent: Any) -> dict:
    """Look up what one output pixel looked at by several methods: {token, picture, as PixelRequest} ->

    {looks: model -> {kind, size [H, W], pixel, rgb in 0..255, stages: the fields of `StageAttention`}}. Numbers are
    rounded to 7 digits after the point.
    """
    session, picture = _find_visitor(site, sent)
    request = PixelRequest.read(sent, picture, site.limits)
    return {"looks": {name: _look_answer(found) for name, found in _attend(site, session, picture, request).items()}}


def view_sources(site: Site, sent: Any) -> dict:
    """Return what a page of a view computes attention from: {token, picture, as SourceRequest} ->

    {sources: model -> see `describe_source`}.
    """
    session, picture = _find_visitor(site, sent)
    request = SourceRequest.read(sent, picture, site.limits)
    models = {name: site.models.get(name) for name in request.models}
    check_sources(models, picture, request, site.limits)
    asked = request.enlargement
    options = {"size": asked.size, "window": request.window, "chain": asked.chain}
    with site.line.join(session.token, "exact", lambda: session.is_stale(picture)) as place:
        renderer = site.render_at(place)
        found = {name: renderer.attention_source(model, picture.rgb, **options) for name, model in models.items()}
    return {"sources": {name: describe_source(source) for name, source in found.items()}}


def look_file(site: Site, sent: Any) -> dict:
    """Write what `inspect` answers, of several pixels, as a file: {token, picture, as PixelFileRequest} ->

    {file (base64), name}.
    """
    session, picture = _find_visitor(site, sent)
    request = PixelFileRequest.read(sent, picture, site.limits)
    looks = [
        Look(name, found) for pixel in request.pixels for name, found in _attend(site, session, picture, pixel).items()
    ]

    def is_stale() -> bool:
        return session.is_stale(picture)

    with site.easel.join(session.token, "exact", is_stale) as place, place.turn():
        data = run_apart(encode_attention, looks, picture.rgb, request.suffix, cancel=is_stale)
    return {"file": base64.b64encode(data).decode("ascii"), "name": request.file_name(picture)}


def stop_making(site: Site, sent: Any) -> dict:
    """Stop the file being made, if there is one: {token} -> {}."""
    site.session(read_token(sent)).stop.set()
    site.line.drop_stale()
    return {}


QUESTIONS: tuple[Question, ...] = (
    begin, open_example, open_upload, open_truth, render_view, tell_progress, score, find_differences, inspect,
    trace_pixel,
    view_sources, look_file, predict_file, stop_making,
)  # fmt: skip
"""All questions; the viewer's script asks them by the functions' names."""


def _find_visitor(site: Site, sent: Any) -> tuple[Session, Picture]:
    """Return the session of whoever asks, and its open picture."""
    session = site.session(read_token(sent))
    return session, session.open_picture(read_picture(sent))


def _attend(site: Site, session: Session, picture: Picture, request: PixelRequest) -> dict[str, Attention]:
    """Return what a pixel looked at by each method. It follows the hand, so it comes next as a preview does."""
    enlargement = request.enlargement
    options = {"pixel": request.pixel, "size": enlargement.size, "chain": enlargement.chain}
    options |= {"influence": request.influence}
    models = {name: site.models.get(name) for name in request.models}
    with site.line.join(session.token, "preview", lambda: session.is_stale(picture)) as place:
        renderer = site.render_at(place)
        return {name: renderer.attend(model, picture.rgb, **options) for name, model in models.items()}


def _look_answer(found: Attention) -> dict:
    return {
        "kind": found.kind,
        "size": list(found.size),
        "pixel": list(found.pixel),
        "rgb": to_bytes(found.rgb).tolist(),
        "stages": [_stage_answer(stage) for stage in found.stages],
    }


def _stage_answer(stage: StageAttention) -> dict:
    return {
        **{name: _to_list(getattr(stage, name)) for name in ("weights", "content", "position", "influence", "latents")},
        "inside": stage.inside.tolist(),
        "grid": list(stage.grid),
    }


def _to_list(array: np.ndarray | None) -> list | None:
    """Return an array as JSON holds it: rounded, since the long decimals of float32 take time to write and read."""
    return None if array is None else np.round(array.astype(np.float64), 7).tolist()


def _duplicate_link() -> str | None:
    """Return the address at which a hosted page can be copied to one's own account; None where it is not hosted."""
    space = os.environ.get("SPACE_ID", "")
    return f"https://huggingface.co/spaces/{space}?duplicate=true" if re.fullmatch(r"[\w.-]+/[\w.-]+", space) else None


def _finite(psnr: float) -> float | None:
    """Return a number as JSON can hold it: None for the infinite PSNR of equal pictures."""
    return psnr if math.isfinite(psnr) else None
