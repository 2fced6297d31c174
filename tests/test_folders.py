"""Whole folders: what becomes what, bad files, and runs that go on where others were stopped."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_cli import call, done, refused
from tiny import save_checkpoints

import clit
from clit.errors import UserError
from clit.exports.folders import FAILURES
from clit.exports.jobs import find_jobs
from clit.exports.manifest import FOLDER, lock
from clit.pictures.files import read_image

BAD = {
    "empty.png": b"",
    "text.png": b"not a picture",
    "cut.jpg": b"\xff\xd8\xff\xe0",
    "cut.webp": b"RIFF\x10\0\0\0WEBP",
    "svg.tif": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "page.bmp": b"%PDF-1.7",
    "sub/half.png": None,  # the first half of a picture's header
}


def save_pictures(folder: Path, count: int, ending: str = ".png") -> list[Path]:
    """Write small pictures, every third in a folder below; return their paths."""
    rng = np.random.default_rng(count)
    paths = [folder / ("sub" if i % 3 == 0 else "") / f"{i:03}{ending}" for i in range(count)]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        size = rng.integers(6, 15, 2)
        Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(path)
    return paths


def save_bad_files(folder: Path) -> None:
    for name, data in BAD.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(next(folder.glob("*.png")).read_bytes()[:40] if data is None else data)


def read_outputs(folder: Path) -> dict[str, bytes]:
    """The bytes of all files in a folder but for the run's own."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and FOLDER not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def read_records(folder: Path) -> list[str]:
    """The outputs that the manifest has records of, one for each time."""
    lines = (folder / FOLDER / "manifest.jsonl").read_text().splitlines()
    return [record["output"] for record in map(json.loads, lines) if "output" in record]


@pytest.fixture(scope="module")
def bicubic():
    return clit.load("bicubic")


