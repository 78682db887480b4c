"""What a bundle's manifest says of a pose model: all that an app needs, in words and numbers.

The dataclasses are the schema, version 1; `deploy/bundle.schema.json` says the same as JSON Schema.
`export.archive` keeps the archive together and knows nothing of this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from edgeio.records import Mismatch, from_plain
from edgepose.errors import BadModel

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
    """The model. `source_sha256` is of the .tflite before metadata went into it; it was scored as such."""

    file: str
    network: str
    network_name: str
    recipe: str
    source_sha256: str
    parameters: int | None
    flops: int | None


@dataclass(frozen=True)
class Normalisation:
    """From pixels to values."""

    key: str
    scale: tuple[float, float, float]
    offset: tuple[float, float, float]
    rule: str


@dataclass(frozen=True)
class Letterbox:
    """How an image gets onto the input."""

    rule: str
    filter: str
    content_size: str
    offset: str
    padding: int
    back: str


@dataclass(frozen=True)
class InputPart:
    """The model's input: (1, height, width, 3) of `dtype`."""

    shape: tuple[int, int, int, int]
    dtype: str
    scale: float
    zero_point: int
    colour: Literal["RGB"]
    normalisation: Normalisation
    quantisation: str
    letterbox: Letterbox


@dataclass(frozen=True)
class Decode:
    """From the output to keypoints. `cell_px`: width and height of a map's cell in input pixels."""

    name: str
    rule: str
    cell_px: tuple[float, float] | None


@dataclass(frozen=True)
class OutputPart:
    """The output to read: `index` among the model's outputs."""

    index: int
    kind: Literal["maps", "upscaled", "keypoints"]
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int
    decode: Decode


@dataclass(frozen=True)
class KeypointsPart:
    """The last axis of maps, in order; `swaps`: where each goes when the image is mirrored."""

    set: str
    names: tuple[str, ...]
    swaps: tuple[int, ...]
    skeleton: tuple[tuple[str, str], ...]
    head_segment: tuple[str, str] | None
    pixels: str


@dataclass(frozen=True)
class Allowed:
    """How far a runtime may be from the golden vectors.

    Attributes:
        output_max_abs: of any output value, dequantised.
        keypoint_px: input pixels that a keypoint may be off.
        keypoint_share: of keypoints that must be within `keypoint_px`.
    """

    runtime: str
    output_max_abs: float
    keypoint_px: float
    keypoint_share: float


@dataclass(frozen=True)
class GoldenPart:
    """The golden vectors, and how closely each runtime must meet them."""

    file: str
    frames: int
    allowed: tuple[Allowed, ...]


@dataclass(frozen=True)
class EvaluationPart:
    """What was measured, in short; the files say it whole. The app should frame its images by `crop` too."""

    results: str
    report: str
    data: str
    split: str
    crop: Literal["none", "person", "found"]
    crop_margin: float | None
    images: int
    videos: int
    scores: Mapping[str, float | None]


@dataclass(frozen=True)
class Part:
    """One file of the bundle."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """manifest.json."""

    schema_version: int
    name: str
    edgepose: str
    notice: str
    model: ModelPart
    input: InputPart
    output: OutputPart
    keypoints: KeypointsPart
    golden: GoldenPart
    evaluation: EvaluationPart
    card: str
    schema: str
    parts: Mapping[str, Part]


def parse_manifest(plain: Mapping[str, Any], where: str) -> Manifest:
    """The manifest of a bundle that was read.

    Raises:
        BadModel: a field is missing, unknown or of another kind, or names a part that is not there.
    """
    hint = "make the bundle again with `edgepose bundle`"
    try:
        found = from_plain(Manifest, plain)
    except Mismatch as error:
        raise BadModel(f"{where}: manifest.json: {error}", hint) from None
    named = (found.model.file, found.golden.file, found.evaluation.results, found.evaluation.report)
    for name in (*named, found.card, found.schema):
        if name not in found.parts:
            raise BadModel(f"{where}: manifest.json names {name}, which is missing", hint)
    if found.output.kind != "keypoints" and found.output.decode.cell_px is None:
        raise BadModel(f"{where}: manifest.json: output.decode.cell_px is missing", hint)
    if found.output.decode.name not in DECODE_RULES:
        raise BadModel(f"{where}: manifest.json: output.decode.name is no known decoder", hint)
    k, shape = len(found.keypoints.names), found.output.shape
    fits = shape[1:] == (k, 3) if found.output.kind == "keypoints" else len(shape) == 4 and shape[3] == k
    if not fits:
        raise BadModel(f"{where}: manifest.json: output.shape does not fit keypoints.names", hint)
    return found
