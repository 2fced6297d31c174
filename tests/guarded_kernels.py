"""Run by test_kernels.py in a process of its own: the kernels on arrays between pages that nobody may touch.

A kernel that reads or writes beyond an array, before its first number or after its last, ends this process.
"""

from __future__ import annotations

import ctypes
import mmap
import random
import sys
from functools import partial

import numpy as np
import torch

from clit.config import CLITConfig, EDSRConfig, LIIFConfig, LTEConfig, ModelConfig
from clit.geometry import Window
from clit.networks import compiling
from clit.networks.model import SRModel

PAGE = mmap.PAGESIZE
libc = ctypes.CDLL(None, use_errno=True)


def guard(array: np.ndarray, at_end: bool) -> np.ndarray:
    """Copy an array to whole pages, flush with the forbidden page after them or with the one before."""
    pages = max(1, -(-array.nbytes // PAGE))
    memory = mmap.mmap(-1, (pages + 2) * PAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    start = PAGE + (pages * PAGE - array.nbytes if at_end else 0)
    copy = np.frombuffer(memory, array.dtype, array.size, start).reshape(array.shape)
    copy[...] = array
    for page in (0, pages + 1):
        assert libc.mprotect(ctypes.c_void_p(address + page * PAGE), PAGE, 0) == 0
    return copy


def guard_all(arrays, at_end: bool):
    """The same of the arrays of a tuple, and of tuples in it."""
    if isinstance(arrays, tuple):
        return type(arrays)(*(guard_all(each, at_end) for each in arrays))
    return guard(arrays, at_end)


def guarded(kernel, at_end: bool):
    """The kernel, called on guarded copies of all its arrays."""

    def call(*arguments) -> None:
        copies = [guard_all(a, at_end) for a in arguments]
        kernel(*copies)
        for argument, copy in zip(arguments, copies, strict=True):
            if isinstance(argument, np.ndarray):
                argument[...] = copy

    return call


def draw_config(rng: random.Random):
    hidden = tuple(rng.choice([1, 5, 16, 24, 47, 96, 100]) for _ in range(rng.randint(1, 3)))
    kind = rng.choice(["liif", "lte", "clit", "clit", "clit"])
    if kind == "liif":
        return LIIFConfig(hidden=hidden)
    if kind == "lte":
        return LTEConfig(width=2 * rng.choice([1, 5, 8, 36]), hidden=hidden)
    heads = rng.choice([1, 2, 3, 4, 8])
    return CLITConfig(
        width=heads * rng.choice([1, 3, 16]), heads=heads, radius=rng.choice([0, 1, 2, 3, 4, 8]), hidden=hidden,
        stages=rng.choice([1, 2]), fourier=rng.choice([0, 3, 32]),
    )  # fmt: skip


def weigh(rng: random.Random, wrap) -> list[np.ndarray]:
    """What `weighing_loops` writes for arrays drawn by chance. wrap: what each kernel is called through."""
    from clit.networks import weighing_loops

    heads, queries, latents, window = (rng.randint(1, 9) for _ in range(4))
    width, draw = heads * rng.choice([1, 3, 16]), np.random.default_rng(rng.randrange(1000))

    def floats(*shape: int) -> np.ndarray:
        return draw.standard_normal(shape, np.float32)

    q, k, v, grad = floats(queries, width), *(floats(latents, width) for _ in "kv"), floats(queries, window, width)
    index = draw.integers(0, latents, (queries, window))
    weights, weighted = (np.zeros(shape, np.float32) for shape in ((queries, heads, window), grad.shape))
    wrap(weighing_loops.forward)(q, k, v, index, floats(queries, heads, window), weights, weighted)
    grads = [np.zeros_like(array) for array in (q, k, v, weights)]
    wrap(weighing_loops.backward)(q, k, v, index, weights, grad, *grads)
    return [weights, weighted, grad, *grads]


def check_weighing(count: int) -> None:
    for case in range(count):
        expected = weigh(random.Random(case), lambda kernel: kernel)
        for at_end in (True, False):
            for found, array in zip(weigh(random.Random(case), partial(guarded, at_end=at_end)), expected, strict=True):
                assert np.array_equal(found, array)


@torch.inference_mode()
def main(count: int) -> None:
    assert compiling.wait()
    check_weighing(count)
    torch.set_num_threads(1)  # every call writes all of its output back
    from clit.networks.kernels import attention, ensemble

    names = ((attention, "render"), (attention, "survey"), (ensemble, "render"))
    plain = {(module, name): getattr(module, name) for module, name in names}
    rng = random.Random(0)
    for case in range(count):
        torch.manual_seed(case)
        model = SRModel(ModelConfig(EDSRConfig(width=8, blocks=1), draw_config(rng))).eval()
        h, w = rng.randint(1, 7), rng.randint(1, 7)
        scale = rng.choice([1.0, 1.3, 1.5, 2.0, 2.5, 3.0, 4.0, 7.9, 30.0])
        size = round(h * scale), round(w * scale)
        height, width = rng.randint(1, min(size[0], 40)), rng.randint(1, min(size[1], 40))
        window = Window(rng.choice([0, size[0] - height]), rng.choice([0, size[1] - width]), height, width)
        field = model.prepare(model.encode(torch.rand(2, 3, h, w)), model.view((h, w), size, window))
        decoder = model.decoder
        calls = [decoder.render, decoder.survey] if decoder.heads else [decoder.render]
        with compiling.switched_off():
            expected = [call(field) for call in calls]
        for at_end in (True, False):
            for (module, name), kernel in plain.items():
                setattr(module, name, guarded(kernel, at_end))
            for call, through_torch in zip(calls, expected, strict=True):
                found = call(field)
                extent = (through_torch.max() - through_torch.min()).clamp(min=1)
                assert (found - through_torch).abs().max() <= 1e-5 * extent, (case, model.config.decoder)
    print(count, "cases")


if __name__ == "__main__":
    main(int(sys.argv[1]))
