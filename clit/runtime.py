"""How the process uses the machine. Import-light: call `share_cpu` before torch is imported."""

from __future__ import annotations

import os


def share_cpu() -> None:
    """Let idle OpenMP threads sleep instead of spin.

    A host's few cores are shared by visitors, by other programs, by a training run; there, threads that spin while
    they wait for one another steal the time that the work needs: with two busy processes on two cores, a rendering
    took five times as long. A setting of the user's own stays.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
