"""What the app's JVM tests are given: bad bundles, and what Python computes for inputs of chance."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgepose.codec import DECODERS, Codec
from edgepose.geometry import letterbox
from export.archive import Bundle, read_bundle, write_bundle
from export.zips import write_stored

_INPUT = (224, 224)
# (width, height) of images: wide, tall, small, large, one pixel, and those that are reduced by blocks first.
_SIZES = (
    (640, 480),
    (480, 640),
    (400, 400),
    (1920, 1080),
    (101, 67),
    (50, 37),
    (1, 1),
    (3, 500),
    (224, 224),
    (448, 448),
    (1001, 999),
    (225, 223),
)
Change = Callable[[dict[str, bytes], dict[str, Any]], None]


def make_bad_bundles(good: Path, of_another_type: Path, folder: Path) -> None:
    """Bundles with one fault each, and expected.json: by name the error's class and words of its message.

    Args:
        good: a bundle of an 8-bit model.
        of_another_type: one of a float model with the same input size.
    """
    bundle, other = read_bundle(good), read_bundle(of_another_type)
    expected: dict[str, tuple[str, str]] = {}

    def add(name: str, kind: str, words: str, data: bytes) -> None:
        (folder / f"{name}.zip").write_bytes(data)
        expected[f"{name}.zip"] = (kind, words)

    whole = good.read_bytes()
    model = whole.index(bundle.parts["model.tflite"]) + 1000
    add("changed-model", "BundleDamaged", "model.tflite", _flipped(whole, model))
    add("changed-manifest", "BundleDamaged", "manifest.json", _flipped(whole, whole.index(b'"notice"') + 1))
    add("cut-short", "BundleDamaged", "ends in the middle", whole[: model + 1000])
    add("longer", "BundleDamaged", "outside its parts", whole + b"\0")
    add("no-archive", "BundleUnreadable", "no zip archive", b"no archive at all, but long enough to be one")
    add("compressed", "BundleDamaged", "", _packed({"manifest.json": _text(bundle), **bundle.parts}, True))
    parts = dict(bundle.parts)
    frame = parts.pop("golden/1/frame.png")
    add(
        "missing-part",
        "PartMissing",
        "golden/1/frame.png",
        _packed({"manifest.json": _text(bundle), **parts}),
    )
    parts |= {"golden/1/frame.png": frame, "golden/extra": b"x"}
    ordered = dict(sorted(parts.items()))
    add("extra-part", "BundleDamaged", "in no manifest", _packed({"manifest.json": _text(bundle), **ordered}))
    outside = {"manifest.json": _text(bundle), "../app": b"x", **bundle.parts}
    add("leads-out", "BundleDamaged", "might lead out", _packed(outside))
    add("no-manifest", "BundleUnreadable", "manifest.json", _packed(bundle.parts))
    for name, (kind, words, change) in _faults(other).items():
        add(name, kind, words, _changed(bundle, folder, change))
    (folder / "expected.json").write_text(json.dumps(expected, indent=1), encoding="utf-8")


def _faults(other: Bundle) -> dict[str, tuple[str, str, Change]]:
    """Faults with honest hashes: only what the bundle says can give them away."""

    def newer(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
        manifest["schema_version"] = 2
        manifest["input"] = "of a kind that only the future knows"

    def other_model(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
        parts["model.tflite"] = other.parts["model.tflite"]
        _tell_model(parts)

    def no_model(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
        parts["model.tflite"] = b"no model " * 1000
        _tell_model(parts)

    def another_type(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
        manifest["input"]["dtype"] = "float16"

    def another_scale(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
        manifest["input"]["scale"] *= 2

    def another_size(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
        manifest["input"]["shape"] = [1, 192, 192, 3]

    def another_decoder(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
        manifest["output"]["decode"]["name"] = "heat"

    def no_field(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
        del manifest["input"]["normalisation"]["offset"]

    def other_keypoints(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
        golden = json.loads(parts["golden/golden.json"])
        for frame in golden["frames"]:
            frame["keypoints_input_px"] = [[x + 20, y] for x, y in frame["keypoints_input_px"]]
        parts["golden/golden.json"] = json.dumps(golden).encode()

    def other_frame(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
        with Image.open(io.BytesIO(parts["golden/0/frame.png"])) as picture:
            stream = io.BytesIO()
            picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(stream, "PNG")
        parts["golden/0/frame.png"] = stream.getvalue()

    def short_input(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
        parts["golden/0/input.bin"] = parts["golden/0/input.bin"][:-1]

    def deep(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
        parts["golden/golden.json"] = b'{"a":' * 200_000

    return {
        "newer": ("BundleTooNew", "schema version 2", newer),
        "model-of-another-input-type": ("ModelMismatch", "the model's input", other_model),
        "no-model": ("ModelRefused", "", no_model),
        "unknown-type": ("BundleUnsupported", "float16", another_type),
        "another-scale": ("ModelMismatch", "scale", another_scale),
        "another-input-size": ("BundleUnsupported", "cell_px", another_size),
        "unknown-decoder": ("BundleUnsupported", "heat", another_decoder),
        "no-offset": ("BundleUnsupported", "offset", no_field),
        "other-keypoints": ("GoldenMismatch", "keypoints", other_keypoints),
        "other-frame": ("GoldenMismatch", "letterbox", other_frame),
        "short-input": ("BundleUnsupported", "input.bin", short_input),
        "nested-golden": ("BundleDamaged", "golden.json", deep),
    }


def _changed(bundle: Bundle, folder: Path, change: Change) -> bytes:
    manifest = {k: v for k, v in json.loads(_text(bundle)).items() if k not in ("parts", "schema_version")}
    parts = dict(bundle.parts)
    change(parts, manifest)
    path = folder / "being-made"
    write_bundle(path, parts, manifest)
    data = path.read_bytes()
    path.unlink()
    return data


def _tell_model(parts: dict[str, bytes]) -> None:
    golden = json.loads(parts["golden/golden.json"])
    golden["model_sha256"] = hashlib.sha256(parts["model.tflite"]).hexdigest()
    parts["golden/golden.json"] = json.dumps(golden).encode()


def _text(bundle: Bundle) -> bytes:
    return json.dumps(bundle.manifest).encode()


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _packed(parts: dict[str, bytes], compressed: bool = False) -> bytes:
    stream = io.BytesIO()
    if compressed:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in parts.items():
                archive.writestr(name, data)
    else:
        write_stored(stream, parts)
    return stream.getvalue()


def make_vectors(folder: Path) -> None:
    """Images with their letterbox, maps with their keypoints, and a track with its one-euro filter."""
    rng = np.random.default_rng(0)
    _letterboxes(folder, rng)
    _decoded(folder, rng)
    _smoothed(folder, rng)


def _letterboxes(folder: Path, rng: np.random.Generator) -> None:
    cases = []
    for i, (width, height) in enumerate(_SIZES):
        input_size = _INPUT if i % 3 else (192, 256)
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        placed = letterbox((height, width), input_size)
        point = rng.uniform(0, 224, 2)
        (folder / f"letterbox-{i}.image").write_bytes(image.tobytes())
        (folder / f"letterbox-{i}.canvas").write_bytes(placed.draw(image).tobytes())
        case = {"name": f"letterbox-{i}", "width": width, "height": height}
        case |= {"input_width": input_size[1], "input_height": input_size[0]}
        cases.append(case | {"point": point.tolist(), "point_image": placed.to_image.apply(point).tolist()})
    _write(folder / "letterbox.json", {"cases": cases})


def _decoded(folder: Path, rng: np.random.Generator) -> None:
    cases = []
    for decoder in DECODERS:
        for i, (height, width) in enumerate(((28, 28), (24, 32))):
            codec = Codec((8 * height, 8 * width), (height, width), decoder=decoder)
            points = rng.uniform(0, 1, (1, 17, 2)) * (8 * width, 8 * height)
            points[0, :4] = [[0, 0], [8 * width, 8 * height], [4, 100], [100, 4]]  # on the borders
            maps = codec.encode(points)[0] + rng.normal(0, 0.02, (1, height, width, 17)).astype(np.float32)
            maps[..., 4], maps[..., 5] = 0.0, -1.0  # nothing at all
            found, confidence = codec.decode(maps)
            name = f"decode-{decoder}-{i}"
            (folder / f"{name}.maps").write_bytes(maps.astype("<f4").tobytes())
            case = {"name": name, "decoder": decoder, "shape": list(maps.shape[1:]), "cell_px": [8.0, 8.0]}
            case |= {"x": found[0, :, 0].tolist(), "y": found[0, :, 1].tolist()}
            cases.append(case | {"confidence": confidence[0].tolist()})
    _write(folder / "decode.json", {"cases": cases})


def _smoothed(folder: Path, rng: np.random.Generator) -> None:
    seconds = np.cumsum(rng.uniform(0.01, 0.1, 100))
    values = np.sin(seconds) + rng.normal(0, 0.05, 100)
    settings = {"min_cutoff_hz": 1.5, "beta": 0.7, "speed_cutoff_hz": 1.0}
    smoothed = one_euro(seconds, values, **settings)
    track = {"seconds": seconds.tolist(), "values": values.tolist(), "smoothed": smoothed.tolist()}
    _write(folder / "one-euro.json", settings | track)


def one_euro(
    seconds: np.ndarray, values: np.ndarray, min_cutoff_hz: float, beta: float, speed_cutoff_hz: float
) -> np.ndarray:
    """The one-euro filter (Casiez, Roussel and Vogel 2012) over one track.

    Speeds are taken between values as they came, as in its authors' own later code.
    """

    def alpha(cutoff: float, step: float) -> float:
        return 1 / (1 + 1 / (2 * np.pi * cutoff) / step)

    smoothed = np.array(values, np.float64)
    speed = 0.0
    for i in range(1, len(values)):
        step = seconds[i] - seconds[i - 1]
        a = alpha(speed_cutoff_hz, step)
        speed = a * (values[i] - values[i - 1]) / step + (1 - a) * speed
        a = alpha(min_cutoff_hz + beta * abs(speed), step)
        smoothed[i] = a * values[i] + (1 - a) * smoothed[i - 1]
    return smoothed


def _write(path: Path, plain: dict[str, Any]) -> None:
    path.write_text(json.dumps(plain), encoding="utf-8")
