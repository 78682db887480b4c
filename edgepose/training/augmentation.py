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

# Uniform numbers a frame: flip, scale, rotation, three gains, saturation; then shift to the right and
# down, and for each of the erased boxes its centre, width, height and brightness; then for each keypoint that
# is cut out which one, the box's width, height and brightness.
BASE_DRAWS = 7
ERASED = 3
CUT = 5
CUT_DRAWS = 4 * CUT
DRAWS = BASE_DRAWS + 2 + 5 * ERASED + CUT_DRAWS


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
        shift: largest shift to either side, as a share of the canvas.
        erase: largest side of the boxes that are painted over, as a share of the canvas. What they hide keeps
            its labels (random erasing, Zhong et al. 2020).
        cutout: largest side of the boxes that are painted over keypoints drawn at random, as a share of the
            canvas: labelled ones, or where a frame's keypoint has no label the teacher's. What they hide
            keeps its labels (joint cutout, Xie et al. 2021).
        patches: whether half of those boxes show the same place of another frame of the batch, with whatever
            limbs lie there, where the others are grey (CutMix, Yun et al. 2019, that keeps its labels).
    """

    key: str
    flip: float = 0.5
    scale: tuple[float, float] = (0.75, 1.25)
    rotation_degrees: float = 45.0
    colour: float = 0.0
    shift: float = 0.0
    erase: float = 0.0
    cutout: float = 0.0
    patches: bool = False

    def arrays(self, draws: np.ndarray, size: Size) -> Arrays:
        """What the graph needs of the draws.

        Args:
            draws: (B, DRAWS) in 0..1.
            size: (height, width) of canvas and input.

        Returns:
            to_input (B, 2, 3), from canvas pixels to the augmented input's; to_canvas, its inverse;
            flipped (B,) bool; colour (B, 3, 3), new = colour @ old; erased (B, ERASED, 5), boxes as centre,
            width and height in shares of the canvas and brightness 0..1; cutout (B, CUT, 4), which keypoint
            as 0..1, width and height, brightness; all float32.
        """
        flipped = draws[:, 0] < self.flip
        low, high = self.scale
        scales = low + (high - low) * draws[:, 1]
        degrees = self.rotation_degrees * (2 * draws[:, 2] - 1)
        shifts = self.shift * (2 * draws[:, 7:9] - 1)
        maps = [_affine(*row, size) for row in zip(flipped, scales, degrees, shifts, strict=True)]
        boxes = draws[:, BASE_DRAWS + 2 : -CUT_DRAWS].reshape(len(draws), ERASED, 5)
        cuts = draws[:, -CUT_DRAWS:].reshape(len(draws), CUT, 4)
        return {
            "to_input": np.stack([m.matrix for m in maps]).astype(np.float32),
            "to_canvas": np.stack([m.inverse().matrix for m in maps]).astype(np.float32),
            "flipped": flipped,
            "colour": _colours(1 + self.colour * (2 * draws[:, 3:7] - 1)).astype(np.float32),
            **(
                {"erased": (boxes * np.array([1.0, 1.0, self.erase, self.erase, 1.0])).astype(np.float32)}
                if self.erase
                else {}
            ),
            **(
                {"cutout": (cuts * np.array([1.0, self.cutout, self.cutout, 1.0])).astype(np.float32)}
                if self.cutout
                else {}
            ),
        }


AUGMENTATIONS = {
    a.key: a
    for a in (
        Augmentation("paper"),
        Augmentation("paper-colour", colour=0.25),
        # Framing as a phone in a hand gives it, adult hands and cloths in front, lamps and daylight.
        Augmentation("home", scale=(0.7, 1.3), rotation_degrees=45.0, colour=0.4, shift=0.1, erase=0.25),
        Augmentation(
            "home-any-turn", scale=(0.7, 1.3), rotation_degrees=180.0, colour=0.4, shift=0.1, erase=0.25
        ),
        # A student's harder view beside a teacher that sees the frame as it is.
        Augmentation(
            "home-cutout",
            scale=(0.7, 1.3),
            rotation_degrees=60.0,
            colour=0.4,
            shift=0.1,
            erase=0.25,
            cutout=0.15,
        ),
        # For photographs that are few: what lies in front is other photographs, not only grey.
        Augmentation(
            "home-patches",
            scale=(0.7, 1.3),
            rotation_degrees=45.0,
            colour=0.4,
            shift=0.1,
            erase=0.3,
            cutout=0.15,
            patches=True,
        ),
        Augmentation("none", flip=0.0, scale=(1.0, 1.0), rotation_degrees=0.0),
    )
}


def _affine(flipped: bool, scale: float, degrees: float, shift: np.ndarray, size: Size) -> Affine:
    centre = (size[1] / 2, size[0] / 2)
    mirrored = Affine.mirror(size[1]) if flipped else Affine.identity()
    return (
        mirrored.then(Affine.rotation(degrees, centre))
        .then(Affine.translation(-centre[0], -centre[1]))
        .then(Affine.scaling(scale, scale))
        .then(Affine.translation(centre[0] + shift[0] * size[1], centre[1] + shift[1] * size[0]))
    )


def _colours(factors: np.ndarray) -> np.ndarray:
    """(B, 3, 3) from (B, 4): three gains, then the saturation about the channels' mean."""
    gains, saturation = factors[:, :3], factors[:, 3, None, None]
    mix = saturation * np.eye(3) + (1 - saturation) / 3
    return gains[:, :, None] * mix


