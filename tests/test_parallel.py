"""Spreading work over threads: order, one torch thread each, modes, errors, blocks."""

import ctypes
import os
import subprocess
import sys
import threading

import pytest
import torch

from clit.errors import Cancelled
from clit.system.threads import blocks, even_size, on_one_core, parallel_map


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_results_come_in_order_from_threads_with_one_torch_thread_each(three_threads):
    gate = threading.Barrier(3, timeout=20)  # passes only if three are under way at once

    def work(item: int) -> tuple[int, int, bool]:
        gate.wait()
        return item, torch.get_num_threads(), torch.is_inference_mode_enabled()

    with torch.inference_mode():
        assert list(parallel_map(work, range(6))) == [(i, 1, True) for i in range(6)]
    with torch.no_grad():
        assert list(parallel_map(work, range(3))) == [(i, 1, False) for i in range(3)]
    assert torch.get_num_threads() == 3


def test_threads_that_begin_meanwhile_keep_all_of_torchs(three_threads):
    under_way, asked = threading.Event(), threading.Event()
    told = []

    def begin() -> None:
        under_way.wait(20)
        torch.zeros(1).add(1)
        told.append(torch.get_num_threads())
        asked.set()

    def work(item: int) -> None:
        under_way.set()
        assert asked.wait(20)

    thread = threading.Thread(target=begin)
    thread.start()
    with torch.no_grad():
        list(parallel_map(work, range(4)))
    thread.join()
    assert told == [3]


def test_small_work_is_done_on_one_core_in_the_callers_mode(three_threads):
    def work() -> tuple[int, bool]:
        return torch.get_num_threads(), torch.is_inference_mode_enabled()

    for mode in (True, False):
        with torch.inference_mode(mode), torch.no_grad():
            assert on_one_core(work) == (1, mode)
    assert torch.get_num_threads() == 3


def test_with_gradients_or_inside_another_everything_stays_on_one_thread(three_threads):
    here = threading.get_ident()
    assert {t for t in parallel_map(lambda _: threading.get_ident(), range(4))} == {here}
    with torch.no_grad():
        inner = list(parallel_map(lambda _: set(parallel_map(lambda _: threading.get_ident(), range(4))), range(3)))
    assert all(len(threads) == 1 and here not in threads for threads in inner)


def test_an_error_goes_through_and_threads_come_back(three_threads):
    def work(item: int) -> None:
        raise ValueError(item)

    with torch.no_grad(), pytest.raises(ValueError, match="0"):
        list(parallel_map(work, range(9)))
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize(
    ("height", "width", "most"), [(1, 1, 1), (7, 9, 4), (100, 3, 16), (5, 400, 64), (33, 33, 2000)]
)
def test_blocks_cover_everything_once(height, width, most):
    seen = torch.zeros(height, width)
    for rows, columns in blocks(height, width, most):
        seen[rows, columns] += 1
        assert seen[rows, columns].numel() <= 2 * most
    assert (seen == 1).all()
    assert even_size(10, 4) == 4 and even_size(9, 4) == 3 and even_size(3, 9) == 3


@pytest.mark.parametrize("gradients", [True, False])
def test_cancel_is_asked_before_each_result(gradients, three_threads):
    seen: list[int] = []
    with torch.set_grad_enabled(gradients), pytest.raises(Cancelled):
        for result in parallel_map(lambda item: item, range(50), lambda: len(seen) == 7):
            seen.append(result)
    assert seen == list(range(7)) and torch.get_num_threads() == 3


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs glibc")
def test_what_one_thread_frees_is_there_for_all():
    code = """if True:
        import ctypes, threading
        from clit.system.process import prepare_process
        prepare_process()
        library = ctypes.CDLL(None)
        library.malloc.restype, library.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
        library.fopen.restype, library.fopen.argtypes = ctypes.c_void_p, [ctypes.c_char_p] * 2
        library.malloc_info.argtypes, library.fclose.argtypes = [ctypes.c_int, ctypes.c_void_p], [ctypes.c_void_p]
        for _ in range(4):
            work = threading.Thread(target=lambda: library.free(library.malloc(10 << 20)))
            work.start()
            work.join()
        file = library.fopen(b"/dev/stdout", b"w")
        library.malloc_info(0, file)
        library.fclose(file)
    """
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")}
    told = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True).stdout
    assert told.count("<heap nr=") == 1


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs glibc")
def test_threads_that_multiplied_keep_no_buffers():
    code = """if True:
        import ctypes, threading
        from clit.system.process import prepare_process
        prepare_process()
        import torch

        class Info(ctypes.Structure):
            _fields_ = [(name, ctypes.c_size_t) for name in (
                "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keep"
            )]

        library = ctypes.CDLL(None)
        library.mallinfo2.restype = Info
        torch.set_num_threads(1)
        a = torch.rand(600, 600)
        done, over = threading.Barrier(31), threading.Event()

        def work():
            a @ a
            done.wait()
            over.wait()

        a @ a
        before = library.mallinfo2()
        for _ in range(30):
            threading.Thread(target=work).start()
        done.wait()
        after = library.mallinfo2()
        over.set()
        print(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd)
    """
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MALLOC_", "MKL_"))}
    told = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True).stdout
    assert int(told) < 5_000_000
