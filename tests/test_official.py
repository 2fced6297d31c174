"""Import of published files: strict, without running code, and with one clear sentence for every refusal."""

from __future__ import annotations

import copy
import io
import os
import pickle
import zipfile

import pytest
import torch

from clit.config import CLITConfig, EDSRConfig, LIIFConfig, LTEConfig, ModelConfig, RDNConfig, SwinIRConfig
from clit.errors import UserError
from clit.networks.model import SRModel
from clit.networks.official import import_official

ENCODER = {"name": "edsr-baseline", "args": {"no_upsampling": True, "n_feats": 4, "n_resblocks": 1}}
LIIF = {
    "name": "liif",
    "args": {
        "encoder_spec": ENCODER,
        "imnet_spec": {"name": "mlp", "args": {"out_dim": 3, "hidden_list": [6, 5]}},
    },
}
LTE = {"name": "lte", "args": {**LIIF["args"], "hidden_dim": 8}}
CLIT = {
    "name": "clit",
    "args": {
        "base_dim": 8,
        "head": 2,
        "r": 1,
        "imnet_num": 2,
        "conv_num": 2,
        "is_cell": True,
        "local_attn": True,
        "encoder_spec": ENCODER,
        "pb_spec": {
            "name": "posenc",
            "args": {
                "posenc_type": "sinusoid",
                "posenc_scale": 6,
                "hidden_dims": 64,
                "enc_dims": 64,
                "gamma": 1,
            },
        },
        "imnet_spec": {"name": "mlp", "args": {"out_dim": 3, "hidden_list": [6, 5], "act": "gelu"}},
    },
}
ENCODER_SHAPES = {"encoder.head.0": (4, 3, 3, 3)} | {
    f"encoder.body.{name}": (4, 4, 3, 3) for name in ("0.body.0", "0.body.2", "1")
}
MLP_SHAPES = {"imnet.layers.2": (5, 6), "imnet.layers.4": (3, 5)}
LAYERS = {
    "liif": {"imnet.layers.0": (6, 40), **MLP_SHAPES},
    "lte": {"coef": (8, 4, 3, 3), "freq": (8, 4, 3, 3), "imnet.layers.0": (6, 8), **MLP_SHAPES},
    "clit": {"conv_ch": (8, 4, 3, 3), "pb_encoder.proj": (2, 64)}
    | {f"conv_{x}s.{j}": (8, 8, 3, 3) for x in "qkv" for j in (0, 1)}
    | {f"imnets.{j}.layers.0": (6, 9 * 8 + 2) for j in (0, 1)}
    | {f"imnets.{j}.layers.2": (5, 6) for j in (0, 1)}
    | {f"imnets.{j}.layers.4": (3, 5) for j in (0, 1)},
}


def make_published(spec: dict) -> dict:
    """Make the content of a small published file."""
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for name, shape in (ENCODER_SHAPES | LAYERS[spec["name"]]).items():
        weights[f"{name}.weight"] = torch.randn(shape, generator=generator)
        weights[f"{name}.bias"] = torch.randn(shape[:1], generator=generator)
    if spec["name"] == "lte":
        weights["phase.weight"] = torch.randn(4, 2, generator=generator)
    return {"model": {**copy.deepcopy(spec), "sd": weights}}


def save(content, path, **options):
    torch.save(content, path, **options)
    return path


def make_changed(spec: dict, path: str, value) -> dict:
    """Make a published file with another value for one entry, such as "args.imnet_spec.name" (None: left out)."""
    content = make_published(spec)
    *parents, last = path.split(".")
    entry = content["model"]
    for key in parents:
        entry = entry[key]
    if value is None:
        del entry[last]
    else:
        entry[last] = value
    return content


def assert_refused(tmp_path, content, *words: str) -> None:
    """Assert that the file is refused in one sentence that contains these words."""
    with pytest.raises(UserError) as caught:
        import_official(save(content, tmp_path / "file.pth"))
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert message.endswith(".") and "\n" not in message and len(message) < 700


