"""When freed memory goes back to the system."""

from __future__ import annotations

import pytest

from clit.ui import spare
from clit.ui.spare import IDLE_SECONDS, MOST_SPARE, SpareMemory

CODE = 500_000_000


class Process:
    """A process that holds so many bytes, `freed` ones among them, which it gives back when it is asked to."""

    def __init__(self):
        self.now, self.held, self.freed, self.times = 0.0, CODE, 0, 0

    def give_back(self) -> None:
        self.held, self.freed, self.times = self.held - self.freed, 0, self.times + 1

    def free(self, count: int) -> None:
        """Hold more that is free."""
        self.held, self.freed = self.held + count, self.freed + count


@pytest.fixture
def process(monkeypatch):
    process = Process()
    monkeypatch.setattr(spare, "resident", lambda: process.held)
    monkeypatch.setattr(spare, "return_memory", process.give_back)
    return process


@pytest.fixture
def memory(site, process):
    return SpareMemory(site, lambda: process.now)


def test_freed_memory_stays_while_it_is_little_and_somebody_draws(site, process, memory):
    with site.line.join("somebody", "exact"):
        for _ in range(3):
            process.now += IDLE_SECONDS
            memory.look()
        process.free(MOST_SPARE)
        memory.look()
    assert process.times == 0


def test_freed_memory_goes_back_when_it_has_become_much(site, process, memory):
    with site.line.join("somebody", "exact"):
        for times in (1, 2):
            process.free(MOST_SPARE + 1)
            memory.look()
            memory.look()
            assert (process.times, process.held) == (times, CODE)


def test_what_the_site_keeps_is_not_spare(site, process, memory, monkeypatch):
    monkeypatch.setattr(site, "count_bytes", lambda: {"features": 2 * MOST_SPARE})
    with site.line.join("somebody", "exact"):
        process.held += 2 * MOST_SPARE
        memory.look()
        assert process.times == 0
        process.free(MOST_SPARE + 1)
        memory.look()
        assert (process.times, process.held) == (1, CODE + 2 * MOST_SPARE)


def test_what_cannot_go_back_is_asked_for_once(site, process, memory):
    """Networks were loaded, say."""
    with site.line.join("somebody", "exact"):
        process.held += MOST_SPARE + 1
        memory.look()
        memory.look()
        assert process.times == 1
        process.held -= MOST_SPARE  # a large array went back by itself
        memory.look()
        process.free(MOST_SPARE + 1)
        memory.look()
        assert (process.times, process.held) == (2, CODE + 1)


def test_all_goes_back_once_nobody_draws(site, process, memory):
    process.free(1000)
    with site.line.join("somebody", "exact"):
        process.now = 20.0
        memory.look()
    process.now += IDLE_SECONDS - 1
    memory.look()
    assert process.times == 0
    process.now += 1
    memory.look()
    assert (process.times, process.held) == (1, CODE)
