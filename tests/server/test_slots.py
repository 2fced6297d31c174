"""The line for rendering: bounded, and quick requests overtake slow ones."""

from __future__ import annotations

import threading
import time

import pytest

import clit
from clit.ui.failures import Stale
from clit.ui.slots import Slots


def test_slots_bound_the_line():
    slots = Slots(1, 1)
    with slots.take(lambda: False):
        with pytest.raises(Stale), slots.take(lambda: True):
            pass
        waiting = threading.Thread(target=lambda: slots.take(lambda: False).__enter__())
        waiting.start()
        while not slots.line_length:
            time.sleep(0.001)
        with pytest.raises(clit.UserError, match="busy"), slots.take(lambda: False):
            pass
    waiting.join(10)
    assert not waiting.is_alive()


def test_previews_come_first_and_what_is_drawn_ahead_does_not_wait():
    slots, order = Slots(1, 9), []

    def wait(kind: str) -> None:
        with slots.take(lambda: False, kind):
            order.append(kind)

    kinds = ["exact", "preview", "exact", "preview"]
    threads = [threading.Thread(target=wait, args=[kind]) for kind in kinds]
    with slots.take(lambda: False):
        for number, thread in enumerate(threads):
            thread.start()
            while slots.line_length <= number:
                time.sleep(0.001)
        with pytest.raises(Stale):
            wait("ahead")
    for thread in threads:
        thread.join(10)
    wait("ahead")
    assert order == ["preview", "preview", "exact", "exact", "ahead"] and not slots.line_length
