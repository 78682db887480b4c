"""Golden vectors: made-up frames with the exact input, the output and the keypoints they must give.

The frames are drawn by `edgepose.synthetic`, never patients'. An app replays them to show that its
letterbox, its runtime and its decoding do what was measured.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from edgeio.records import Mismatch, from_plain, to_plain
from edgepose.deploy.manifest import Allowed, InputPart, Manifest, OutputPart
from edgepose.errors import BadModel
from edgepose.geometry import Letterbox, letterbox
from edgepose.inference.decode import Decode, output_decoder
from export.recipe import RECIPES
from export.runtime import RUNTIMES, Session, TensorSpec

_SIZES = ((480, 640), (640, 480), (400, 400))  # wide, tall and square: every kind of padding
_SEED = 1
_MOST_PIXELS = 2**24
_LETTERBOX_STEPS = 2.0  # grey levels that another Pillow may differ by
HINT = "do not ship this bundle on this runtime; get it again, or make it again"


@dataclass(frozen=True)
class GoldenFrame:
    """One frame; `input` and `output` are raw little-endian tensors, row by row.

    Attributes:
        content: (height, width) of the scaled image on the input; offset: (top, left).
        keypoints_input_px: K points x, y in input pixels.
        keypoints_px: the same in pixels of the image.
    """

    image: str
    image_size: tuple[int, int]
    content: tuple[int, int]
    offset: tuple[int, int]
    input: str
    output: str
    keypoints_input_px: tuple[tuple[float, float], ...]
    keypoints_px: tuple[tuple[float, float], ...]
    confidence: tuple[float, ...]


@dataclass(frozen=True)
class Golden:
    """golden.json; `model_sha256` is of the model that the vectors belong to."""

    model_sha256: str
    runtime: str
    runtime_version: str
    frames: tuple[GoldenFrame, ...]


@dataclass(frozen=True)
class Replayed:
    """How a runtime met the golden vectors; the largest of all frames.

    Attributes:
        output_max_abs: difference of any output value.
        keypoint_px: distance of any keypoint, input pixels.
        allowed_px: distance that is allowed; keypoint_share: of keypoints within it, in the worst frame.
    """

    runtime: str
    runtime_version: str
    frames: int
    output_max_abs: float
    keypoint_px: float
    allowed_px: float
    keypoint_share: float


def synthetic_frames() -> list[np.ndarray]:
    """Made-up infants, (H, W, 3) uint8 each."""
    from edgepose.synthetic.video import video

    return [video(_SEED, number, size).frame(0).picture for number, size in enumerate(_SIZES)]


def allowances(recipe: str, image: InputPart, output: OutputPart) -> tuple[Allowed, ...]:
    """What each runtime may differ by from LiteRT, where the vectors are made.

    Measured with tflite-runtime 2.14 on RT and RT Lite: float models differ by 6e-6 at most, dynamic-range
    ones (which round activations as they run) by 0.12 with 88 % of keypoints within a cell, 8-bit ones by 40
    steps; RT Lite keeps 81 % of its keypoints within a cell then, and RT quantised after training loses most,
    which is to be refused. LiteRT's own 8-bit kernels agree between processors.
    """
    exact = recipe in RECIPES and RECIPES[recipe].float_arithmetic
    if output.kind == "keypoints":  # where two peaks are as high, a coordinate may jump: only shares count
        share, reach = (0.95, 1.0) if exact else (0.8, 8.0)
        return tuple(Allowed(runtime, float(max(image.shape)), reach, share) for runtime in RUNTIMES)
    cell = max(output.decode.cell_px or (1.0,))
    if exact:
        return tuple(Allowed(runtime, 1e-4, 0.1 * cell, 1.0) for runtime in RUNTIMES)
    if output.scale:
        near, far = 1.5 * output.scale, 48.5 * output.scale
        return Allowed("litert", near, cell / 2, 0.95), Allowed("tflite-runtime", far, cell, 0.75)
    return tuple(Allowed(runtime, 0.2, cell, 0.8) for runtime in RUNTIMES)


def _decoder(image: InputPart, output: OutputPart) -> Decode:
    return output_decoder((image.shape[1], image.shape[2]), output.shape[1:], output.decode.name)


def make(
    model: Path, model_sha256: str, image: InputPart, output: OutputPart, frames: list[np.ndarray]
) -> tuple[Golden, dict[str, bytes]]:
    """Run the model on frames; returns the vectors and their files by name."""
    session = Session(model)
    decode = _decoder(image, output)
    files: dict[str, bytes] = {}
    made = []
    for i, frame in enumerate(frames):
        stored, placed = prepared(frame, image)
        raw = session.run(stored)[output.index]
        values = spec_of(output).dequantise(raw)
        if not np.isfinite(values).all():
            raise BadModel(
                f"{model.name} gives NaN or infinity on a golden frame", "train or export it again"
            )
        points, confidence = (found[0] for found in decode(values))
        names = [f"golden/{i}/{name}" for name in ("frame.png", "input.bin", "output.bin")]
        files |= dict(zip(names, (_png(frame), _raw(stored), _raw(raw)), strict=True))
        made.append(
            GoldenFrame(
                image=names[0],
                image_size=(frame.shape[0], frame.shape[1]),
                content=placed.content,
                offset=placed.offset,
                input=names[1],
                output=names[2],
                keypoints_input_px=_pairs(points),
                keypoints_px=_pairs(placed.to_image.apply(points)),
                confidence=tuple(float(c) for c in confidence),
            )
        )
    golden = Golden(model_sha256, session.runtime.name, session.runtime.version, tuple(made))
    return golden, files


def replay(
    model: Path, manifest: Manifest, golden: Golden, parts: Mapping[str, bytes], runtime: str, where: str
) -> Replayed:
    """Run every golden input on a runtime, and hold output and keypoints against what they must be.

    Raises:
        BadModel: they differ by more than is allowed; names the part.
        ExportError: the runtime is missing or refuses the model.
    """
    allowed = next((a for a in manifest.golden.allowed if a.runtime == runtime), None)
    if allowed is None:
        raise BadModel(f"{where}: manifest.json allows nothing for {runtime}", "make the bundle again")
    session = Session(model, runtime=runtime)
    _check_tensors(session, manifest, where)
    decode, spec = _decoder(manifest.input, manifest.output), spec_of(manifest.output)
    worst, farthest, share = 0.0, 0.0, 1.0
    for frame in golden.frames:
        stored = _tensor(parts[frame.input], manifest.input.shape, manifest.input.dtype, frame.input, where)
        wanted = _tensor(parts[frame.output], spec.shape, spec.dtype, frame.output, where)
        found = spec.dequantise(session.run(stored)[manifest.output.index])
        difference = float(np.abs(found.astype(np.float64) - spec.dequantise(wanted)).max())
        if not difference <= allowed.output_max_abs:
            raise BadModel(
                f"{where}: {frame.output}: {runtime} {session.runtime.version} gives values that differ by "
                f"{difference:.3g}, and {allowed.output_max_abs:.3g} is allowed",
                HINT,
            )
        distance = np.linalg.norm(decode(found)[0][0] - np.array(frame.keypoints_input_px), axis=1)
        within = float((distance <= allowed.keypoint_px).mean())
        if within < allowed.keypoint_share:
            raise BadModel(
                f"{where}: {manifest.golden.file}: {runtime} {session.runtime.version} places {within:.0%} "
                f"of the keypoints within {allowed.keypoint_px:g} px of {frame.image}'s, not "
                f"{allowed.keypoint_share:.0%}",
                HINT,
            )
        worst, farthest = max(worst, difference), max(farthest, float(distance.max()))
        share = min(share, within)
    return Replayed(
        runtime,
        session.runtime.version,
        len(golden.frames),
        worst,
        farthest,
        allowed.keypoint_px,
        share,
    )


def check_letterbox(manifest: Manifest, golden: Golden, parts: Mapping[str, bytes], where: str) -> None:
    """Letterbox every golden frame anew, and hold it against its input.

    Raises:
        BadModel: they differ by more than another image library's rounding; names the part.
    """
    spec = spec_of(manifest.input)
    step = max(manifest.input.normalisation.scale) * _LETTERBOX_STEPS + manifest.input.scale
    for frame in golden.frames:
        wanted = _tensor(parts[frame.input], manifest.input.shape, manifest.input.dtype, frame.input, where)
        stored, placed = prepared(_picture(parts[frame.image], frame, where), manifest.input)
        difference = np.abs(spec.dequantise(stored).astype(np.float64) - spec.dequantise(wanted)).max()
        if (placed.content, placed.offset) != (frame.content, frame.offset) or not difference <= step:
            raise BadModel(f"{where}: {frame.image} does not letterbox to {frame.input}", HINT)


def _picture(data: bytes, frame: GoldenFrame, where: str) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            if picture.size != frame.image_size[::-1] or picture.width * picture.height > _MOST_PIXELS:
                raise ValueError("of another size than golden.json says, or too large")
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise BadModel(f"{where}: {frame.image} is no frame ({error})", HINT) from None


def parse_golden(text: bytes, manifest: Manifest, where: str) -> Golden:
    """golden.json of a bundle.

    Raises:
        BadModel: not as it should be, of another model, or naming a part that is not there.
    """
    name = manifest.golden.file
    try:
        golden = from_plain(Golden, json.loads(text))
    except (ValueError, RecursionError, Mismatch) as error:
        raise BadModel(f"{where}: {name} holds no golden vectors ({error})", HINT) from None
    if golden.model_sha256 != manifest.parts[manifest.model.file].sha256:
        raise BadModel(f"{where}: {name} is of another model than {manifest.model.file}", HINT)
    if not golden.frames or len(golden.frames) != manifest.golden.frames:
        raise BadModel(
            f"{where}: {name} holds {len(golden.frames)} frames, not {manifest.golden.frames}", HINT
        )
    for frame in golden.frames:
        for part in (frame.image, frame.input, frame.output):
            if part not in manifest.parts:
                raise BadModel(f"{where}: {name} names {part}, which is missing", HINT)
        if len(frame.keypoints_input_px) != len(manifest.keypoints.names):
            raise BadModel(f"{where}: {name} does not fit the keypoints of manifest.json", HINT)
    return golden


def golden_json(golden: Golden) -> bytes:
    return (json.dumps(to_plain(golden), indent=1, allow_nan=False) + "\n").encode()


def prepared(frame: np.ndarray, image: InputPart) -> tuple[np.ndarray, Letterbox]:
    """A frame as the model takes it, (1, h, w, 3) of the input's type, and where it was placed."""
    from edgepose.models.variants import Normalisation

    placed = letterbox((frame.shape[0], frame.shape[1]), (image.shape[1], image.shape[2]))
    used = Normalisation(image.normalisation.scale, image.normalisation.offset)
    return spec_of(image).quantise(used.apply(placed.draw(frame)[None])), placed


