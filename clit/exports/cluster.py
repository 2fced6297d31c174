"""A folder's pictures on many machines, by Ray: a pool of actors, each with the model on one CPU.

An actor gets one picture at a time. A PNG or TIFF of more than LARGE pixels is cut: its bands go over the whole pool,
and come back here to be written. They are the bands of `Renderer.save`, so the file is the same, byte for byte, on
machines of one kind. Only this process writes the manifest. Ray starts a dead actor again and repeats its task.

ray.util.ActorPool does not say which task has failed, so the pool here is the loop over `ray.wait` of Ray's
documentation. All machines must see the inputs and the output folder under the same paths.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch

from clit.errors import UserError
from clit.exports.folders import Engine, Made, Outcomes, explain, new_part
from clit.exports.jobs import Failure, Job
from clit.exports.manifest import Fingerprint
from clit.networks import compiling
from clit.networks.model import SRModel
from clit.pictures.files import STREAMED, Form, list_losses, read_image, write_finished
from clit.rendering.output import Output
from clit.rendering.renderer import TILE, Renderer
from clit.system.cluster import LOCAL, connected, last_line
from clit.system.process import prepare_process

LARGE = 32_000_000
"""Output pixels from which a PNG or TIFF is cut into bands."""

ANSWER = 64 << 20
"""Most bytes of bands that an actor sends back at once, if one band is not larger."""

RETRIES = 2
"""How often a picture is tried again whose actor died."""

Task = TypeVar("Task")


class Large(NamedTuple):
    """A picture to be cut: what `Made` says, but for the result, and its form and number of bands."""

    job: Job
    part: str
    source: Fingerprint
    notices: tuple[str, ...]
    form: Form
    count: int


class Worker:
    """The actor. options: of `Renderer.save`. strict: refuse a picture whose end is missing. large: see LARGE.

    Each task brings a list of one reference to the model, which is followed once: Ray advises against large arguments
    of an actor that may start again.
    """

    def __init__(self, options: Mapping[str, Any], strict: bool, large: int):
        prepare_process()
        torch.set_num_threads(1)
        compiling.wait()  # as `upscale_folder` does, so that all actors make the same bytes
        self._options, self._strict, self._large = options, strict, large
        self._model: SRModel | None = None
        self._cut: tuple[str, Output] | None = None  # the picture that is cut now

    def sees(self, folder: str) -> str | None:
        """Return the name of this machine if it does not see a folder."""
        return None if os.path.isdir(folder) else socket.gethostname()

    def make(self, model: list[Any], job: Job, parts: str) -> Made | Failure | Large:
        """Do a job, into a new file in the folder `parts`; a large one is only looked at."""
        part = new_part(job, parts)
        try:
            before = Fingerprint.of(job.source)
            output, notices = self._output(model, job.source, part)
            height, width = output.form.size
            if output.form.kind in STREAMED and output.count > 1 and height * width > self._large:
                return Large(job, part, before, notices, output.form, output.count)
            write_finished(part, output.form, output.bands(range(output.count)))
            return Made(job, part, before, Fingerprint.of(part), notices)
        except Exception as error:
            return Failure(job.source, explain(error))

    def bands(self, model: list[Any], source: str, part: str, indices: range) -> np.ndarray:
        """Draw neighbouring bands of a large picture: (rows, W, channels) as the file holds them."""
        if self._cut is None or self._cut[0] != part:
            self._cut = part, self._output(model, source, part)[0]
        return np.concatenate(list(self._cut[1].bands(indices)))

    def _output(self, model: list[Any], source: str, part: str) -> tuple[Output, tuple[str, ...]]:
        if self._model is None:
            import ray

            self._model = ray.get(model[0])
        picture = read_image(source, strict=self._strict)
        output = Renderer().output(self._model, picture, part, **self._options)  # keeps no features of others
        return output, (*picture.notices, *list_losses(part, picture, self._options.get("strip", False)))


def over_cluster(
    model: SRModel,
    options: Mapping[str, Any],
    address: str = LOCAL,
    actors: int | None = None,
    *,
    strict: bool = False,
    large: int = LARGE,
) -> Engine:
    """Return an engine that does jobs on a Ray cluster.

    options: of `Renderer.save`. address: LOCAL, or that of a cluster ("ray://host:10001", or "auto" on one of its
    machines). actors: how many, one for each CPU by default. UserError, when it runs, where no cluster answers, and
    where a machine does not see the output folder.
    """

    def run(jobs: list[Job], parts: str, share: Callable[[str, float], None]) -> Outcomes:
        if not jobs:
            return
        with connected(address, actors) as ray:
            pool = _Pool(ray, model, actors, parts, (options, strict, large))
            cut: list[Large] = []
            for job, ref in pool.each(jobs, lambda actor, job: actor.make.remote(pool.model, job, parts)):
                outcome = pool.result(ref, job.source)
                if isinstance(outcome, Large):
                    cut.append(outcome)
                else:
                    yield outcome
            for picture in cut:
                yield _cut(pool, picture, share)

    return run


def _cut(pool: _Pool, picture: Large, share: Callable[[str, float], None]) -> Made | Failure:
    """Draw a large picture over the whole pool, and write it here."""
    source = picture.job.source
    try:
        write_finished(picture.part, picture.form, _bands(pool, picture, share))
        return Made(picture.job, picture.part, picture.source, Fingerprint.of(picture.part), picture.notices)
    except Exception as error:
        return Failure(source, pool.explain(error))


def _bands(pool: _Pool, picture: Large, share: Callable[[str, float], None]) -> Iterator[np.ndarray]:
    """Yield the bands of a large picture in their order, as they come back."""
    source, count = picture.job.source, picture.count
    most = ANSWER // (TILE * picture.form.size[1] * 4 * picture.form.bits // 8)
    step = max(1, min(most, math.ceil(count / (2 * pool.size))))  # neighbours share the features between them
    tasks = [range(first, min(first + step, count)) for first in range(0, count, step)]
    ready: dict[int, Any] = {}  # first band -> reference: Ray keeps what has to wait
    due = 0
    for task, ref in pool.each(tasks, lambda actor, task: actor.bands.remote(pool.model, source, picture.part, task)):
        ready[task.start] = ref
        while due in ready:
            rows = pool.ray.get(ready.pop(due))
            due = min(due + step, count)
            share(source, 0.999 * due / count)
            yield from (rows[top : top + TILE] for top in range(0, len(rows), TILE))


class _Pool:
    """Actors, each of which has one task at a time. An actor joins when it has started.

    size: number of actors. model: what their tasks bring of it. arguments: of `Worker`.
    """

    def __init__(self, ray: Any, model: SRModel, size: int | None, parts: str, arguments: tuple):
        self.ray = ray
        self.size = size or int(ray.cluster_resources().get("CPU", 0))
        if self.size < 1:
            raise UserError("The Ray cluster has no CPUs: add a machine to it.")
        self.model = [ray.put(model)]  # in a list, so that Ray hands over the reference
        actor = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=RETRIES)(Worker)
        made = [actor.remote(*arguments) for _ in range(self.size)]
        self._starting = {actor.sees.remote(parts): actor for actor in made}
        self._idle: list[Any] = []

    def each(self, tasks: Iterable[Task], call: Callable[[Any, Task], Any]) -> Iterator[tuple[Task, Any]]:
        """Give every task to an actor by `call`, which returns a reference; yield both when it is done or failed."""
        tasks = iter(tasks)
        busy: dict[Any, tuple[Any, Task]] = {}
        try:
            while True:
                while self._idle and (task := next(tasks, None)) is not None:
                    actor = self._idle.pop()
                    busy[call(actor, task)] = actor, task
                if self._idle and not busy:
                    return
                [ref], _ = self.ray.wait([*busy, *self._starting])
                if ref in self._starting:
                    self._join(ref)
                    continue
                actor, task = busy.pop(ref)
                self._idle.append(actor)
                yield task, ref
        finally:
            self._idle += [actor for actor, _ in busy.values()]

    def _join(self, ref: Any) -> None:
        actor = self._starting.pop(ref)
        try:
            blind = self.ray.get(ref)
        except self.ray.exceptions.RayError as error:
            raise UserError(f"An actor cannot start on the Ray cluster: {last_line(error)}") from None
        if blind is not None:
            raise UserError(
                f"The machine {blind} does not see the output folder: inputs and output must lie on storage that all "
                "machines of the cluster see under the same path."
            )
        self._idle.append(actor)

    def result(self, ref: Any, source: str) -> Any:
        """Return what a task returned; a Failure if its actor died too often."""
        try:
            return self.ray.get(ref)
        except self.ray.exceptions.RayError as error:
            return Failure(source, self.explain(error))

    def explain(self, error: Exception) -> str:
        """Return in one sentence why a file could not be done."""
        if isinstance(error, self.ray.exceptions.RayTaskError):
            return explain(error.cause)
        if isinstance(error, self.ray.exceptions.RayError):
            return f"Its actor was lost {RETRIES + 1} times: {last_line(error)}"
        return explain(error)
