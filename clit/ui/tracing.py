"""Which input pixels a picked pixel comes from, while the visitor looks on: some steps with every question.

A question takes a few steps, each in turn with what other visitors ask, and tells how far it has come. Whoever asks no
more has stopped it; whoever asks again goes on where it was.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from clit.networks.model import SRModel
from clit.rendering.agreement import correlate_ranks
from clit.rendering.attribution import Attribution, Reached
from clit.rendering.renderer import Renderer
from clit.ui.entries import read_picture, read_token
from clit.ui.line import Place
from clit.ui.pictures import Picture
from clit.ui.requests import TraceRequest
from clit.ui.site import Site

FIRST_STEPS, STEPS = 10, 50
"""Steps of the first map, and of the whole way, where that is near enough."""

PART_SECONDS = 0.4
"""A question is answered after about so many seconds, and as soon as there is a map."""


@dataclass(eq=False)
class Trace:
    """One method's attribution on its way."""

    tracing: Iterator[Reached]
    reached: Reached | None = None
    can_go_on: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(eq=False)
class Traces:
    """The attributions of one pixel, by method. subject: the pixel, with all else that they depend on."""

    subject: Any
    by_model: dict[str, Trace] = field(default_factory=dict)


def trace_pixel(site: Site, sent: Any) -> dict:
    """Take some steps towards which input pixels a pixel comes from: {token, picture, as TraceRequest} ->

    {done, steps, is_last, found: see `_describe`, if there is a map now, else None}.
    """
    session = site.session(read_token(sent))
    picture = session.open_picture(read_picture(sent))
    request = TraceRequest.read(sent, picture, site.limits)
    model, subject = site.models.get(request.model), (picture.id, request.subject)
    traces = session.traces
    if traces is None or traces.subject != subject:
        traces = session.traces = Traces(subject)
        site.line.drop_stale()
    known = traces.by_model.get(request.model)
    trace = known or traces.by_model.setdefault(request.model, Trace(_begin(site, request, picture, model)))

    def is_stale() -> bool:
        return session.traces is not traces or session.is_stale(picture)

    with site.line.join(session.token, "file", is_stale) as place:
        try:
            with trace.lock:
                reached = _advance(trace, place)
        except BaseException:
            if not trace.can_go_on:
                traces.by_model.pop(request.model, None)  # the next question begins anew
            raise
        found = reached.found and _describe(site.render_at(place), request, picture, model, reached.found)
    return {"done": reached.done, "steps": reached.steps, "is_last": reached.is_last, "found": found}


def _begin(site: Site, request: TraceRequest, picture: Picture, model: SRModel) -> Iterator[Reached]:
    enlargement = request.enlargement
    return site.renderer.trace(
        model, picture.rgb, pixel=request.pixel, size=enlargement.size, chain=enlargement.chain,
        objective=request.objective, steps=STEPS, first=FIRST_STEPS,
    )  # fmt: skip


def _advance(trace: Trace, place: Place) -> Reached:
    """Take steps until there is a map, or PART_SECONDS are over; none after the last one."""
    until = time.monotonic() + PART_SECONDS
    while trace.reached is None or not trace.reached.is_last:
        with place.turn():
            trace.can_go_on = False  # what is interrupted within a step has ended
            trace.reached = next(trace.tracing)
            trace.can_go_on = True
        if trace.reached.found is not None or time.monotonic() >= until:
            break
    return trace.reached


def _describe(renderer: Renderer, request: TraceRequest, picture: Picture, model: SRModel, found: Attribution) -> dict:
    """Return what the viewer hears of a map.

    {map: over the region [top, left, bottom, right], what each input pixel adds, its channels together, float32 in
    base64; region; diffusion, gap, steps as in `Attribution`; agreement: see `correlate_ranks`}.
    """
    agreement = None
    if model.kind == "attention":
        options = {"size": request.enlargement.size, "chain": request.enlargement.chain, "influence": False}
        seen = renderer.attend(model, picture.rgb, pixel=request.pixel, **options)
        agreement = correlate_ranks(found, seen)
    region = found.region
    sums = np.ascontiguousarray(found.map[region.slices()].sum(-1), "<f4")
    return {
        "map": base64.b64encode(sums.tobytes()).decode("ascii"),
        "region": [region.top, region.left, region.bottom, region.right],
        "diffusion": found.diffusion,
        "gap": found.gap,
        "steps": found.steps,
        "agreement": agreement,
    }
