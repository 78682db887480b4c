"""What a bundle's manifest says of a pose model: all that an app needs, in words and numbers.

The dataclasses are the schema; `deploy/bundle.schema.json` is made of them, and every bundle carries it.
`export.archive` keeps the archive together and knows nothing of this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from edgeio.records import Sha256, Share, parse_record
from edgepose.errors import BadModel
from export.archive import FilePart

MODEL, CARD = "model.tflite", "model-card.md"
RESULTS, REPORT = "evaluation/results.json", "evaluation/report.md"
GOLDEN, SCHEMA = "golden/golden.json", "manifest.schema.json"

NORMALISATION_RULE = "value = pixel x scale[channel] + offset[channel], for pixels 0 to 255 in RGB order"
QUANTISATION_RULE = (
    "where scale is 0 the tensor holds the value itself; otherwise stored = round(value / scale) + "
    "zero_point, halves to even, clipped to the type's range, and value = (stored - zero_point) x scale"
)
BACK_RULE = (
    "x_image = (x_input - offset_left) x image_width / content_width, and y likewise with offset_top, "
    "heights; add the crop's left and top where the image was cropped first"
)
# What each decoder does, for one map; the same steps as in edgepose.codec.
DECODE_RULES: Mapping[str, str] = {
    "argmax": "find the highest cell (the first of equals in reading order); the point is its centre, "
    "column + 0.5 and row + 0.5 cells; times cell_px gives input pixels",
    "soft-argmax": "find the highest cell; the point is the centre of mass of the 5 x 5 cells about it, with "
    "negative values and cells outside the map as 0; times cell_px gives input pixels",
    "taylor": "find the highest cell; divide the 3 x 3 cells about it by its value, floor at 1e-8, take the "
    "logarithm (a peak on the border uses the 3 x 3 cells next to it); from central differences "
    "gx, gy, dxx, dyy, dxy with D = dxx dyy - dxy^2, the top lies at ((dxy gy - dyy gx) / D, (dxy gx - dxx "
    "gy) / D) from the middle cell; no step where D <= 1e-9 or dxx >= 0; at most half a cell from the "
    "highest cell on each axis; plus 0.5; times cell_px gives input pixels",
    "upsampled-argmax": "enlarge the map to the input's size by doubling steps of the taps 0.25, 0.75, 0.75, "
    "0.25 (bilinear, fading to 0 over the outermost half cell); the highest pixel's centre, plus 0.5 on both "
    "axes",
    "in-graph": "the output is (K, 3): x and y in input pixels and the confidence; nothing is left to decode",
}


@dataclass(frozen=True)
class ModelPart:
    """The model."""

    file: str
    """Its part."""
    network: str
    """Key of the network."""
    network_name: str
    """Its name."""
    recipe: str
    """How numbers are stored: fp32, fp16, weights-int8, dynamic, int8, int16x8 or unknown."""
    source_sha256: Sha256
    """Of the .tflite before metadata went into it, as it was scored."""
    parameters: int | None
    """Parameters; null where unknown."""
    flops: int | None
    """FLOPs of one image; null where unknown."""


@dataclass(frozen=True)
class NormalisationPart:
    """From pixels to values."""

    key: str
    """Name of the rule."""
    scale: tuple[float, float, float]
    """By channel, R, G, B."""
    offset: tuple[float, float, float]
    """By channel, R, G, B."""
    rule: str
    """In words."""


@dataclass(frozen=True)
class LetterboxPart:
    """How an image gets onto the input."""

    rule: str
    """In words."""
    filter: str
    """How it is resampled."""
    content_size: str
    """Width and height of the scaled image, px."""
    offset: str
    """Where it lies on the input."""
    padding: int
    """Grey level of the padding, before normalisation."""
    back: str
    """From input pixels to image pixels."""


@dataclass(frozen=True)
class InputPart:
    """The model's input: (1, height, width, 3) of `dtype`."""

    shape: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt]
    """1, height, width, 3."""
    dtype: str
    """float32, int8, uint8 or int16."""
    scale: float
    """Of the quantisation; 0 where there is none."""
    zero_point: int
    """Of the quantisation."""
    colour: Literal["RGB"]
    """Order of the channels."""
    normalisation: NormalisationPart
    quantisation: str
    """From values to what the tensor holds, and back, for input and output."""
    letterbox: LetterboxPart


@dataclass(frozen=True)
class DecodePart:
    """From the output to keypoints."""

    name: Literal["argmax", "soft-argmax", "taylor", "upsampled-argmax", "in-graph"]
    """Key of the decoder."""
    rule: str
    """In words."""
    cell_px: tuple[float, float] | None
    """Width and height of a map's cell, input px; null where the model decodes itself."""


