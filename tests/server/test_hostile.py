"""Hostile calls: whatever is sent, each question answers, or says in a sentence why not."""

from __future__ import annotations

import json
import logging
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clit.ui.jobs import KINDS, make_file
from clit.ui.questions import QUESTIONS, ask, begin
from server.visitor import arrive

CALLS = int(os.environ.get("CLIT_HOSTILE_CALLS", "150"))
"""Drawn for all questions together. CLIT_HOSTILE_CALLS=2000 pytest tests/server/test_hostile.py draws more."""

ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(), max_size=8),
    st.sampled_from(
        ["\ud800", "toString", "__proto__", "../../etc/passwd", "/etc/passwd", "\0", "x" * 5000, "", 1e308, -1, 2**53,
         10**400, [], {}, [[]], {"a": 1}, [None] * 4, ["published"], float("nan")]
    ),
    st.lists(st.integers(-5, 2**60), max_size=5), st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
)  # fmt: skip
GOOD = {
    "model": st.sampled_from(["bicubic", "lit-light", "clit-light", "lte-light", "truth"]),
    "models": st.lists(st.sampled_from(["bicubic", "lit-light", "truth"]), max_size=3),
    "methods": st.just([{"model": "bicubic"}, {"model": "lit-light", "stages": 1}]),
    "scale": st.sampled_from([1, 2, 2.7, 30, 31]), "size": st.sampled_from([None, [60, 80], [31, 41]]),
    "chain": st.sampled_from(["published", "balanced"]), "name": st.sampled_from(["one.png", "two.png"]),
    "window": st.sampled_from([[0, 0, 9, 9], [-3, -3, 20, 5], [50, 60, 9, 9]]), "stages": st.sampled_from([None, 1, 3]),
    "wanted": st.integers(0, 9), "kind": st.sampled_from(["preview", "exact", "ahead", *KINDS]),
    "paint": st.sampled_from(["colours", "entropy", "entropy-mean", "direction", "returned"]),
    "head": st.integers(-1, 9), "error": st.booleans(), "pixel": st.sampled_from([[0, 0], [3, 5], [999, 0]]),
    "pixels": st.just([[0, 0], [3, 5]]), "suffix": st.sampled_from([".png", ".json", ".csv", ".npz", ".pdf"]),
    "influence": st.booleans(), "about": st.just([3.5, 4]), "side": st.just([32, 32]), "crops": st.just([[0, 0, 9, 9]]),
    "path": st.sampled_from(["/etc/passwd", "x", "."]), "run": st.integers(0, 3),
}  # fmt: skip
ENTRIES = st.fixed_dictionaries({}, optional={key: st.one_of(good, good, good, ODD) for key, good in GOOD.items()})


def check(answer: dict) -> None:
    """An answer can be sent; an error is one sentence of ours, without the server's folders."""
    json.dumps(answer, allow_nan=False, ensure_ascii=False).encode()  # as starlette does
    error = answer.get("error")
    if error is not None:
        assert error.endswith((".", "DIR")) and "\n" not in error and len(error) < 400, error
        assert "Something went wrong" not in error and "Traceback" not in error, error
        assert error.replace('"/etc/passwd"', "").count("/etc/") == 0, error


ASKED = [*(each for each in QUESTIONS if each is not begin), make_file]


@pytest.mark.parametrize("question", ASKED, ids=lambda question: question.__name__)
def test_every_question_answers_whatever_is_sent(site, caplog, question):
    visit = arrive(site)

    @settings(
        max_examples=max(1, CALLS // len(QUESTIONS)), deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(entries=ENTRIES, keep=st.integers(0, 9), odd=ODD)
    def call(entries, keep, odd):
        nonlocal visit
        sent = entries | visit if keep > 1 else entries | {"token": visit["token"], "picture": odd} if keep else odd
        if question is make_file:
            states = list(make_file(site, {**sent, "kind": "picture"} if keep == 9 else sent if keep > 5 else odd))
            check({key: value for key, value in states[-1].items() if key != "size"})
        else:
            answer = ask(question, site, sent)
            check(answer)
            if "id" in answer:
                visit = {"token": visit["token"], "picture": answer["id"]}

    with caplog.at_level(logging.ERROR):
        call()
    assert not caplog.records
