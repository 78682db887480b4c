"""`edgepose bundle`: a scored model as one file for an app, and the same file proven on a runtime."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import edgepose
from edgeio import sha256_file
from edgeio.records import to_plain
from edgepose.comparison.compare import Entry, compare, find_results, read_entries
from edgepose.deploy import golden
from edgepose.deploy.export import check_free
from edgepose.deploy.golden import Replayed
from edgepose.deploy.manifest import (
    BACK_RULE,
    CARD,
    DECODE_RULES,
    GOLDEN,
    MODEL,
    NORMALISATION_RULE,
    QUANTISATION_RULE,
    REPORT,
    RESULTS,
    SCHEMA,
    DecodePart,
    EvaluationPart,
    GoldenPart,
    InputPart,
    KeypointsPart,
    LetterboxPart,
    Manifest,
    ModelPart,
    NormalisationPart,
    OutputPart,
    parse_manifest,
)
from edgepose.deploy.model_card import model_card
from edgepose.errors import BadModel, BadResults, UsageError
from edgepose.inference.metadata import LETTERBOX, PIXELS, PoseMetadata, pose_metadata
from edgepose.keypoints import keypoint_set
from edgepose.models.variants import NORMALISATIONS, Variant, variant
from edgepose.reporting.document import render_markdown
from edgepose.reporting.glossary import NOTICE
from edgepose.reporting.sections import build_document
from edgepose.results.results import Excluded, Results
from export import metadata
from export.archive import Bundle, read_bundle, write_bundle
from export.errors import ExportError
from export.inspect import inspect
from export.runtime import RUNTIMES, TensorSpec, load_interpreter
from export.sidecar import Sidecar, read_sidecar

LABELS = "keypoints.txt"  # in the .tflite: a name a line, as the ecosystem's labels are
POSE = "pose.json"  # in the .tflite: the sidecar's metadata


@dataclass(frozen=True)
class Verified:
    """A bundle that holds together, and the runtimes that it was replayed on.

    Attributes:
        sha256: of the bundle.
        replayed: runtimes that met the golden vectors.
        absent: runtimes that are not installed here, with the reason.
    """

    name: str
    sha256: str
    parts: int
    replayed: tuple[Replayed, ...]
    absent: dict[str, str]


def make_bundle(model: Path, report: Path, out: Path, overwrite: bool = False) -> Bundle:
    """Bundle a model with its evaluation.

    Args:
        model: a .tflite with its sidecar.
        report: the results.json of just that file, or its folder.
        out: the archive.

    Raises:
        UsageError: `out` exists, or the model is a network of others.
        ExportError, BadModel: the model or its sidecar cannot be used.
        BadResults: the results are of another file.
    """
    check_free(out, overwrite)
    inspect(model)
    sidecar = read_sidecar(model)
    told = pose_metadata(sidecar.metadata, str(model))
    _variant(told)  # refused before anything is read of its results
    entry = _entry(model, report)
    # The decoder that was measured, which need not be the one the model was exported for.
    pose = replace(told, decode=entry.results.decode)
    described = _tensors(pose, sidecar, str(model))
    data = _with_metadata(model.read_bytes(), pose, sidecar, entry.results)
    sha256 = hashlib.sha256(data).hexdigest()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, MODEL)
        path.write_bytes(data)
        vectors, files = golden.make(path, sha256, *described, golden.synthetic_frames())
    parts = {
        MODEL: data,
        CARD: model_card(entry.results, sidecar).encode(),
        RESULTS: (json.dumps(to_plain(entry.results), indent=1, allow_nan=False) + "\n").encode(),
        REPORT: _report(entry).encode(),
        GOLDEN: golden.golden_json(vectors),
        SCHEMA: manifest_schema().encode(),
        **files,
    }
    return write_bundle(out, parts, _manifest(pose, sidecar, entry.results, *described, len(vectors.frames)))


def verify_bundle(path: Path, runtime: str | None = None) -> Verified:
    """Check every byte of a bundle, and replay its golden vectors.

    Args:
        runtime: one of `export.runtime.RUNTIMES`; by default every one that is installed.

    Raises:
        UnknownName: no such runtime.
        ExportError, BadModel: something is wrong; names the part.
    """
    if runtime is not None:
        load_interpreter(runtime)  # it is the caller's word: say so before all else
    bundle = read_bundle(path)
    manifest = parse_manifest(bundle.manifest, str(path))
    vectors = golden.parse_golden(bundle.parts[manifest.golden.file], manifest, str(path))
    golden.check_letterbox(manifest, vectors, bundle.parts, str(path))
    absent: dict[str, str] = {}
    replayed = []
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, MODEL)
        model.write_bytes(bundle.parts[manifest.model.file])
        with _named(model, f"{path}: {manifest.model.file}"):
            inspect(model)
            for name in [runtime] if runtime else RUNTIMES:
                if not runtime and (reason := _absent(name)):
                    absent[name] = reason
                    continue
                replayed.append(golden.replay(model, manifest, vectors, bundle.parts, name, str(path)))
    if not replayed:
        raise ExportError(
            f"no runtime can replay {path} ({'; '.join(absent.values())})", "install ai-edge-litert"
        )
    return Verified(manifest.name, bundle.sha256, len(bundle.parts) + 1, tuple(replayed), absent)


def manifest_schema() -> str:
    """The JSON Schema of manifest.json."""
    return resources.files("edgepose.deploy").joinpath("bundle.schema.json").read_text(encoding="utf-8")


@contextmanager
def _named(copy: Path, part: str) -> Iterator[None]:
    """Errors over a temporary copy name the part that it is of."""
    try:
        yield
    except ExportError as error:
        if str(copy) not in error.what:
            raise
        raise ExportError(error.what.replace(str(copy), part), golden.HINT) from None


def _absent(runtime: str) -> str | None:
    try:
        load_interpreter(runtime)
    except ExportError as error:
        return error.what
    return None


def _entry(model: Path, report: Path) -> Entry:
    """The results of this very file, with nothing in them that could name a patient's image."""
    digest = sha256_file(model)
    entries = [e for e in read_entries(find_results([report])) if e.results.model.sha256 == digest]
    if len(entries) != 1:
        raise BadResults(
            f"{report} holds {len(entries) or 'no'} results of {model} (by SHA-256)",
            "name the results.json that `edgepose evaluate` wrote for this file",
        )
    entry = entries[0]
    data = entry.results.data
    unnamed = tuple(Excluded(f"image {i}", _unnamed(e)) for i, e in enumerate(data.excluded, start=1))
    results = replace(entry.results, data=replace(data, excluded=unnamed))
    return Entry(entry.path, results, entry.predictions)