@dataclass(frozen=True)
class OutputPart:
    """The output to read."""

    index: NonNegativeInt
    """Among the model's outputs, from 0."""
    kind: Literal["maps", "upscaled", "keypoints"]
    """maps (1, h, w, K), upscaled (1, height, width, K) or keypoints (1, K, 3)."""
    shape: tuple[PositiveInt, ...]
    """Of the tensor."""
    dtype: str
    """Of the tensor."""
    scale: float
    """Of the quantisation; 0 where there is none."""
    zero_point: int
    """Of the quantisation."""
    decode: DecodePart


@dataclass(frozen=True)
class KeypointsPart:
    """What the model marks."""

    set: str
    """Key of the keypoint set."""
    names: tuple[str, ...]
    """K names, in the order of the last axis of maps."""
    swaps: tuple[NonNegativeInt, ...]
    """K indices: where each keypoint goes when the image is mirrored."""
    skeleton: tuple[tuple[str, str], ...]
    """Pairs of names to draw lines between."""
    head_segment: tuple[str, str] | None
    """The two names whose distance is the head length; null where the set has none."""
    pixels: str
    """The convention of coordinates."""


@dataclass(frozen=True)
class Allowed:
    """How far a runtime may be from the golden vectors."""

    runtime: str
    """litert or tflite-runtime."""
    output_max_abs: NonNegativeFloat
    """Largest difference of any output value, dequantised."""
    keypoint_px: NonNegativeFloat
    """Distance that a keypoint may be off, input px."""
    keypoint_share: Share
    """Share of keypoints, 0 to 1, that must be within it."""


@dataclass(frozen=True)
class GoldenPart:
    """The golden vectors, and how closely each runtime must meet them."""

    file: str
    """The part that lists them."""
    frames: PositiveInt
    """How many frames."""
    allowed: tuple[Allowed, ...]
    """By runtime."""


@dataclass(frozen=True)
class EvaluationPart:
    """What was measured, in short; the files say it whole. The app should frame its images by `crop` too."""

    results: str
    """The part that says it whole, as results.schema.json; without names of images."""
    report: str
    """The part for readers."""
    data: str
    """The data set."""
    split: str
    """Its split."""
    crop: Literal["none", "person", "found"]
    """How images were framed: whole, cropped to the annotated person, or to where the network found one."""
    crop_margin: float | None
    """Margin around the person as a share of the person's box; null without a crop."""
    images: NonNegativeInt
    """Images scored."""
    videos: NonNegativeInt
    """Videos they belong to."""
    scores: Mapping[str, float | None]
    """By metric, over all keypoints: shares in percent, errors in head lengths."""


@dataclass(frozen=True)
class Manifest:
    """What a bundle made by `edgepose bundle` holds, and how an app uses it."""

    schema_version: Literal[1] = field(default=1, kw_only=True)
    """Version of this schema."""
    name: str
    """Name of the model."""
    edgepose: str
    """Version of edgepose that made it."""
    notice: str
    """What it must not be used for."""
    model: ModelPart
    input: InputPart
    output: OutputPart
    keypoints: KeypointsPart
    golden: GoldenPart
    evaluation: EvaluationPart
    card: str
    """The part that is the model card."""
    schema: str
    """The part that is this schema."""
    parts: Mapping[str, FilePart]
    """Every file beside manifest.json, by name."""


def parse_manifest(plain: Mapping[str, Any], where: str) -> Manifest:
    """The manifest of a bundle that was read.

    Raises:
        BadModel: a field is missing, unknown or of another kind, or names a part that is not there.
    """
    hint = "make the bundle again with `edgepose bundle`"
    found = parse_record(Manifest, plain, f"{where}: manifest.json", hint, BadModel)
    named = (found.model.file, found.golden.file, found.evaluation.results, found.evaluation.report)
    for name in (*named, found.card, found.schema):
        if name not in found.parts:
            raise BadModel(f"{where}: manifest.json names {name}, which is missing", hint)
    if found.output.kind != "keypoints" and found.output.decode.cell_px is None:
        raise BadModel(f"{where}: manifest.json: output.decode.cell_px is missing", hint)
    k, shape = len(found.keypoints.names), found.output.shape
    fits = shape[1:] == (k, 3) if found.output.kind == "keypoints" else len(shape) == 4 and shape[3] == k
    if not fits:
        raise BadModel(f"{where}: manifest.json: output.shape does not fit keypoints.names", hint)
    return found
