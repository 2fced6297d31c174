"""Work in a process of its own: results, errors, a process that is killed or hangs, one that outlives nobody."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from clit import UserError
from clit.errors import Cancelled
from clit.exports.figures import Comparison, Panel, draw_comparison, encode_attention
from clit.system import apart
from clit.system.apart import run_apart

ROOT = Path(__file__).resolve().parent.parent


def test_work_is_done_in_another_process_that_stays_and_gives_way():
    first = run_apart(os.getpid)
    assert first != os.getpid() and run_apart(os.getpid) == first
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, first) == min(19, own + apart.NICENESS)


def test_what_goes_wrong_there_is_raised_here():
    with pytest.raises(UserError, match="choose one of each"):
        run_apart(encode_attention, [], None, ".npz")
    with pytest.raises(ZeroDivisionError) as raised:
        run_apart(divmod, 1, 0)
    assert "function(*arguments)" in str(raised.value.__cause__), "the log tells where it was"
    assert run_apart(divmod, 7, 2) == (3, 1)


def test_results_and_errors_that_cannot_be_sent_are_told_once():
    first = run_apart(os.getpid)
    with pytest.raises(Exception, match="pickle"):
        run_apart(eval, "lambda: None")
    with pytest.raises(RuntimeError, match="ErrorOfOurs"):
        run_apart(exec, "class ErrorOfOurs(Exception): pass\nraise ErrorOfOurs")
    with pytest.raises(Exception, match="pickle"):
        run_apart(divmod, 1, lambda: None)
    assert run_apart(os.getpid) == first


def test_a_killed_process_is_started_anew():
    first = run_apart(os.getpid)
    os.kill(first, signal.SIGKILL)
    assert run_apart(os.getpid) != first
    with pytest.raises(UserError, match="Try again later"):
        run_apart(os._exit, 1)
    assert run_apart(divmod, 7, 2) == (3, 1)


def test_an_answer_that_nobody_takes_is_not_the_next_ones():
    def interrupt() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_apart(time.sleep, 0.3, cancel=interrupt)
    time.sleep(0.4)
    assert run_apart(divmod, 7, 2) == (3, 1)


def test_who_does_not_wait_any_more_is_out_at_once(monkeypatch):
    began, gone = time.monotonic(), threading.Event()
    slow = threading.Thread(target=lambda: pytest.raises(Cancelled, run_apart, time.sleep, 60, cancel=gone.is_set))
    slow.start()
    while not apart._lock.locked():
        time.sleep(0.01)
    with pytest.raises(Cancelled):  # while another's work is done
        run_apart(divmod, 7, 2, cancel=lambda: True)
    gone.set()
    slow.join()
    monkeypatch.setattr(apart, "LONGEST", 0.3)
    with pytest.raises(UserError, match="more than 0.3 seconds"):
        run_apart(time.sleep, 60)
    assert time.monotonic() - began < 50
    monkeypatch.undo()
    assert run_apart(divmod, 7, 2) == (3, 1)


def test_it_draws_without_torch():
    grey = np.full((16, 16, 3), 0.5, np.float32)
    sheet = Comparison(1, (16, 16), [(0, 0, 16, 16)], [Panel("grey", [grey])], grey)
    assert run_apart(draw_comparison, sheet).startswith(b"\x89PNG")
    assert run_apart(eval, "'torch' in __import__('sys').modules") is False


def test_it_ends_with_the_process_that_asked():
    code = "import os, sys; from clit.system.apart import run_apart; print(run_apart(os.getpid), flush=True); input()"
    asking = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    pid = int(asking.stdout.readline())
    os.kill(pid, 0)
    asking.kill()
    asking.communicate()
    until = time.monotonic() + 20
    while time.monotonic() < until and _is_running(pid):
        time.sleep(0.05)
    assert not _is_running(pid)


def _is_running(pid: int) -> bool:
    """Whether there is such a process, and it is more than a name whose end nobody has asked for."""
    stat = Path(f"/proc/{pid}/stat")
    if not Path("/proc/self/stat").exists():
        return subprocess.run(["ps", "-p", str(pid)], capture_output=True).returncode == 0
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"
