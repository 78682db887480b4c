"""An exported model against the float model it came from, on the same inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from export.errors import ExportError
from export.recipe import Tolerance
from export.runtime import Session


@dataclass(frozen=True)
class Validation:
    """How far an exported output is from its reference, over `samples` inputs.

    Attributes:
        max_abs, mean_abs: of the differences.
        snr_db: 10 log10(sum y^2 / sum (y - y')^2); capped at 200.
        peak_shift_px: mean and largest distance that a map's highest cell moves, in input pixels; None
            where the output has no map.
        healthy: whether it keeps the tolerance.
    """

    samples: int
    max_abs: float
    mean_abs: float
    snr_db: float
    peak_shift_px: tuple[float, float] | None
    healthy: bool


def validate(
    reference: Callable[[np.ndarray], np.ndarray],
    session: Session,
    inputs: Iterable[np.ndarray],
    tolerance: Tolerance,
    output: int = 0,
) -> Validation:
    """Compare one output of an exported model with its reference.

    Args:
        reference: the float model: (1, H, W, C) -> (1, ...) float32.
        inputs: arrays (1, H, W, C) float32, normalised.
        tolerance: what the recipe may cost.
        output: index of the exported model's output.

    Raises:
        ExportError: no inputs, another output shape, or an output that is not finite.
    """
    pairs = [(np.asarray(reference(x), np.float32), session.run_float(x)[output]) for x in inputs]
    if not pairs:
        raise ExportError("there is no input to validate the export with", "give images")
    wanted, found = (np.concatenate(side) for side in zip(*pairs, strict=True))
    if wanted.shape != found.shape:
        raise ExportError(
            f"the export gives {found.shape} and the network {wanted.shape}", "this is a bug: report it"
        )
    if not np.isfinite(wanted).all():
        raise ExportError("the float network itself gives NaN or infinity", "train the network again")
    if not np.isfinite(found).all():
        raise ExportError("the export gives NaN or infinity", "use recipe fp32, or train the network again")
    difference = np.abs(wanted.astype(np.float64) - found)
    power, noise = np.square(wanted, dtype=np.float64).sum(), np.square(difference).sum()
    snr = min(200.0, 10 * np.log10(max(power, 1e-30) / max(noise, 1e-30)))
    within = tolerance.max_abs is None or difference.max() <= tolerance.max_abs
    stride = session.inputs[0].shape[1] / wanted.shape[1] if wanted.ndim == 4 else None
    return Validation(
        samples=len(pairs),
        max_abs=float(difference.max()),
        mean_abs=float(difference.mean()),
        snr_db=float(snr),
        peak_shift_px=None if stride is None else _peak_shift(wanted, found, stride),
        healthy=bool(within and snr >= tolerance.snr_db),
    )


def _peak_shift(wanted: np.ndarray, found: np.ndarray, stride: float) -> tuple[float, float]:
    """Mean and largest move of each map's highest cell, in input pixels; maps are (B, h, w, K)."""

    def peaks(maps: np.ndarray) -> np.ndarray:
        flat = maps.reshape(len(maps), -1, maps.shape[-1]).argmax(1)
        return np.stack(np.unravel_index(flat, maps.shape[1:3]), -1)

    moves = stride * np.linalg.norm(peaks(wanted) - peaks(found), axis=-1)
    return float(moves.mean()), float(moves.max())
