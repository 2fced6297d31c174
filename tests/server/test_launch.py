"""The page is served, or says why not."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import gradio as gr
import pytest

from clit.ui.page import read_event

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_a_taken_port_is_told_in_one_sentence():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [sys.executable, "app.py", "--host", "127.0.0.1", "--port", str(taken.getsockname()[1])]
        run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1].startswith(f"error: Port {command[-1]} is taken")
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("sent", [{}, {"token": "x", "scale": 2.5, "crops": [], "size": None}])
def test_an_event_carries_what_the_viewer_sent(sent):
    assert read_event(gr.EventData(None, {**sent, "unknown": 1})) == sent


@pytest.mark.parametrize("sent", [None, [], "token", 3])
def test_an_event_without_entries_is_an_empty_question(sent):
    assert read_event(gr.EventData(None, sent)) == {}