def _unnamed(excluded: Excluded) -> str:
    """The reason without the image's name."""
    return excluded.reason.replace(excluded.id, "the image").replace(Path(excluded.id).name, "the image")


def _report(entry: Entry) -> str:
    title = f"Evaluation of {entry.results.name}"
    return render_markdown(build_document(compare([entry], title, edgepose.__version__, "none"), []))


def _variant(pose: PoseMetadata) -> Variant:
    if pose.network is None:
        raise UsageError(
            f"a {pose.output} network is no network of edgepose's", "bundle what `edgepose export` wrote"
        )
    return variant(pose.network)


def _tensors(pose: PoseMetadata, sidecar: Sidecar, where: str) -> tuple[InputPart, OutputPart]:
    """Input and output as the manifest describes them."""
    if not 0 <= pose.output_index < len(sidecar.outputs):
        raise BadModel(f"the sidecar of {where} names an output that is not there", "export it again")
    image, output = sidecar.input, sidecar.outputs[pose.output_index]
    key = _variant(pose).normalisation
    used = NORMALISATIONS[key]
    cell = None
    if pose.output != "keypoints":
        cell = (image.shape[2] / output.shape[2], image.shape[1] / output.shape[1])
    described = InputPart(
        shape=_four(image, where),
        dtype=image.dtype,
        scale=image.scale,
        zero_point=image.zero_point,
        colour="RGB",
        normalisation=NormalisationPart(key, used.scale, used.offset, NORMALISATION_RULE),
        quantisation=QUANTISATION_RULE,
        letterbox=LetterboxPart(**LETTERBOX, back=BACK_RULE),  # type: ignore[arg-type]
    )
    kind: Any = pose.output
    decoder: Any = pose.decode
    decode = DecodePart(decoder, DECODE_RULES[pose.decode], cell)
    return described, OutputPart(
        pose.output_index, kind, tuple(output.shape), output.dtype, output.scale, output.zero_point, decode
    )