@pytest.fixture(scope="module", autouse=True)
def small_models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    save_checkpoints(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLIT_CHECKPOINTS", str(folder))
        yield


def names_of(inputs, out, ending=lambda ending: ending):
    return {(Path(job.source).name, job.output) for job in find_jobs(inputs, out, ending).jobs}


@pytest.fixture
def tree(tmp_path):
    """in/a.png, in/b.jpg, in/below/c.TIF, and what is passed over."""
    folder = tmp_path / "in"
    (folder / "below" / ".hidden").mkdir(parents=True)
    (folder / ".clit").mkdir()
    for name in ("a.png", "b.jpg", "below/c.TIF", "below/.hidden/d.png", ".clit/e.png", "._a.png"):
        (folder / name).touch()
    for name in ("notes.txt", "below/more.txt", "LICENCE"):
        (folder / name).touch()
    return folder


def test_a_folder_keeps_its_tree(tree, tmp_path):
    found = find_jobs([tree], tmp_path / "out", lambda ending: ending)
    assert [job.output for job in found.jobs] == ["a.png", "b.jpg", "below/c.TIF"]
    assert all(Path(job.source) == tree / job.output for job in found.jobs)
    assert found.left_out == {".txt": 2, "LICENCE": 1}


def test_files_and_patterns(tree, tmp_path, monkeypatch):
    out = tmp_path / "out"
    assert names_of([tree / "b.jpg", tree / "below" / "c.TIF"], out) == {("b.jpg", "b.jpg"), ("c.TIF", "c.TIF")}
    assert names_of([f"{tree}/**/*.[jT]*"], out) == {("b.jpg", "b.jpg"), ("c.TIF", "below/c.TIF")}
    assert names_of([tree / "notes.txt"], out) == {("notes.txt", "notes.txt")}  # named: to be tried
    monkeypatch.chdir(tree)
    assert names_of(["*.png"], out) == names_of(["a.png", "./a.png", tree / "a.png"], out) == {("a.png", "a.png")}
    (tree / "odd[1].png").touch()
    assert names_of(["odd[1].png"], out) == {("odd[1].png", "odd[1].png")}


def test_what_is_told_before_any_work(tree, tmp_path):
    out = tmp_path / "out"

    def refuse(inputs, out, word, ending=lambda ending: ending):
        with pytest.raises(UserError, match=word):
            find_jobs(inputs, out, ending)

    refuse([tree / "a.png", tree / "b.jpg", tree / "missing"], out, "no file or folder .*missing")
    refuse([f"{tree}/*.gif"], out, "pattern")
    refuse([tree], tree, "input and output")
    refuse([tree], tree / "a.png", "is a file")
    refuse([tree / "a.png"], tree, "input itself")
    refuse([tmp_path / "empty"], out, "no file or folder")
    (tmp_path / "empty").mkdir()
    refuse([tmp_path / "empty"], out, "no pictures")
    (tree / "a.bmp").touch()
    refuse([tree], out, "a.bmp and .*a.png would both become a.png", lambda _: ".png")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.png").touch()
    refuse([tree, tmp_path / "other"], out, "both become a.png")


def test_the_output_folder_is_no_input(tree):
    """Also on a second run, when there are pictures in it."""
    (tree / "out").mkdir()
    (tree / "out" / "a.png").touch()
    expected = {("a.png", "a.png"), ("b.jpg", "b.jpg"), ("c.TIF", "below/c.TIF")}
    assert names_of([tree], tree / "out") == expected
    assert names_of([f"{tree}/**/*.*g"], tree / "out") == expected - {("c.TIF", "below/c.TIF")}
    assert names_of([tree / "below"], tree) == {("c.TIF", "c.TIF")}  # an input inside the output is one


def test_a_folder_that_cannot_be_listed_is_a_failure(tree, tmp_path, monkeypatch):
    scan = os.scandir

    def refuse(path):
        if Path(path).name == "below":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = find_jobs([tree], tmp_path / "out", lambda ending: ending)
    assert [job.output for job in found.jobs] == ["a.png", "b.jpg"]
    assert found.failures == [(str(tree / "below"), "The folder cannot be listed: Permission denied.")]


def test_every_picture_is_what_the_package_makes_of_it(tmp_path):
    save_pictures(tmp_path / "in", 4)
    Image.fromarray(np.full((5, 6), 90, np.uint8)).save(tmp_path / "in" / "grey.gif")
    Image.fromarray(np.full((5, 6, 4), 90, np.uint8)).save(tmp_path / "in" / "clear.jpg", "PNG")
    model, shares = clit.load("lit-light"), []
    summary = clit.upscale_folder(model, [tmp_path / "in"], tmp_path / "out", 2.5, progress=shares.append)
    assert (summary.written, summary.kept, summary.failures) == (6, 0, [])
    assert summary.notices == {"A JPEG file holds no transparency: the picture is laid over white.": 1}
    assert shares == sorted(shares) and 0 < shares[0] < shares[-1] == 1
    outputs = read_outputs(tmp_path / "out")
    assert set(outputs) == {"001.png", "002.png", "sub/000.png", "sub/003.png", "grey.png", "clear.jpg"}
    for name in ("sub/003.png", "grey.png"):
        source = next((tmp_path / "in").glob(f"{name[:-4]}.*"))
        clit.save(model, source, tmp_path / "alone.png", scale=2.5)
        assert (tmp_path / "alone.png").read_bytes() == outputs[name]


def test_format_and_size(tmp_path, bicubic):
    save_pictures(tmp_path / "in", 2)
    clit.upscale_folder(bicubic, [tmp_path / "in"], tmp_path / "out", size=(20, 30), format="webp")
    assert {path.suffix for path in (tmp_path / "out").glob("**/0*")} == {".webp"}
    assert read_image(tmp_path / "out" / "001.webp").size == (20, 30)


@pytest.mark.parametrize(("inputs", "out"), [(None, "out"), ([3], "out"), (["in"], None)])
def test_what_is_no_path_is_refused(bicubic, inputs, out):
    with pytest.raises(UserError, match="must be paths"):
        clit.upscale_folder(bicubic, inputs, out, 2)


def test_a_bad_file_is_noted_and_passed(tmp_path, bicubic):
    pictures = save_pictures(tmp_path / "in", 5)
    save_bad_files(tmp_path / "in")
    lines = []
    summary = clit.upscale_folder(bicubic, [tmp_path / "in"], tmp_path / "out", 2, report=lines.append)
    assert summary.written == len(pictures) and len(summary.failures) == len(BAD) == len(lines)
    with (tmp_path / "out" / FAILURES).open(newline="") as file:
        rows = {Path(row["input"]).name: row["reason"] for row in csv.DictReader(file)}
    assert set(rows) == {Path(name).name for name in BAD}
    assert "SVG" in rows["svg.tif"] and "PDF" in rows["page.bmp"] and "empty" in rows["empty.png"]
    assert set(read_outputs(tmp_path / "out")) == {
        *(path.relative_to(tmp_path / "in").as_posix() for path in pictures), FAILURES
    }  # fmt: skip
    for name in BAD:
        (tmp_path / "in" / name).unlink()
    summary = clit.upscale_folder(bicubic, [tmp_path / "in"], tmp_path / "out", 2)
    assert (summary.written, summary.kept, summary.failures) == (0, 5, [])
    assert not (tmp_path / "out" / FAILURES).exists()


def test_an_error_nobody_foresaw_stops_nothing(tmp_path, bicubic, monkeypatch):
    save_pictures(tmp_path / "in", 3)
    read = read_image

    def fail(source, **options):
        if "001" in str(source):
            raise ZeroDivisionError("by zero")
        return read(source, **options)

    monkeypatch.setattr("clit.exports.folders.read_image", fail)
    summary = clit.upscale_folder(bicubic, [tmp_path / "in"], tmp_path / "out", 2)
    assert summary.written == 2 and "ZeroDivisionError: by zero" in summary.failures[0].reason


def test_a_target_that_is_a_folder_is_a_failure(tmp_path, bicubic):
    save_pictures(tmp_path / "in", 2)
    (tmp_path / "out" / "001.png").mkdir(parents=True)
    summary = clit.upscale_folder(bicubic, [tmp_path / "in"], tmp_path / "out", 2)
    assert summary.written == 1 and "is a folder" in summary.failures[0].reason


def test_only_what_has_changed_is_done_again(tmp_path, bicubic):
    first, second, *_ = save_pictures(tmp_path / "in", 6)
    out = tmp_path / "out"

    def run(scale=2, model=bicubic):
        summary = clit.upscale_folder(model, [tmp_path / "in"], out, scale)
        assert summary.written + summary.kept == 6 and not summary.failures
        return summary.written

    assert run() == 6
    assert run() == 0
    os.utime(first, (1, 1))  # a copy: another time, the same content
    assert run() == 0
    first.write_bytes(second.read_bytes())
    assert run() == 1
    (out / "001.png").unlink()
    (out / "002.png").write_bytes(b"changed")
    assert run() == 2
    assert run(3) == 6  # other settings
    assert run(2) == 6  # the records of the first runs do not count: their files are gone
    assert run(2, clit.load("bilinear")) == 6  # another model
    shutil.copytree(out, tmp_path / "copy")
    out = tmp_path / "copy"
    assert run(2, clit.load("bilinear")) == 0


def test_two_runs_do_not_share_an_output_folder(tmp_path, bicubic):
    save_pictures(tmp_path / "in", 1)
    with lock(tmp_path / "out"), pytest.raises(UserError, match="Another run"):
        clit.upscale_folder(bicubic, [tmp_path / "in"], tmp_path / "out", 2)
    assert clit.upscale_folder(bicubic, [tmp_path / "in"], tmp_path / "out", 2).written == 1


KILLED = """
    import os, signal, sys, clit
    moment, source, out = sys.argv[1:]
    rename, left = os.replace, 90
    def kill():
        os.kill(os.getpid(), signal.SIGKILL)
    def replace(part, target):
        global left
        left -= os.path.join(".clit", "parts") not in str(target)
        if moment == "before the output has its name" and not left:
            kill()
        rename(part, target)
        if moment == "after it" and not left:
            kill()
    os.replace = replace
    def progress(done):
        if moment == "in a picture" and done > 0.45:
            kill()
    clit.upscale_folder(clit.load("bicubic"), [source], out, 2, progress=progress)
"""


@pytest.fixture(scope="module")
def bad_and_good(tmp_path_factory, bicubic):
    """A folder of 200 pictures, 7 of them bad, and what a run that nobody stops makes of it."""
    folder = tmp_path_factory.mktemp("many")
    save_pictures(folder / "in", 193)
    save_bad_files(folder / "in")
    clit.upscale_folder(bicubic, [folder / "in"], folder / "out", 2)
    return folder / "in", read_outputs(folder / "out")


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["in a picture", "before the output has its name", "after it"])
def test_a_killed_run_is_continued(tmp_path, bicubic, bad_and_good, moment):
    """SIGKILL in the middle: the same 193 files in the end, none made twice."""
    (source, expected), out = bad_and_good, tmp_path / "out"
    script = [sys.executable, "-c", textwrap.dedent(KILLED), moment, str(source), str(out)]
    run = subprocess.run(script, cwd=Path(clit.__file__).parent.parent)
    assert run.returncode == -signal.SIGKILL
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.png") if FOLDER not in path.parts}
    assert 50 < len(before) < 150
    summary = clit.upscale_folder(bicubic, [source], out, 2)
    assert (summary.written, summary.kept, len(summary.failures)) == (193 - len(before), len(before), 7)
    assert read_outputs(out) == expected and len(expected) == 193 + 1
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    records = read_records(out)
    again = {"before the output has its name": 1}.get(moment, 0)  # that picture was not there
    assert len(set(records)) == 193 and len(records) == 193 + again
    assert not (out / FOLDER / "parts").exists()


