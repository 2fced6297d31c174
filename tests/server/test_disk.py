"""The server's folder: swept, bounded, and told in a sentence where it fails."""

from __future__ import annotations

import errno
import io
import os
import shutil
import subprocess
import sys
import time

import pytest
from filelock import FileLock

from clit.errors import UserError
from clit.ui.disk import Disk, make_folder
from clit.ui.jobs import make_file
from clit.ui.limits import Limits
from clit.ui.questions import ask, open_example
from clit.ui.site import Site
from server.visitor import arrive

MAKE = {"kind": "picture", "suffix": ".png", "models": ["bicubic"], "scale": 2}


def test_what_a_killed_server_left_is_deleted_and_what_is_in_use_is_not(tmp_path):
    script = (
        "import os, sys; from pathlib import Path; from clit.ui.disk import make_folder;"
        "folder = make_folder(Path(sys.argv[1])); (folder / 'left').write_text('x'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    [left] = tmp_path.glob("clit-page-*/left")
    used = tmp_path / "clit-page-used"
    used.mkdir()
    other = tmp_path / "clit-page-without-lock"
    other.mkdir()
    with FileLock(used.with_suffix(".lock")):
        folder = make_folder(tmp_path)
    assert not left.parent.exists() and used.exists() and other.exists()
    assert folder.is_dir() and folder.with_suffix(".lock").exists()


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="set GRADIO_TEMP_DIR"):
        make_folder(tmp_path / "file" / "folder")


def test_old_files_and_empty_folders_are_swept_but_not_what_is_kept(tmp_path):
    found = Disk(tmp_path, Limits(file_seconds=0.05))
    kept, old, deep = tmp_path / "kept", tmp_path / "old", tmp_path / "a" / "b" / "deep"
    deep.parent.mkdir(parents=True)
    for path in (kept, old, deep):
        path.write_text("x")
    found.sweep({kept})
    assert old.exists() and deep.exists()
    time.sleep(0.1)
    new = tmp_path / "new"
    new.write_text("x")
    found.sweep({kept})
    assert kept.exists() and new.exists() and not old.exists() and not deep.exists()
    for _ in range(2):
        time.sleep(0.1)  # a folder is as young as what was last deleted in it
        found.sweep({kept})
    assert not (tmp_path / "a").exists()


def test_quota(tmp_path):
    found = Disk(tmp_path / "folder", Limits(disk_bytes=10, file_room=3))
    path = found.keep(io.BytesIO(b"12345678"), 8)
    for act in (lambda: found.keep(io.BytesIO(b"123"), 3), lambda: found.new_path(".png")):
        with pytest.raises(UserError, match="no room"):
            act()
    path.unlink()
    assert found.keep(io.BytesIO(b"123"), 3).read_bytes() == b"123"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_full_or_refusing_disk_is_a_sentence_and_heals(examples, tmp_path, monkeypatch, number):
    site = Site(examples, tmp_path, Limits())
    visit = arrive(site)

    def refuse(*_, **__):
        raise OSError(number, os.strerror(number), "/secret/path")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", refuse)
        with pytest.raises(UserError, match="no room"):
            site.disk.keep(io.BytesIO(b"1"), 1)
        patch.setattr(os, "fsync", refuse)
        state = list(make_file(site, {**visit, **MAKE}))[-1]
        assert state["state"] == "error" and state["error"].startswith("The server has no room on its disk")
        patch.setattr(site.examples, "names", refuse)
        answer = ask(open_example, site, {"token": visit["token"], "name": "one.png"})
        assert answer == {"error": state["error"]}
    assert not list(tmp_path.iterdir()), "nothing half written stays"
    assert list(make_file(site, {**visit, **MAKE}))[-1]["state"] == "done"
    assert site.disk.keep(io.BytesIO(b"1"), 1).exists()


def test_a_folder_that_was_deleted_comes_back(examples, tmp_path):
    site = Site(examples, tmp_path / "folder")
    shutil.rmtree(tmp_path / "folder", ignore_errors=True)
    assert list(make_file(site, {**arrive(site), **MAKE}))[-1]["state"] == "done"