@pytest.mark.parametrize("spec", [LIIF, LTE, CLIT], ids=lambda spec: spec["name"])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_every_weight_arrives(tmp_path, spec, zipped):
    content = make_published(spec) | {"optimizer": {"sd": {"step": 7}}, "epoch": 3}
    path = save(content, tmp_path / "epoch-last.pth", _use_new_zipfile_serialization=zipped)
    model = import_official(path)
    assert not model.training
    ours, theirs = list(model.state_dict().values()), list(content["model"]["sd"].values())
    assert len(ours) == len(theirs)
    assert all(sum(torch.equal(weight, other) for other in theirs) == 1 for weight in ours)


def test_configurations(tmp_path):
    encoder = EDSRConfig(width=4, blocks=1)
    expected = {
        "liif": LIIFConfig(hidden=(6, 5)),
        "lte": LTEConfig(width=8, hidden=(6, 5)),
        "clit": CLITConfig(width=8, heads=2, radius=1, hidden=(6, 5), stages=2, octaves=6.0),
    }
    for spec in (LIIF, LTE, CLIT):
        model = import_official(save(make_published(spec), tmp_path / "a.pth"))
        assert model.config == ModelConfig(encoder, expected[spec["name"]])


def test_weights_of_clit_go_where_they_belong(tmp_path):
    content = make_published(CLIT)
    decoder, weights = import_official(save(content, tmp_path / "a.pth")).decoder, content["model"]["sd"]
    assert torch.equal(decoder.stages[1].query_conv.weight, weights["conv_qs.1.weight"])
    assert torch.equal(decoder.stages[0].key_conv.weight, weights["conv_ks.0.weight"])
    assert torch.equal(decoder.stages[1].value_conv.bias, weights["conv_vs.1.bias"])
    assert torch.equal(decoder.stages[1].mlp[2].weight, weights["imnets.1.layers.2.weight"])


@pytest.mark.parametrize("encoder", ["rdn", "swinir"])
def test_the_larger_encoders_have_their_published_keys(encoder, tmp_path):
    content = make_published(LIIF)
    content["model"]["args"]["encoder_spec"] = {"name": encoder, "args": {"no_upsampling": True}}
    words = {"rdn": "encoder.SFENet1.weight", "swinir": "encoder.conv_first.weight"}
    assert_refused(tmp_path, content, "lacks", words[encoder])


def test_half_precision_and_unused_keys_are_accepted(tmp_path):
    content = make_published(LIIF)
    weights = {key: value.half() for key, value in content["model"]["sd"].items()}
    for side in ("sub", "add"):
        weights[f"encoder.{side}_mean.weight"] = "checked for nothing"
        weights[f"encoder.{side}_mean.bias"] = torch.zeros(7)
    content["model"]["sd"] = weights
    model = import_official(save(content, tmp_path / "a.pth"))
    assert {p.dtype for p in model.parameters()} == {torch.float32}


CODE = r"refused: loading it would run code \(\w+\.mkdir\)"