def test_a_line_that_was_cut_off_does_not_count(tmp_path, bicubic):
    save_pictures(tmp_path / "in", 4)
    clit.upscale_folder(bicubic, [tmp_path / "in"], tmp_path / "out", 2)
    manifest = tmp_path / "out" / FOLDER / "manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes()[:-40])
    assert clit.upscale_folder(bicubic, [tmp_path / "in"], tmp_path / "out", 2).written == 1
    assert clit.upscale_folder(bicubic, [tmp_path / "in"], tmp_path / "out", 2).written == 0


def test_the_command_counts_and_exits_with_1_if_any_failed(tmp_path):
    save_pictures(tmp_path / "in", 3)
    (tmp_path / "in" / "read.me").touch()
    (tmp_path / "in" / "bad.png").write_bytes(b"bad")
    command = ("upscale", tmp_path / "in", tmp_path / "out", "--scale", 2, "--model", "bicubic")
    result = call(*command)
    assert result.exit_code == 1 and "Traceback" not in result.output
    assert result.stdout.strip() == f"{tmp_path / 'out'}: 3 written, 1 failed: see {tmp_path / 'out' / FAILURES}"
    assert "bad.png" in result.stderr and "1 .me" in result.stderr
    (tmp_path / "in" / "bad.png").unlink()
    assert done(*command).stdout.strip() == f"{tmp_path / 'out'}: 0 written, 3 done before"