def augmented(
    arrays: Arrays,
    swaps: tuple[int, ...],
    normalisation: Normalisation,
    has_colour: bool = False,
    erase: float = 0.0,
    cutout: float = 0.0,
    patches: bool = False,
) -> Arrays:
    """Apply the draws, in the graph.

    Args:
        arrays: images (B, H, W, 3) uint8, keypoints_px (B, K, 2), annotated (B, K), and what
            `Augmentation.arrays` gives. Anything else passes through.
        swaps: K indices, see `KeypointSet.swaps`.
        normalisation: the network's.
        has_colour: whether `colour` does anything.
        erase, cutout: not 0 where boxes are painted over.
        patches: see `Augmentation`.

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
    others = ops.roll(pixels, 1, axis=0) if patches else None
    if erase:
        pixels = _erased(pixels, arrays["erased"], others)
    if cutout:
        pixels = _erased(pixels, _cut_out(arrays, swaps, (height, width)), others)
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


def _erased(pixels: Tensor, boxes: Tensor, others: Tensor | None) -> Tensor:
    """Paint boxes (B, n, 5) over pixels (B, H, W, 3), as `Augmentation.arrays` gives them, in the graph.

    With the pixels of others (B, H, W, 3), the darker half of the boxes shows these, and the lighter half is
    black to white.
    """
    from edgepose.frameworks import keras

    ops = keras().ops
    height, width = pixels.shape[1:3]
    across = np.arange(0.5, width, dtype=np.float32)[None, None, :] / width
    down = np.arange(0.5, height, dtype=np.float32)[None, :, None] / height
    for k in range(boxes.shape[1]):
        x, y, w, h, grey = (boxes[:, k, i, None, None] for i in range(5))
        inside = (ops.abs(across - x) < w / 2) & (ops.abs(down - y) < h / 2)
        paint = 255.0 * grey[..., None]
        if others is not None:
            paint = ops.where(grey[..., None] < 0.5, others, 2 * paint - 255.0)
        pixels = ops.where(inside[..., None], paint, pixels)
    return pixels


def _cut_out(arrays: Arrays, swaps: tuple[int, ...], size: Size) -> Tensor:
    """Boxes (B, CUT, 5) for `_erased` about keypoints of the augmented frames, in the graph.

    Each is drawn from the keypoints that somebody knows; without any, the boxes are empty.
    """
    from edgepose.frameworks import keras

    ops = keras().ops
    labelled, taught = arrays["annotated"], arrays.get("teacher_confidence")
    points, known = arrays["keypoints_px"], labelled
    if taught is not None:
        points = ops.where(labelled[..., None], points, arrays["teacher_px"])
        known = labelled | (taught > 0)
    points = move_points(points, arrays["to_input"], arrays["flipped"], swaps)
    rank = ops.cumsum(ops.cast(swap(known, arrays["flipped"], swaps), "float32"), axis=1)  # 1 for the first
    count = rank[:, -1, None]
    draws = arrays["cutout"]
    wanted = ops.minimum(ops.floor(draws[..., 0] * count) + 1, count)
    chosen = ops.cast(rank[:, None] < wanted[..., None], "int32")  # how many come before the wanted one
    places = ops.minimum(ops.sum(chosen, axis=-1), len(swaps) - 1)
    centre = ops.take_along_axis(points, places[..., None], axis=1) / np.array(size[::-1], np.float32)
    sides = ops.where(count[..., None] > 0, draws[..., 1:3], 0.0)
    return ops.concatenate([centre, sides, draws[..., 3:]], axis=-1)


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
