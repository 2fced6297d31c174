"""Folders over a Ray cluster: the files of one process, byte for byte, also when actors die."""

import os
import signal

import numpy as np
import pytest
from PIL import Image
from test_cli import done
from test_folders import BAD, FAILURES, read_outputs, read_records, save_bad_files, save_pictures
from tiny import save_checkpoints

import clit
from clit.errors import UserError
from clit.exports import cluster
from clit.exports.folders import find_jobs, process

ray = pytest.importorskip("ray", reason="the package ray is not there for this Python", exc_type=ImportError)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def local_ray():
    """A Ray of two CPUs, which runs in this module use instead of starting their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")
        patch.setenv("PYTHONPATH", os.path.dirname(__file__), prepend=os.pathsep)  # for Mortal
        ray.init("local", num_cpus=2, object_store_memory=100 << 20, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    save_checkpoints(folder)
    return clit.load(folder / "lit-light")


class Mortal(cluster.Worker):
    """An actor that dies of some pictures: of those named "fatal" always, of those named "once" the first time."""

    def _output(self, model, source, part):
        output = super()._output(model, source, part)
        marker = source + ".died"
        if "fatal" in source or ("once" in source and not os.path.exists(marker)):
            with open(marker, "a") as file:
                file.write(".")
            os.kill(os.getpid(), signal.SIGKILL)
        return output


def run(model, source, out, large=cluster.LARGE, scale=2.5):
    """What `upscale_folder` does with ray="local" and two actors."""
    options = {"scale": scale, "chain": "published"}
    engine = cluster.over_cluster(model, options, cluster.LOCAL, 2, large=large)
    return process(find_jobs([source], out, lambda ending: ending), out, {}, engine)


def test_a_pool_makes_what_one_process_makes(local_ray, model, tmp_path, monkeypatch):
    """Also when an actor dies: that costs its picture a second try. One that always dies of a picture is a failure."""
    monkeypatch.setattr(cluster, "Worker", Mortal)
    save_pictures(tmp_path / "in", 12)
    save_bad_files(tmp_path / "in")
    for name in ("once.png", "fatal.png"):
        (tmp_path / "in" / name).write_bytes((tmp_path / "in" / "001.png").read_bytes())
    summary = run(model, tmp_path / "in", tmp_path / "out")
    assert (summary.written, len(summary.failures)) == (13, len(BAD) + 1)
    (reason,) = (failure.reason for failure in summary.failures if "fatal" in failure.source)
    assert "lost 3 times" in reason
    assert (tmp_path / "in" / "fatal.png.died").read_text() == "." * 3
    assert sorted(read_records(tmp_path / "out")) == sorted(set(read_outputs(tmp_path / "out")) - {FAILURES})

    (tmp_path / "in" / "fatal.png").unlink()
    clit.upscale_folder(model, [tmp_path / "in"], tmp_path / "alone", 2.5)
    here, there = read_outputs(tmp_path / "alone"), read_outputs(tmp_path / "out")
    assert {**here, FAILURES: None} == {**there, FAILURES: None}

    again = run(model, tmp_path / "in", tmp_path / "out")
    assert (again.written, again.kept, len(again.failures)) == (0, 13, len(BAD))


def test_bands_over_the_pool_are_those_of_one_process(local_ray, model, tmp_path, monkeypatch):
    """Of a transparent picture of four bands; the actor that gets one dies once."""
    monkeypatch.setattr(cluster, "Worker", Mortal)
    name = "once.png"
    (tmp_path / "in").mkdir()
    rgba = np.random.default_rng(1).integers(0, 256, (170, 24, 4), np.uint8)
    Image.fromarray(rgba).save(tmp_path / "in" / name, dpi=(150, 150))
    (tmp_path / "in" / f"{name}.died").touch()  # not while it is looked at
    calls = []

    def cut(*arguments):
        calls.append(arguments)
        os.unlink(tmp_path / "in" / f"{name}.died")
        return original(*arguments)

    original = cluster._cut
    monkeypatch.setattr(cluster, "_cut", cut)
    summary = run(model, tmp_path / "in", tmp_path / "out", large=1000, scale=10)
    assert summary.written == 1 and len(calls) == 1
    assert (tmp_path / "in" / f"{name}.died").exists()
    clit.save(model, tmp_path / "in" / name, tmp_path / name, scale=10)
    same = (tmp_path / "out" / name).read_bytes() == (tmp_path / name).read_bytes()
    assert same  # not compared by pytest, which would look for the difference for minutes


def test_a_machine_that_does_not_see_the_folder(local_ray, model, tmp_path):
    with pytest.raises(UserError, match="does not see"):
        cluster._Pool(ray, model, 1, str(tmp_path / "elsewhere"), ({}, False, 1)).each([1], None).__next__()


def test_the_command_starts_a_ray_of_its_own(model, tmp_path, monkeypatch):
    ray.shutdown()
    monkeypatch.chdir(tmp_path)
    save_pictures(tmp_path / "in", 3)
    command = ("--scale", 2, "--model", "bicubic")
    done("upscale", "in", "alone", *command)
    result = done("upscale", *command, "--actors", 1, "--ray", "in", "out")
    assert result.stdout.strip() == "out: 3 written"
    assert not ray.is_initialized()
    assert read_outputs(tmp_path / "out") == read_outputs(tmp_path / "alone")


def test_an_address_at_which_nothing_answers(model, tmp_path):
    save_pictures(tmp_path / "in", 1)
    with pytest.raises(UserError, match="No Ray cluster"):
        clit.upscale_folder(model, [tmp_path / "in"], tmp_path / "out", 2, ray="ray://127.0.0.1:1")
