"""Augmentation: drawn on the host without state, applied in the graph to images and keypoints alike.

A frame's draws depend on the seed, the pass over the data and the frame only: not on the batch size, the
backend or what was drawn before. So a resumed run repeats them exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgepose.frameworks import Tensor
from edgepose.geometry import Affine, Size
from edgepose.models.variants import Normalisation

Arrays = dict[str, Any]  # by name; NumPy on the host, the backend's tensors in the graph

DRAWS = 7  # uniform numbers a frame: flip, scale, rotation, three channels' gains, saturation


@dataclass(frozen=True)
class Augmentation:
    """How far a frame may be changed.

    Attributes:
        key: its one name.
        flip: share of frames that are mirrored, left and right keypoints swapped.
        scale: lowest and highest factor of size, evenly drawn.
        rotation_degrees: largest angle to either side, about the canvas's centre.
        colour: largest change of the channels' gains and of the saturation. Both keep black black, as
            the letterbox's padding is at prediction.
    """

    key: str
    flip: float = 0.5
    scale: tuple[float, float] = (0.75, 1.25)
    rotation_degrees: float = 45.0
    colour: float = 0.0

    def arrays(self, draws: np.ndarray, size: Size) -> Arrays:
        """What the graph needs of the draws.

        Args:
            draws: (B, DRAWS) in 0..1.
            size: (height, width) of canvas and input.

        Returns:
            to_input (B, 2, 3), from canvas pixels to the augmented input's; to_canvas, its inverse;
            flipped (B,) bool; colour (B, 3, 3), new = colour @ old; all float32.
        """
        flipped = draws[:, 0] < self.flip
        low, high = self.scale
        scales = low + (high - low) * draws[:, 1]
        degrees = self.rotation_degrees * (2 * draws[:, 2] - 1)
        maps = [_affine(*row, size) for row in zip(flipped, scales, degrees, strict=True)]
        return {
            "to_input": np.stack([m.matrix for m in maps]).astype(np.float32),
            "to_canvas": np.stack([m.inverse().matrix for m in maps]).astype(np.float32),
            "flipped": flipped,
            "colour": _colours(1 + self.colour * (2 * draws[:, 3:] - 1)).astype(np.float32),
        }


AUGMENTATIONS = {
    a.key: a
    for a in (
        Augmentation("paper"),
        Augmentation("paper-colour", colour=0.25),
        Augmentation("none", flip=0.0, scale=(1.0, 1.0), rotation_degrees=0.0),
    )
}


def _affine(flipped: bool, scale: float, degrees: float, size: Size) -> Affine:
    centre = (size[1] / 2, size[0] / 2)
    mirrored = Affine.mirror(size[1]) if flipped else Affine.identity()
    return (
        mirrored.then(Affine.rotation(degrees, centre))
        .then(Affine.translation(-centre[0], -centre[1]))
        .then(Affine.scaling(scale, scale))
        .then(Affine.translation(*centre))
    )


def _colours(factors: np.ndarray) -> np.ndarray:
    """(B, 3, 3) from (B, 4): three gains, then the saturation about the channels' mean."""
    gains, saturation = factors[:, :3], factors[:, 3, None, None]
    mix = saturation * np.eye(3) + (1 - saturation) / 3
    return gains[:, :, None] * mix


def augmented(
    arrays: Arrays, swaps: tuple[int, ...], normalisation: Normalisation, has_colour: bool = False
) -> Arrays:
    """Apply the draws, in the graph.

    Args:
        arrays: images (B, H, W, 3) uint8, keypoints_px (B, K, 2), annotated (B, K), and what
            `Augmentation.arrays` gives. Anything else passes through.
        swaps: K indices, see `KeypointSet.swaps`.
        normalisation: the network's.
        has_colour: whether `colour` does anything.

    Returns:
        The arrays without images, and with inputs (B, H, W, 3) float32 for the network, keypoints_px and
        annotated of the augmented frames, and present (B, K) bool: annotated and inside the input.
    """
    from edgepose.frameworks import keras

    ops = keras().ops
    height, width = arrays["images"].shape[1:3]
    pixels = resample(arrays["images"], arrays["to_canvas"])
    if has_colour:
        pixels = ops.clip(ops.einsum("bhwc,bdc->bhwd", pixels, arrays["colour"]), 0.0, 255.0)
    points = move_points(arrays["keypoints_px"], arrays["to_input"], arrays["flipped"], swaps)
    annotated = swap(arrays["annotated"], arrays["flipped"], swaps)
    limit = np.array([width, height], np.float32)
    inside = ops.all((points >= 0) & (points <= limit), axis=-1)
    changed = {
        "inputs": normalised(pixels, normalisation),
        "keypoints_px": points,
        "annotated": annotated,
        "present": annotated & inside,
    }
    return {key: value for key, value in arrays.items() if key != "images"} | changed


def normalised(images: Tensor, normalisation: Normalisation) -> Tensor:
    """Pixels 0..255 (B, H, W, 3) of any type to network input, float32, in the graph."""
    from edgepose.frameworks import keras

    pixels = keras().ops.cast(images, "float32")
    return pixels * np.asarray(normalisation.scale, np.float32) + np.asarray(normalisation.offset, np.float32)


def pixels_of(inputs: Tensor, normalisation: Normalisation) -> Tensor:
    """The inverse of `normalised`: inputs (B, H, W, 3) to pixels 0..255, float32."""
    return (inputs - np.asarray(normalisation.offset, np.float32)) / np.asarray(
        normalisation.scale, np.float32
    )


def resample(images: Tensor, to_canvas: Tensor) -> Tensor:
    """Images (B, H, W, 3) through the inverse maps (B, 2, 3): bilinear, zeros outside; float32.

    Keras's operation counts pixels by index, where a centre is a whole number; ours are at i + 0.5.
    """
    from edgepose.frameworks import keras

    ops = keras().ops
    a, b, c = to_canvas[:, 0, 0], to_canvas[:, 0, 1], to_canvas[:, 0, 2]
    d, e, f = to_canvas[:, 1, 0], to_canvas[:, 1, 1], to_canvas[:, 1, 2]
    zero = ops.zeros_like(a)
    rows = [a, b, c + (a + b - 1) / 2, d, e, f + (d + e - 1) / 2, zero, zero]
    return ops.image.affine_transform(
        ops.cast(images, "float32"),
        ops.stack(rows, axis=-1),
        interpolation="bilinear",
        fill_mode="constant",
        fill_value=0.0,
        data_format="channels_last",
    )


def move_points(points_px: Tensor, to_input: Tensor, flipped: Tensor, swaps: tuple[int, ...]) -> Tensor:
    """Points (B, K, 2) in canvas pixels to where the augmentation puts them, left and right swapped.

    A teacher's keypoints move by the same function.
    """
    from edgepose.frameworks import keras

    moved = keras().ops.einsum("bkj,bij->bki", points_px, to_input[:, :, :2]) + to_input[:, None, :, 2]
    return swap(moved, flipped, swaps)


def swap(values: Tensor, flipped: Tensor, swaps: tuple[int, ...]) -> Tensor:
    """Values (B, K, ...) with left and right exchanged in the frames that are flipped (B,)."""
    from edgepose.frameworks import keras

    ops = keras().ops
    mirrored = ops.take(values, np.array(swaps), axis=1)
    return ops.where(ops.reshape(flipped, (-1,) + (1,) * (len(values.shape) - 1)), mirrored, values)