class Shell:
    """The content of a hostile file: an object that makes a directory when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle 2", "pickle 4", "inside"])
def test_code_is_refused_and_not_run(tmp_path, form):
    target, path = tmp_path / "made by the file", tmp_path / "hostile.pth"
    if form.startswith("pickle"):
        path.write_bytes(pickle.dumps(Shell(target), protocol=int(form[-1])))
    elif form == "inside":
        save(make_published(LIIF) | {"epoch": Shell(target)}, path)
    else:
        save(Shell(target), path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(UserError, match=CODE if form != "pickle 4" else "no PyTorch file"):
        import_official(path)
    assert not target.exists()


def test_a_class_is_refused(tmp_path):
    save(make_published(LIIF) | {"net": torch.nn.Linear(1, 1)}, tmp_path / "a.pth")
    with pytest.raises(UserError, match="run code"):
        import_official(tmp_path / "a.pth")


def make_damaged_files() -> dict[str, bytes]:
    buffer = io.BytesIO()
    torch.save(make_published(LIIF), buffer)
    whole = buffer.getvalue()
    legacy = io.BytesIO()
    torch.save(make_published(LIIF), legacy, _use_new_zipfile_serialization=False)
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("readme.txt", "no weights")
    return {
        "empty": b"",
        "text": b"Not Found",
        "bytes": bytes(range(256)),
        "truncated": whole[: len(whole) // 2],
        "truncated legacy": legacy.getvalue()[: len(legacy.getvalue()) // 2],
        "other zip": other.getvalue(),
        "picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
    }


@pytest.mark.parametrize("kind", make_damaged_files())
def test_damaged_files(tmp_path, kind):
    path = tmp_path / "damaged.pth"
    path.write_bytes(make_damaged_files()[kind])
    with pytest.raises(UserError, match="damaged.pth cannot be read: it is damaged, or no PyTorch file"):
        import_official(str(path))


def test_missing_file_and_directory(tmp_path):
    with pytest.raises(UserError, match="There is no file .*absent.pth"):
        import_official(tmp_path / "absent.pth")
    with pytest.raises(UserError, match="it is a directory"):
        import_official(tmp_path)


@pytest.mark.parametrize(
    "content", [[1, 2], {}, {"model": None}, {"state_dict": {}}, torch.zeros(2)], ids=lambda c: str(type(c))
)
def test_other_content(tmp_path, content):
    assert_refused(tmp_path, content, '"model"', '"sd"')


@pytest.mark.parametrize("entry", ["name", "args", "sd"])
def test_incomplete_model(tmp_path, entry):
    assert_refused(tmp_path, make_changed(LIIF, entry, None), f'"{entry}"')
    assert_refused(tmp_path, make_changed(LIIF, entry, 3), f'"{entry}"')


UNSUPPORTED = [
    (LIIF, "name", "metasr", ['"metasr"', "liif, lte, clit"]),
    (LIIF, "args.encoder_spec.name", "edsr", ['"edsr"', "edsr-baseline, rdn, swinir"]),
    (LIIF, "args.encoder_spec", "rdn", ["encoder_spec"]),
    (LIIF, "args.encoder_spec", None, ["encoder_spec"]),
    (LIIF, "args.encoder_spec.args.no_upsampling", False, ["no_upsampling", "False", "True"]),
    (LIIF, "args.encoder_spec.args.no_upsampling", None, ["no_upsampling"]),
    (LIIF, "args.encoder_spec.args.res_scale", 0.1, ["res_scale", "0.1"]),
    (LIIF, "args.encoder_spec.args.n_feats", 10**9, ["n_feats", "1000000000"]),
    (LIIF, "args.encoder_spec.args.extra", 1, ["extra", "unknown", "edsr-baseline"]),
    (LIIF, "args.local_ensemble", False, ["local_ensemble"]),
    (LIIF, "args.feat_unfold", False, ["feat_unfold"]),
    (LIIF, "args.cell_decode", False, ["cell_decode"]),
    (LIIF, "args.extra", 1, ["extra", "unknown"]),
    (LIIF, "args.imnet_spec.name", "siren", ['"siren"', '"mlp"']),
    (LIIF, "args.imnet_spec.args.act", "sine", ["act", "'sine'", "'relu'"]),
    (LIIF, "args.imnet_spec.args.hidden_list", [], ["hidden_list"]),
    (LIIF, "args.imnet_spec.args.hidden_list", [8, -1], ["hidden_list", "[8, -1]"]),
    (LIIF, "args.imnet_spec.args.out_dim", 4, ["out_dim", "4"]),
    (LTE, "args.hidden_dim", 7, ["hidden_dim", "7", "even"]),
    (LTE, "args.hidden_dim", True, ["hidden_dim", "True"]),
    (CLIT, "args.local_attn", False, ["local_attn"]),
    (CLIT, "args.is_cell", False, ["is_cell"]),
    (CLIT, "args.head", 3, ["8", "3 heads"]),
    (CLIT, "args.head", 0, ["head", "0"]),
    (CLIT, "args.base_dim", None, ["base_dim"]),
    (CLIT, "args.r", -1, ["r", "-1"]),
    (CLIT, "args.conv_num", 3, ["conv_num", "3", "2"]),
    (CLIT, "args.imnet_spec.args.act", "relu", ["act", "'relu'", "'gelu'"]),
    (CLIT, "args.imnet_spec.args.act", None, ["act", "'gelu'"]),
    (CLIT, "args.pb_spec.name", "rpe", ['"rpe"', '"posenc"']),
    (CLIT, "args.pb_spec.args.posenc_type", "gauss", ["posenc_type", "'gauss'"]),
    (CLIT, "args.pb_spec.args.posenc_scale", float("nan"), ["posenc_scale", "nan"]),
    (CLIT, "args.pb_spec.args.enc_dims", 32, ["enc_dims", "32", "64"]),
]


@pytest.mark.parametrize(
    "spec, path, value, words", UNSUPPORTED, ids=[f"{s['name']}-{p}-{v}" for s, p, v, _ in UNSUPPORTED]
)
def test_unsupported_configurations(tmp_path, spec, path, value, words):
    assert_refused(tmp_path, make_changed(spec, path, value), *words)


def test_missing_keys_are_named_and_counted(tmp_path):
    content = make_published(CLIT)
    del content["model"]["sd"]["conv_ks.1.bias"]
    assert_refused(tmp_path, content, "lacks 1 weight that", "conv_ks.1.bias")
    content["model"]["sd"] = {k: v for k, v in content["model"]["sd"].items() if not k.startswith("imnets.1")}
    assert_refused(tmp_path, content, "lacks 7 weights", "imnets.1.layers.0.weight", "and 3 more")


def test_unexpected_keys_are_named_and_counted(tmp_path):
    content = make_published(LIIF)
    content["model"]["sd"] |= {"decoder.mlp.0.weight": torch.zeros(1), 5: torch.zeros(1)}
    assert_refused(tmp_path, content, "2 weights", "does not know: decoder.mlp.0.weight, 5")


def test_a_deeper_network_than_configured_is_unexpected(tmp_path):
    content = make_published(CLIT)
    content["model"]["args"] |= {"imnet_num": 1, "conv_num": 1}
    assert_refused(tmp_path, content, "12 weights", "conv_qs.1.weight")


def test_wrong_shapes_are_named(tmp_path):
    content = make_published(LIIF)
    content["model"]["sd"]["imnet.layers.2.weight"] = torch.zeros(5, 7)
    content["model"]["sd"]["imnet.layers.4.bias"] = torch.zeros(3, dtype=torch.int64)
    content["model"]["sd"]["imnet.layers.2.bias"] = "text"
    assert_refused(
        tmp_path,
        content,
        "3 weights of the wrong shape or kind",
        "imnet.layers.2.weight (5 x 7 instead of 5 x 6)",
        "imnet.layers.4.bias (no array",
        "imnet.layers.2.bias (no array",
    )


@pytest.mark.parametrize("encoder", [EDSRConfig(), RDNConfig(), SwinIRConfig()], ids=lambda c: c.name)
def test_published_keys_are_one_to_one(encoder):
    from clit.networks.official import _to_published_key

    for decoder in (LIIFConfig(), LTEConfig(), CLITConfig(stages=2)):
        config = ModelConfig(encoder, decoder)
        with torch.device("meta"):
            keys = list(SRModel(config).state_dict())
        published = {_to_published_key(key, config) for key in keys}
        assert len(published) == len(keys) and not any(key.startswith("decoder.") for key in published)


@pytest.mark.parametrize("path", [None, 3])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(UserError, match="as a path"):
        import_official(path)
