"""The server gives the weights that a visitor's own GPU draws with."""

from __future__ import annotations

import json

import pytest
from safetensors.torch import load_file, save_file
from starlette.applications import Starlette
from starlette.testclient import TestClient

from clit.exports.weights import write_weights
from clit.ui.weights import make_weights_routes


@pytest.fixture
def client(site):
    return TestClient(Starlette(routes=make_weights_routes(site.models)))


def test_they_are_those_of_a_folder(site, client, tmp_path):
    write_weights(tmp_path, site.models.describe())
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 1 + 1 + 3, "the list, the encoder they share, three decoders"
    for path in files:
        answer = client.get(f"/weights/{path.relative_to(tmp_path)}")
        if path.suffix == ".json":
            assert answer.json() == json.loads(path.read_text())
        else:
            assert answer.content == path.read_bytes()


def test_what_a_browser_has_is_not_sent_again(client):
    (path,) = {each["encoder"] for each in client.get("/weights/models.json").json()["models"] if "encoder" in each}
    answer = client.get(f"/weights/{path}")
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-cache"
    again = client.get(f"/weights/{path}", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304 and not again.content


def test_weights_that_changed_meanwhile_get_a_sentence(client, checkpoints_folder):
    entries = client.get("/weights/models.json").json()["models"]
    entry = next(each for each in entries if "encoder" in each)
    path = checkpoints_folder / entry["name"] / "model.safetensors"
    before = path.read_bytes()
    try:
        save_file({key: value + 1 for key, value in load_file(path).items()}, path)
        gone = client.get(f"/weights/{entry['encoder']}")
        path.write_bytes(b"none")
        broken = client.get(f"/weights/{entry['decoder']}")
    finally:
        path.write_bytes(before)
    assert gone.status_code == 404 and gone.json()["error"].endswith("load the page again.")
    assert broken.status_code == 404 and "cannot be read" in broken.json()["error"]
    assert client.get(f"/weights/{entry['decoder']}").status_code == 200


@pytest.mark.parametrize("path", ["decoders/nobody.safetensors", "decoders/..%2Fconfig.json", "encoders/", "decoders"])
def test_nothing_else_is_served(client, path):
    assert client.get(f"/weights/{path}").status_code == 404


def test_a_checkpoint_that_cannot_be_read_is_not_offered(client, checkpoints_folder):
    broken = checkpoints_folder / "broken"
    broken.mkdir()
    (broken / "config.json").write_text((checkpoints_folder / "lit-light" / "config.json").read_text())
    (broken / "model.safetensors").write_bytes(b"none")
    try:
        names = [each["name"] for each in client.get("/weights/models.json").json()["models"]]
    finally:
        for path in broken.iterdir():
            path.unlink()
        broken.rmdir()
    assert "lit-light" in names and "broken" not in names
