"""What a person should be warned of before they trust a track: flagged, never guessed away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgepose.inference.finding import Turn
from edgepose.tracking.smoothing import uneven_steps
from edgepose.tracking.track import Track

HEAD_CELLS = 2.0  # a head shorter than so many map cells is too small to tell its parts apart
# The three that tell a picture of one infant from others were set on drawn infants, alone and in pairs:
# benchmarks/predict_warnings.py says how many of each the shipped networks are warned of.
NONE_BELOW = 0.1  # the middle one of the keypoints' peaks
TWO_ABOVE = 1 / 3  # share of maps with a second strong peak
OVERLONG_ABOVE = 4.5  # the longest segment in lengths of the middle one
_EDGE_CELLS = 1.0  # a keypoint this near to the frame's edge may lie beyond it
_FRAMES = 0.1  # share of frames, from which a warning is given
_NAMED = 4  # keypoints spelt out in a warning
_MANY_ABSTAINED = 0.25
_UNEVEN = 0.02


@dataclass(frozen=True)
class QualityWarning:
    """One warning.

    Attributes:
        kind: a fixed word, for scripts.
        share: of the frames that it is about, 0 to 1; None where it is about the file.
        text: for people.
        frames: numbers of the frames that it is about, as "0-11, 40"; empty where it is about the file.
    """

    kind: str
    share: float | None
    text: str
    frames: str = ""


def head_cells(track: Track) -> np.ndarray:
    """(N,) lengths of the head in map cells; NaN where the keypoint set has no head."""
    ends = track.keypoints.head_indices
    if ends is None:
        return np.full(len(track), np.nan)
    a, b = track.raw_px[:, ends[0]], track.raw_px[:, ends[1]]
    return track.keypoints.head_scale * np.hypot(*(a - b).T) * track.cells_per_px


def none_found(track: Track) -> np.ndarray:
    """(N,) bool: no infant, or one that the network cannot see."""
    return np.median(track.peak, 1) < NONE_BELOW


def second_found(track: Track) -> np.ndarray:
    """(N,) bool: the maps show a second infant, whom the pose may mix with the first; where nobody looked,
    False."""
    return np.nan_to_num(track.doubles) >= TWO_ABOVE


def overlong(track: Track) -> np.ndarray:
    """(N,) bool: a segment is too long beside the others for one body, however bent."""
    ends = np.array(track.keypoints.segment_indices)
    if not len(ends):
        return np.zeros(len(track), bool)
    lengths = np.linalg.norm(track.raw_px[:, ends[:, 0]] - track.raw_px[:, ends[:, 1]], axis=-1)
    return lengths.max(1) > OVERLONG_ABOVE * np.median(lengths, 1)


def at_edge(track: Track) -> np.ndarray:
    """(N, K) bool: outside the frame, or so near to its edge that the keypoint may lie beyond."""
    margin = _EDGE_CELLS / track.cells_per_px[:, None]
    x, y = track.raw_px[..., 0], track.raw_px[..., 1]
    height, width = track.sizes[:, :1], track.sizes[:, 1:]
    return (x < margin) | (y < margin) | (x > width - margin) | (y > height - margin)


def quality_warnings(track: Track) -> list[QualityWarning]:
    """Everything that applies, the gravest first."""
    rules = (_nobody, _second, _overlong, _small, _beyond, _uncertain, _steps)
    return [found for rule in rules if (found := rule(track)) is not None]


def warn_of_turns(turns: Sequence[Turn]) -> list[QualityWarning]:
    """Where a turn was looked for and no way up was surer than the others."""
    share = float(np.mean([not turn.decided for turn in turns])) if turns else 0.0
    text = (
        f"no way up was surer than the others in {share:.0%} of what was looked at, which was taken as it"
        " is: give --turn 0, 90, 180 or 270"
    )
    return [QualityWarning("turn-undecided", share, text)] if share > 0 else []


Rule = Callable[[Track], QualityWarning | None]


def _share(flags: np.ndarray) -> float:
    return float(flags.mean()) if len(flags) else 0.0


def _spans(track: Track, flags: np.ndarray) -> str:
    """The flagged frames (N,), neighbours of the track as one span."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    ends = [(int(track.index[a]), int(track.index[b - 1])) for a, b in edges.reshape(-1, 2)]
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in ends)


def _nobody(track: Track) -> QualityWarning | None:
    flags = none_found(track)
    share = _share(flags)
    text = f"no infant, or none that the network can make out, in {share:.0%} of frames"
    return QualityWarning("no-infant", share, text, _spans(track, flags)) if share >= _FRAMES else None


def _second(track: Track) -> QualityWarning | None:
    flags = second_found(track)
    share = _share(flags[np.isfinite(track.doubles)])
    text = f"a second infant may be in {share:.0%} of the frames that were looked at: a pose may mix the two"
    return QualityWarning("second-infant", share, text, _spans(track, flags)) if share >= _FRAMES else None


def _overlong(track: Track) -> QualityWarning | None:
    visible = ~none_found(track)
    flags = overlong(track) & visible
    share = _share(flags[visible])
    text = (
        f"a limb is over {OVERLONG_ABOVE:g} times as long as most in {share:.0%} of frames: a pose may mix"
        " two infants, or the network is lost; film one infant, or use --crop x,y,w,h"
    )
    return QualityWarning("overlong-limb", share, text, _spans(track, flags)) if share >= _FRAMES else None


def _small(track: Track) -> QualityWarning | None:
    visible = ~none_found(track)
    flags = (head_cells(track) < HEAD_CELLS) & visible
    share = _share(flags[visible])
    text = (
        f"the head is shorter than {HEAD_CELLS:g} map cells in {share:.0%} of frames"
        " (a cell is the network's grain): film nearer, or use --crop"
    )
    return QualityWarning("low-resolution", share, text, _spans(track, flags)) if share >= _FRAMES else None


def _beyond(track: Track) -> QualityWarning | None:
    visible = ~none_found(track)
    if not visible.any():
        return None
    flags = at_edge(track) & visible[:, None]
    share = _share(flags[visible].any(1))
    often = flags[visible].mean(0)
    worst = [int(k) for k in np.argsort(-often, kind="stable") if often[k] >= _FRAMES / 2]
    names = ", ".join(f"{track.keypoints.names[k]} {often[k]:.0%}" for k in worst[:_NAMED])
    more = f" and {len(worst) - _NAMED} more" if len(worst) > _NAMED else ""
    detail = f" ({names}{more})" if names else ""
    text = f"keypoints lie at the frame's edge or beyond in {share:.0%} of frames{detail}"
    if share < _FRAMES:
        return None
    return QualityWarning("out-of-frame", share, text, _spans(track, flags.any(1)))


def _uncertain(track: Track) -> QualityWarning | None:
    shares = track.abstained.mean(1)
    share = _share(shares)
    text = f"{share:.0%} of keypoints are abstained from: their confidence is below the threshold"
    if share < _MANY_ABSTAINED:
        return None
    return QualityWarning("abstained", share, text, _spans(track, shares >= _MANY_ABSTAINED))


def _steps(track: Track) -> QualityWarning | None:
    if not track.is_video:
        return None
    steps = uneven_steps(track.time_s)
    share = _share(steps)
    text = f"{share:.0%} of steps between frames are not the usual one (variable rate): filters count frames"
    if share < _UNEVEN:
        return None
    return QualityWarning("variable-rate", share, text, _spans(track, np.concatenate([[False], steps])))