def test_one_picture_into_a_folder(tmp_path):
    (picture,) = save_pictures(tmp_path, 1)
    (tmp_path / "there.d").mkdir()
    done("upscale", picture, tmp_path / "there.d", "--scale", 2, "--model", "bicubic", "--format", "tif")
    told = done("upscale", picture, tmp_path / "new", "--scale", 2, "--model", "bicubic").stderr
    assert "becomes a folder" in told
    again = done("upscale", picture, tmp_path / "new", "--scale", 2, "--model", "bicubic").stderr
    assert "becomes a folder" not in again
    assert (tmp_path / "there.d" / "000.tif").exists() and (tmp_path / "new" / "000.png").exists()
    assert "folder" in refused("upscale", picture, tmp_path / "a.png", "--scale", 2, "--format", "tif")
    assert "folder" in refused("upscale", picture, tmp_path / "a.png", "--scale", 2, "--ray")
    assert "gif" in refused("upscale", picture, tmp_path / "new", "--scale", 2, "--format", "gif")


@pytest.mark.parametrize(
    "command", [("attend", "--pixel", "3,4", "--model", "lit-light"), ("compare", "--model", "bicubic")]
)
def test_figures_of_whole_folders(tmp_path, command):
    pytest.importorskip("matplotlib")
    save_pictures(tmp_path / "in", 2)
    (tmp_path / "in" / "bad.png").write_bytes(b"bad")
    name, *options = command
    arguments = (name, tmp_path / "in", tmp_path / "out", "--scale", 2, *options, "--format", "svg")
    result = call(*arguments)
    assert result.exit_code == 1 and "2 written, 1 failed" in result.stdout
    assert set(read_outputs(tmp_path / "out")) == {"001.svg", "sub/000.svg", FAILURES}
    assert "0 written, 2 done before, 1 failed" in call(*arguments).stdout
    assert "jpg" in refused(*arguments[:-1], "jpg")


def test_numbers_of_any_kind_are_the_same_settings(bicubic, tmp_path):
    save_pictures(tmp_path / "in", 2)
    clit.upscale_folder(bicubic, tmp_path / "in", tmp_path / "out", 2)
    for scale in (2.0, np.float32(2), np.int64(2)):
        again = clit.upscale_folder(bicubic, tmp_path / "in", tmp_path / "out", scale)
        assert (again.written, again.kept) == (0, 2)
    size = np.int64(60), 60.0
    sized = clit.upscale_folder(bicubic, str(tmp_path / "in"), tmp_path / "sized", size=size, stages=np.int8(1))
    assert sized.written == 2
    assert clit.upscale_folder(bicubic, tmp_path / "in", tmp_path / "sized", size=(60, 60), stages=1).kept == 2


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ({"model": None}, "The model is None"),
        ({"size": "a"}, "The output size is a"),
        ({"scale": 2, "size": (9, 9)}, "not both"),
        ({"scale": 2, "actors": 2}, "only together with Ray"),
        ({"scale": 2, "stages": 1.5}, "The number of stages"),
        ({"scale": 2, "stages": 9}, "The number of stages"),
        ({"scale": 2, "format": "gif"}, 'The format is "gif"'),
        ({"scale": 2, "chain": "other"}, "other"),
        ({"scale": 0.5}, "The scale is 0.5"),
        ({}, "Give a scale"),
    ],
)
def test_wrong_arguments_are_told_before_any_work(bicubic, tmp_path, arguments, sentence):
    save_pictures(tmp_path / "in", 1)
    with pytest.raises(UserError, match=sentence):
        clit.upscale_folder(**{"model": bicubic, "inputs": tmp_path / "in", "out": tmp_path / "out", **arguments})
    assert not (tmp_path / "out").exists()
