"""Work in a process of its own: results, errors, a process that is killed, one that outlives nobody."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clit import UserError
from clit.exports.figures import encode_attention
from clit.system.apart import run_apart

ROOT = Path(__file__).resolve().parent.parent


def test_work_is_done_in_another_process_that_stays():
    first = run_apart(os.getpid)
    assert first != os.getpid() and run_apart(os.getpid) == first
    if hasattr(os, "nice"):
        assert os.getpriority(os.PRIO_PROCESS, first) >= os.getpriority(os.PRIO_PROCESS, 0)


def test_what_goes_wrong_there_is_raised_here():
    with pytest.raises(UserError, match="choose one of each"):
        run_apart(encode_attention, [], None, ".npz")
    with pytest.raises(ZeroDivisionError):
        run_apart(divmod, 1, 0)
    assert run_apart(divmod, 7, 2) == (3, 1)


def test_a_killed_process_is_started_anew():
    first = run_apart(os.getpid)
    os.kill(first, signal.SIGKILL)
    assert run_apart(os.getpid) != first
    with pytest.raises(UserError, match="Try again later"):
        run_apart(os._exit, 1)
    assert run_apart(divmod, 7, 2) == (3, 1)


def test_what_cannot_be_sent_leaves_no_answer_to_the_next():
    with pytest.raises(Exception, match="pickle"):
        run_apart(divmod, 1, lambda: None)
    assert run_apart(divmod, 7, 2) == (3, 1)


def test_it_draws_without_torch():
    code = "import sys, clit.exports.figures; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert run.stdout.strip() == "False"


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
