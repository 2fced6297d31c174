"""The models reproduce the outputs of the published implementations: colours, every stage's prediction, attention.

Run with -s to see the largest errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import golden_files
import pytest
import torch
from golden_files import Golden
from torch import Tensor, nn

from clit.geometry import Window
from clit.networks.decoders.base import Features
from clit.networks.encoders import prepacked
from clit.networks.model import SRModel
from clit.networks.official import import_official
from clit.scale_chain import scale_chain

# LTE's synthetic frequencies reach 30. They amplify the float32 rounding of the encoder, which depends on the order in
# which a machine sums a matrix product: the golden output itself is 6e-5 off exact arithmetic. Summed in the order of
# the golden files (`convolve_as_published`), the outputs agree to 1e-5.
TOLERANCE = {"clit": 5e-5, "clit-swinir": 2e-6, "liif": 1e-5, "lte": 2e-4, "lte-in-order": 1e-5}
ATTENTION_TOLERANCE = 5e-4
GELU_TOLERANCE = 2e-5


@dataclass(frozen=True)
class Case:
    golden: Golden
    model: SRModel
    features: Features

    @property
    def tolerance(self) -> float:
        return TOLERANCE["clit-swinir" if "swinir" in self.golden.name else self.golden.model["name"]]

    def check(self, window: Window, stage: int | None, tolerance: float) -> None:
        """Check `query` and `render` against every golden pixel in a window."""
        golden = self.golden
        positions, colours = golden.positions("index"), torch.from_numpy(golden.arrays["rgb"])
        options = {}
        if stage is not None:
            colours, options = torch.from_numpy(golden.arrays[f"rgb_stage{stage}"]), {"stages": stage + 1}
        corner, end = torch.tensor([window.top, window.left]), torch.tensor([window.bottom, window.right])
        inside = ((positions >= corner) & (positions < end)).all(-1)
        positions, colours = positions[inside], colours[inside]
        assert len(positions)

        view = self.model.view(self.features.size, golden.size, window, **options)
        field = self.model.prepare(self.features, view)
        plain = torch.cat([self.model.query(field, part) for part in positions.split(500)], 1)[0]
        row, column = (positions - corner).unbind(-1)
        fast = self.model.render(field)[0, row, column]
        errors = {
            "query": (plain - colours).abs().max().item(),
            "render": (fast - colours).abs().max().item(),
        }
        print(f"{golden.name} stage {stage} {window}: {errors}")
        assert max(errors.values()) <= tolerance

    @property
    def stages(self) -> list[int | None]:
        """The stages whose predictions the file holds."""
        return list(range(len(self.golden.arrays["chain"]))) if "chain" in self.golden.arrays else [None]

    def windows(self) -> list[Window]:
        """The corners, the borders and the middle of the output."""
        h, w = self.golden.size
        down, across = h // 5, w // 5
        return [
            Window(0, 0, down, across),
            Window(h - down, w - across, down, across),
            Window(0, w // 2, h, 3),
            Window(h // 2, 0, 3, w),
            Window(h // 3, w // 3, down + 1, across + 2),
        ]


NAMES = golden_files.NAMES


def on_files(method: str):
    """Run a test on the golden files whose names begin with `method`."""
    return pytest.mark.parametrize("case", [name for name in NAMES if name.startswith(method)], indirect=True)


@pytest.fixture(scope="module")
def case(request, tmp_path_factory):
    golden = golden_files.read(request.param)
    path = tmp_path_factory.mktemp("published") / "epoch-last.pth"
    torch.save(golden.content(), path)
    model = import_official(path)
    path.unlink()
    with torch.no_grad():
        yield Case(golden, model, model.encode(golden.image))


@pytest.mark.slow
@on_files("")
def test_full_picture(case):
    for stage in case.stages:
        case.check(Window(0, 0, *case.golden.size), stage, case.tolerance)


@on_files("")
def test_windows(case):
    for window in case.windows():
        case.check(window, case.stages[-1], case.tolerance)


@on_files("clit")
def test_attention_at_every_pick(case):
    field = case.model.prepare(case.features, case.model.view(case.features.size, case.golden.size))
    attended = case.model.decoder.attend(field, case.golden.positions("pick"))
    assert len(attended) == case.model.config.decoder.stages
    for j, stage in enumerate(attended):
        golden = torch.from_numpy(case.golden.arrays[f"attention_stage{j}"])  # (6, 7, 7, M)
        weights = stage.weights[0].transpose(1, 2).reshape(golden.shape)
        error = (weights - golden).abs().max().item()
        print(f"{case.golden.name} attention of stage {j}: {error}")
        assert error <= ATTENTION_TOLERANCE


@on_files("clit")
def test_scale_chain(case):
    lr = tuple(case.golden.image.shape[-2:])
    factors = scale_chain(case.golden.size, lr, case.model.config.decoder.stages)
    # At x3.3 the output of 40 x 33 pixels only says that the scale lies between 3.29 and 3.35.
    chain = case.golden.arrays["chain"].tolist()
    assert [max(factor) for factor in factors] == pytest.approx(chain, rel=0.02)


@on_files("clit1_edsr_x3.3")
def test_the_tanh_form_of_gelu_would_be_noticed(case):
    whole = Window(0, 0, *case.golden.size)
    case.check(whole, 0, GELU_TOLERANCE)
    exact = [m for m in case.model.modules() if isinstance(m, nn.GELU)]
    assert exact
    for gelu in exact:
        gelu.approximate = "tanh"
    try:
        with pytest.raises(AssertionError):
            case.check(whole, 0, GELU_TOLERANCE)
    finally:
        for gelu in exact:
            gelu.approximate = "none"


def convolve_as_published(x: Tensor, weight: Tensor, bias: Tensor, stride=1, padding=0, *rest) -> Tensor:
    """Convolve one image as the golden files were made: float32 sums of 288 products at a time, in order."""
    assert len(x) == 1 and stride in (1, (1, 1))
    pad = padding[0] if isinstance(padding, tuple) else padding
    height, width = (n + 2 * pad - weight.shape[2] + 1 for n in x.shape[2:])
    columns = nn.functional.unfold(x, weight.shape[2:], padding=pad)[0].double()  # (K, h w)
    rows = weight.flatten(1).double()
    out = bias[:, None].expand(-1, height * width)
    for start in range(0, rows.shape[1], 288):
        partial = torch.zeros_like(out)
        for k in range(start, min(start + 288, rows.shape[1])):
            partial = (partial.double() + rows[:, k : k + 1] * columns[k]).float()  # as a fused multiply-add rounds
        out = out + partial
    return out.view(1, -1, height, width)


@on_files("lte")
def test_lte_in_the_published_order_of_sums(case, monkeypatch):
    monkeypatch.setattr(nn.functional, "conv2d", convolve_as_published)
    monkeypatch.setattr(prepacked, "applies", lambda x: False)
    same = Case(case.golden, case.model, case.model.encode(case.golden.image))
    for window in (Window(0, 0, *case.golden.size), *case.windows()):
        same.check(window, None, TOLERANCE["lte-in-order"])
