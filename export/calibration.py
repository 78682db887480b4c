"""Samples that set the ranges of an integer model: seeded, counted, on record."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from export.errors import ExportError

T = TypeVar("T")


@dataclass(frozen=True)
class Calibration:
    """What a model was calibrated with.

    Attributes:
        source: where the samples came from.
        count: how many.
        seed: of the draw.
        sha256: over the samples' bytes, in order.
    """

    source: str
    count: int
    seed: int
    sha256: str

    @classmethod
    def of(cls, source: str, seed: int, samples: Sequence[np.ndarray]) -> Calibration:
        """The record of these samples."""
        digest = hashlib.sha256()
        for array in samples:
            digest.update(np.ascontiguousarray(array).tobytes())
        return cls(source, len(samples), seed, digest.hexdigest())


def sample(items: Sequence[T], count: int, seed: int) -> list[T]:
    """`count` of `items` in a seeded random order, without replacement.

    Raises:
        ExportError: there are fewer.
    """
    if count < 1 or count > len(items):
        raise ExportError(
            f"{count} calibration samples were asked for and there are {len(items)}",
            f"ask for 1 to {len(items)}" if items else "give a data set with usable images",
        )
    return random.Random(seed).sample(list(items), count)


def representative_dataset(
    samples: Sequence[np.ndarray], shape: tuple[int, ...]
) -> Callable[[], Iterator[list[np.ndarray]]]:
    """The converter's calibration callback over checked samples.

    Args:
        samples: arrays (1, H, W, C) float32, normalised.
        shape: of the model's input.

    Raises:
        ExportError: none, another shape, NaN, or samples that say nothing about ranges.
    """
    if not samples:
        raise ExportError(
            "an integer recipe needs calibration samples and there are none", "give --calibrate DATA"
        )
    for i, array in enumerate(samples):
        if tuple(array.shape) != tuple(shape):
            raise ExportError(
                f"calibration sample {i} has shape {array.shape}, not {shape}", "letterbox it first"
            )
        if not np.issubdtype(array.dtype, np.floating):
            raise ExportError(
                f"calibration sample {i} is of type {array.dtype}", "normalise it to float32 first"
            )
        if not np.isfinite(array).all():
            raise ExportError(f"calibration sample {i} holds NaN or infinity", "leave it out")
    if all(np.ptp(array[0, ..., c]) == 0 for array in samples for c in range(array.shape[-1])):
        raise ExportError(
            "every calibration sample is of one colour, which says nothing about ranges", "give real images"
        )
    return lambda: ([np.asarray(array, np.float32)] for array in samples)
