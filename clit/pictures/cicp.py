"""Colours named by numbers (ITU-T H.273), as in PNG's cICP chunk and in AVIF and HEIC, as ICC profiles."""

from __future__ import annotations

import numpy as np

from clit.pictures.profiles import SRGB_PRIMARIES, WHITE, profile_of_curve

_PRIMARIES = {  # number -> (x, y) of red, green, blue, and of the white
    1: (SRGB_PRIMARIES, WHITE),
    4: ((0.67, 0.33, 0.21, 0.71, 0.14, 0.08), (0.310, 0.316)),
    5: ((0.64, 0.33, 0.29, 0.60, 0.15, 0.06), WHITE),
    6: ((0.630, 0.340, 0.310, 0.595, 0.155, 0.070), WHITE),
    7: ((0.630, 0.340, 0.310, 0.595, 0.155, 0.070), WHITE),
    9: ((0.708, 0.292, 0.170, 0.797, 0.131, 0.046), WHITE),
    11: ((0.680, 0.320, 0.265, 0.690, 0.150, 0.060), (0.314, 0.351)),
    12: ((0.680, 0.320, 0.265, 0.690, 0.150, 0.060), WHITE),
    22: ((0.630, 0.340, 0.295, 0.605, 0.155, 0.077), WHITE),
}
_LIKE_SRGB = (1, 6, 13, 14, 15)  # curves of video are shown as sRGB by browsers
_GAMMA = {4: 2.2, 5: 2.8, 8: 1.0}
_PQ, _HLG = 16, 18
_UNSPECIFIED = 2
_WHITE_NITS = 203  # of diffuse white in HDR, ITU-R BT.2408


def profile_of_numbers(primaries: int, transfer: int, grey: bool = False) -> tuple[bytes, list[str]]:
    """Return the ICC profile of a pair of code points, b"" for sRGB and for unknown ones, and notices."""
    primaries = 1 if primaries == _UNSPECIFIED else primaries
    transfer = 13 if transfer == _UNSPECIFIED else transfer
    if primaries == 1 and transfer in _LIKE_SRGB:
        return b"", []
    notices = []
    if transfer in _LIKE_SRGB:
        curve = "srgb"
    elif transfer in _GAMMA:
        curve = _GAMMA[transfer]
    elif transfer in (_PQ, _HLG):
        curve = np.clip(_pq_light() if transfer == _PQ else _hlg_light(), 0, 1).astype(np.float32)
        notices.append("The picture is HDR: what is brighter than white is cut off.")
    else:
        curve = None
    if curve is None or primaries not in _PRIMARIES:
        return b"", [f"The picture's colour ({primaries}, {transfer} of H.273) is not known and is taken for sRGB."]
    return profile_of_curve(*_PRIMARIES[primaries], curve, grey), notices


def _pq_light() -> np.ndarray:
    """Light at evenly spaced samples of the perceptual quantiser (SMPTE ST 2084), 1 at diffuse white."""
    x = np.linspace(0, 1, 4096) ** (32 / 2523)
    light = np.maximum(x - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * x)
    return light ** (8192 / 1305) * 10000 / _WHITE_NITS


def _hlg_light() -> np.ndarray:
    """Light of hybrid log-gamma (ITU-R BT.2100) on a screen of 1000 nits, 1 at diffuse white, which is 0.75."""

    def light(x: np.ndarray) -> np.ndarray:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(x <= 0.5, x**2 / 3, (np.exp((x - c) / a) + b) / 12)
        return scene**1.2

    return light(np.linspace(0, 1, 4096)) / light(np.float64(0.75))