def _four(image: TensorSpec, where: str) -> tuple[int, int, int, int]:
    if len(image.shape) != 4 or image.shape[0] != 1 or image.shape[3] != 3:
        raise BadModel(f"{where} takes {image.shape}, not (1, height, width, 3)", "export it again")
    return image.shape[0], image.shape[1], image.shape[2], image.shape[3]


def _with_metadata(model: bytes, pose: PoseMetadata, sidecar: Sidecar, results: Results) -> bytes:
    points = keypoint_set(pose.keypoints)
    used = NORMALISATIONS[_variant(pose).normalisation]
    about = metadata.Description(
        name=f"{_variant(pose).name}, {sidecar.recipe}",
        description=f"Marks {len(points)} body points ({points.key}) of one person. {NOTICE}",
        version=results.model.sha256[:16],
        author=f"edgepose {edgepose.__version__}",
        license="not stated",
    )
    image = metadata.ImageInput(
        name="image",
        description=f"RGB. {LETTERBOX['rule']}.",
        size=(sidecar.input.shape[1], sidecar.input.shape[2]),
        mean=tuple(-offset / scale for scale, offset in zip(used.scale, used.offset, strict=True)),
        std=tuple(1 / scale for scale in used.scale),
    )
    labels = LABELS if pose.output != "keypoints" else None  # its last axis is x, y, confidence
    outputs = [metadata.Output(f"output {i}", "not used") for i in range(len(sidecar.outputs))]
    outputs[pose.output_index] = metadata.Output(pose.output, DECODE_RULES[pose.decode], labels)
    said = json.dumps(pose.to_json(edgepose.__version__), indent=1) + "\n"
    lines = "".join(f"{name}\n" for name in points.names)
    return metadata.embed(model, about, image, outputs, {LABELS: lines.encode(), POSE: said.encode()})


def _manifest(
    pose: PoseMetadata,
    sidecar: Sidecar,
    results: Results,
    image: InputPart,
    output: OutputPart,
    frames: int,
) -> dict[str, Any]:
    points, chosen = keypoint_set(pose.keypoints), _variant(pose)
    scores = {k: v for k, v in results.metrics.overall.scores.items() if v is not None}
    data = results.data
    manifest = Manifest(
        name=results.name,
        edgepose=edgepose.__version__,
        notice=NOTICE,
        model=ModelPart(
            MODEL, chosen.key, chosen.name, sidecar.recipe, sidecar.sha256, pose.parameters, pose.flops
        ),
        input=image,
        output=output,
        keypoints=KeypointsPart(
            points.key, points.names, points.swaps, points.segments, points.head_segment, PIXELS
        ),
        golden=GoldenPart(GOLDEN, frames, golden.allowances(sidecar.recipe, image, output)),
        evaluation=EvaluationPart(
            results=RESULTS,
            report=REPORT,
            data=data.name,
            split=data.split,
            crop=data.crop,
            crop_margin=data.crop_margin,
            images=data.n_images,
            videos=data.n_videos,
            scores=scores,
        ),
        card=CARD,
        schema=SCHEMA,
        parts={},
    )
    plain: dict[str, Any] = to_plain(manifest)
    return {key: value for key, value in plain.items() if key not in ("schema_version", "parts")}