def spec_of(tensor: InputPart | OutputPart) -> TensorSpec:
    """The arithmetic of a tensor that the manifest describes."""
    return TensorSpec("", tuple(tensor.shape), tensor.dtype, tensor.scale, tensor.zero_point)


def _check_tensors(session: Session, manifest: Manifest, where: str) -> None:
    index = manifest.output.index
    held = session.outputs[index] if 0 <= index < len(session.outputs) else None
    pairs = ((session.inputs[0], manifest.input), (held, manifest.output))
    for tensor, part in pairs:
        found = tensor and (tensor.shape, tensor.dtype, tensor.scale, tensor.zero_point)
        if found != (tuple(part.shape), part.dtype, part.scale, part.zero_point):
            raise BadModel(
                f"{where}: manifest.json describes other tensors than {manifest.model.file} has", HINT
            )


def _tensor(data: bytes, shape: tuple[int, ...], dtype: str, name: str, where: str) -> np.ndarray:
    try:
        kind = np.dtype(dtype).newbyteorder("<")
        return np.frombuffer(data, kind).reshape(shape).astype(dtype)
    except (ValueError, TypeError):
        raise BadModel(f"{where}: {name} does not hold a {dtype} tensor of shape {shape}", HINT) from None


def _raw(array: np.ndarray) -> bytes:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()


def _png(frame: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(frame).save(stream, "PNG")
    return stream.getvalue()


def _pairs(points: np.ndarray) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in points)
