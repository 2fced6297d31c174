"""Parts of views computed by other processes: actors on Ray, each with features, models and pictures of its own.

An actor works only while it is asked to go on, a fraction of a second at a time: whoever asks says whose turn it is.
Work that is interrupted waits in a thread of the actor, as it does in a process that draws by itself.
"""

from __future__ import annotations

import contextlib
import copy
import threading
import time
import uuid
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from clit.errors import Cancelled, UserError
from clit.networks import compiling
from clit.networks.model import SRModel
from clit.rendering.features import FeatureCache
from clit.rendering.output import Cancel
from clit.rendering.parts import Computed, Part, compute
from clit.system import turns
from clit.system.cluster import connected, last_line
from clit.system.process import prepare_process

CORES = 2
"""CPUs of an actor, of one machine; one where no machine has two."""

IMAGES = 16
"""Pictures that are kept for actors, and half as many by each."""

STEP = 0.1
"""Seconds for which an actor goes on before it is asked again."""

PATIENCE = 120.0
"""Seconds for which a part waits for an actor, where none is there."""

RETRIES = 2
"""How often a part is tried again whose actor was lost: some parts may kill every one."""

_LOOK_SECONDS = 0.05  # how often a wait looks around: whether somebody still waits, whether another's work is done
_AT_ONCE = 16  # calls that an actor takes at once: one goes on, one stops another, and some where it stands in

DONE, RESTS, WAITS = "done", "rests", "waits"
"""What has become of a piece of work: it is done, its time was over, or others' work must be done before."""


class Sent(NamedTuple):
    """A part as it is sent: without its model and picture, which stand in lists of one reference, each with a key."""

    part: Part
    model: tuple[str, list[Any]]
    image: tuple[str, list[Any]]


class Painter:
    """The actor. cache_bytes: for features and what decoders make of them."""

    def __init__(self, cores: int, cache_bytes: int):
        prepare_process()
        torch.set_num_threads(cores)
        compiling.wait()
        self._cache = FeatureCache(cache_bytes)
        self._models: dict[str, SRModel] = {}
        self._images: OrderedDict[str, np.ndarray] = OrderedDict()
        self._works: dict[str, _Work] = {}
        self._lock = threading.Lock()

    def is_here(self) -> bool:
        """Return True, once the actor has started."""
        return True

    def go_on(self, name: str, sent: Sent) -> tuple[str, Computed | None]:
        """Go on with a piece of work for STEP seconds, which begins with the first call; return what has become of it.

        What goes wrong in it is raised.
        """
        with self._lock:
            work = self._works.get(name)
            if work is None:
                work = self._works[name] = _Work(partial(self._compute, sent))
        state = work.go_on()
        if state != DONE:
            return state, None
        self.stop(name)
        if work.error is not None:
            raise work.error
        return state, work.result

    def stop(self, name: str) -> None:
        """Forget a piece of work, which ends as soon as it can."""
        with self._lock:
            work = self._works.pop(name, None)
        if work is not None:
            work.stop()

    def forget(self, keys: set[str]) -> None:
        """Forget pictures, and all that is cached of them."""
        self._cache.forget(keys)
        with self._lock:
            for key in keys:
                self._images.pop(key, None)

    def _compute(self, sent: Sent, is_over: Cancel) -> Computed:
        import ray

        (model, [model_at]), (image, [image_at]) = sent.model, sent.image
        if model not in self._models:
            self._models[model] = ray.get(model_at)
        with self._lock:
            found = self._images.pop(image, None)
        found = ray.get(image_at) if found is None else found
        with self._lock:
            self._images[image] = found
            while len(self._images) > IMAGES // 2:
                self._images.popitem(last=False)
        request = replace(sent.part.request, model=self._models[model], image=found)
        return compute(self._cache, replace(sent.part, request=request), is_over)


class _Work:
    """A piece of work in a thread of its own. result, error: what it returned or raised, once it is done."""

    def __init__(self, function: Callable[[Cancel], Computed]):
        self.result: Computed | None = None
        self.error: Exception | None = None
        self._function = function
        self._state = RESTS
        self._until = 0.0
        self._is_over = False
        self._may, self._rests = threading.Event(), threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def go_on(self) -> str:
        """Let it go on until it is done, its time is over, or it waits for others."""
        if self._state == RESTS:
            self._until = time.monotonic() + STEP
            self._rests.clear()
            self._may.set()
            self._rests.wait()
        return self._state

    def stop(self) -> None:
        """Let it end."""
        self._is_over = True
        self._may.set()

    def _run(self) -> None:
        try:
            self._wait()
            with turns.in_turn(self._pause, self._step_aside):
                self.result = self._function(lambda: self._is_over)
        except Exception as error:
            self.error = error
        self._rest(DONE)

    def _rest(self, state: str) -> None:
        self._may.clear()
        self._state = state
        self._rests.set()

    def _wait(self) -> None:
        self._may.wait()
        if self._is_over:
            raise Cancelled

    def _pause(self) -> None:
        if time.monotonic() >= self._until or self._is_over:
            self._rest(RESTS)
            self._wait()

    @contextlib.contextmanager
    def _step_aside(self) -> Iterator[None]:
        self._rest(WAITS)
        yield
        self._state = RESTS
        self._wait()


class _Seat:
    """An actor, and whether it is there: Ray starts one again that was lost."""

    def __init__(self, ray: Any, actor: Any):
        self.actor = actor
        self._ray = ray
        self._lock = threading.Lock()
        self._starting: Any = actor.is_here.remote()

    def is_here(self) -> bool:
        """Tell whether it has started."""
        with self._lock:
            if self._starting is None:
                return True
            if not self._ray.wait([self._starting], timeout=0)[0]:
                return False
            try:
                self._ray.get(self._starting)
            except self._ray.exceptions.RayError:
                self._starting = self.actor.is_here.remote()
                return False
            self._starting = None
            return True

    def note_lost(self) -> None:
        """Note that it did not answer."""
        with self._lock:
            if self._starting is None:
                self._starting = self.actor.is_here.remote()

    def start(self) -> None:
        """Wait until it has started; UserError if it cannot."""
        try:
            self._ray.get(self._starting)
        except self._ray.exceptions.RayError as error:
            raise UserError(f"An actor cannot start on the Ray cluster: {last_line(error)}") from None


class Painters:
    """Actors that compute parts of views. Safe to share between threads. count: how many there are."""

    def __init__(self, ray: Any, cache_bytes: int, count: int, cores: int):
        self.count = count
        self._ray = ray
        actor = ray.remote(num_cpus=cores, max_restarts=-1, max_concurrency=_AT_ONCE)(Painter)
        self._seats = [_Seat(ray, actor.remote(cores, cache_bytes)) for _ in range(count)]
        self._models: weakref.WeakKeyDictionary[SRModel, tuple[str, list[Any]]] = weakref.WeakKeyDictionary()
        self._images: OrderedDict[str, list[Any]] = OrderedDict()
        self._lock = threading.Lock()
        for seat in self._seats:
            seat.start()

    def count_here(self) -> int:
        """Return how many are there now, and are not being started again."""
        return sum(seat.is_here() for seat in self._seats)

    def compute(self, index: int, part: Part, cancel: Cancel | None = None) -> Computed:
        """Compute a part by an actor; by the next one that is there, while that one starts again.

        UserError if none could. Cancelled soon after cancel() is true.
        """
        sent, until, lost = self._send(part), time.monotonic() + PATIENCE, 0
        while lost <= RETRIES and time.monotonic() < until:
            seats = (self._seats[(index + step) % self.count] for step in range(self.count))
            seat = next((each for each in seats if each.is_here()), None)
            if seat is None:
                _raise_if_cancelled(cancel)
                with turns.step_aside():
                    time.sleep(_LOOK_SECONDS)
                continue
            try:
                return self._compute_at(seat, sent, cancel)
            except self._ray.exceptions.RayError:
                seat.note_lost()
                lost, until = lost + 1, time.monotonic() + PATIENCE
        raise UserError("The machines that draw were lost over this: try again in some minutes.")

    def forget(self, keys: set[str]) -> None:
        """Forget pictures, and all that is cached of them, without waiting until that is done."""
        with self._lock:
            for key in keys:
                self._images.pop(key, None)
        for seat in self._seats:
            seat.actor.forget.remote(keys)

    def _compute_at(self, seat: _Seat, sent: Sent, cancel: Cancel | None) -> Computed:
        """Compute a part by an actor, in turn. RayError if that is lost."""
        name = uuid.uuid4().hex
        try:
            while True:
                ref = seat.actor.go_on.remote(name, sent)
                while not self._ray.wait([ref], timeout=_LOOK_SECONDS)[0]:
                    _raise_if_cancelled(cancel)
                state, computed = self._ray.get(ref)
                if state == DONE:
                    return computed
                _raise_if_cancelled(cancel)
                if state == WAITS:
                    with turns.step_aside():
                        time.sleep(_LOOK_SECONDS)
                turns.pause()
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except BaseException:
            seat.actor.stop.remote(name)
            raise

    def _send(self, part: Part) -> Sent:
        request = part.request
        with self._lock:
            model = self._models.get(request.model)
            if model is None:
                there = self._ray.put(copy.deepcopy(request.model).cpu())
                model = self._models[request.model] = (uuid.uuid4().hex, [there])
            image = self._images.pop(request.key, None) or [self._ray.put(request.image)]
            self._images[request.key] = image
            while len(self._images) > IMAGES:
                self._images.popitem(last=False)
        bare = replace(part, request=replace(request, model=None, image=None))
        return Sent(bare, model, (request.key, image))


def _raise_if_cancelled(cancel: Cancel | None) -> None:
    if cancel and cancel():
        raise Cancelled


@contextlib.contextmanager
def painters_on(address: str, cache_bytes: int) -> Iterator[Painters]:
    """Yield actors for all CPUs of a Ray cluster, CORES each. address: as for `connected`.

    cache_bytes: of each. UserError where no cluster answers, or no actor can start.
    """
    with connected(address, None) as ray:
        most = max((int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]), default=0)
        cores = min(CORES, most)
        if cores < 1:
            raise UserError("The Ray cluster has no CPUs: add a machine to it.")
        count = sum(int(node["Resources"].get("CPU", 0)) // cores for node in ray.nodes() if node["Alive"])
        yield Painters(ray, cache_bytes, count, cores)
