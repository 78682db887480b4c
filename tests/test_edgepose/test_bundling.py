"""The bundle of a pose model: what it says, that it is proven, and that other vectors or models are "
"refused."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import re
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from PIL import Image
from tiny_tflite import tiny_tflite

from edgeio import UserError
from edgepose.codec import DECODERS
from edgepose.deploy import golden
from edgepose.deploy import manifest as app
from edgepose.deploy.bundle import make_bundle, manifest_schema, verify_bundle
from edgepose.errors import BadModel, BadResults, UsageError
from edgepose.inference.metadata import PoseMetadata
from edgepose.keypoints import IN_MOTION_19
from export.archive import read_bundle, write_bundle
from export.errors import ExportError
from export.runtime import RUNTIMES, Session
from export.sidecar import describe, write_sidecar

Scored = Callable[..., Path]
Change = Callable[[dict[str, bytes], dict[str, Any]], None]
DOCS = Path(__file__).parents[2] / "docs" / "bundle"
SCHEMA = json.loads(manifest_schema())


@dataclass(frozen=True)
class Made:
    folder: Path
    model: Path
    results: Path
    bundle: Path


@pytest.fixture(scope="module")
def made(score_into: Scored, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A bundle of a model of one convolution, which was exported for another decoder than it was scored "
    "by."""
    folder = tmp_path_factory.mktemp("bundling")
    model = folder / "tiny-fp32-maps.tflite"
    model.write_bytes(tiny_tflite())
    write_sidecar(model, describe(model, "fp32", pose()))
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    results = score_into(
        folder / "scored", "tiny-fp32-maps", model={"sha256": digest, "input_size": (64, 64)}
    )
    make_bundle(model, results, folder / "app.zip")
    return Made(folder, model, results, folder / "app.zip")


def pose(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "network": "rt",
        "keypoints": "in-motion-19",
        "output": "maps",
        "output_index": 0,
    }
    metadata = PoseMetadata(**fields, decode="argmax", parameters=None, flops=None)
    return {**metadata.to_json("0.1.0"), **changes}


def tampered(made: Made, out: Path, change: Change) -> Path:
    """The bundle with other content and honest hashes: only what it says can give it away."""
    bundle = read_bundle(made.bundle)
    manifest = {k: v for k, v in bundle.manifest.items() if k not in ("parts", "schema_version")}
    parts = dict(bundle.parts)
    change(parts, manifest)
    write_bundle(out / "tampered.zip", parts, manifest)
    return out / "tampered.zip"


def refused(path: Path, runtime: str | None = None) -> str:
    with pytest.raises(UserError) as caught:
        verify_bundle(path, runtime)
    said = str(caught.value)
    assert "\n" not in said
    assert str(path) in said
    return said


def in_golden(change: Callable[[dict[str, Any]], None]) -> Change:
    def apply(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
        plain = json.loads(parts[app.GOLDEN])
        change(plain)
        parts[app.GOLDEN] = json.dumps(plain).encode()

    return apply


# What a bundle holds


def test_manifest_obeys_the_published_schema(made: Made) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    bundle = read_bundle(made.bundle)
    jsonschema.validate(bundle.manifest, SCHEMA)
    assert json.loads(bundle.parts[app.SCHEMA]) == SCHEMA


def test_the_schema_and_the_rules_name_every_decoder() -> None:
    assert set(SCHEMA["$defs"]["DecodePart"]["properties"]["name"]["enum"]) == {*DECODERS, "in-graph"}
    assert set(app.DECODE_RULES) == {*DECODERS, "in-graph"}


def test_manifest_says_how_to_use_the_model(made: Made) -> None:
    bundle = read_bundle(made.bundle)
    m = app.parse_manifest(bundle.manifest, "x")
    assert m.input.shape == (1, 64, 64, 3)
    assert m.output.shape == (1, 8, 8, 19)
    assert m.output.decode.name == "taylor"  # as it was scored, not as it was exported
    assert m.output.decode.cell_px == (8.0, 8.0)
    assert m.keypoints.names == IN_MOTION_19.names
    assert m.keypoints.skeleton == IN_MOTION_19.segments
    assert m.model.source_sha256 == hashlib.sha256(made.model.read_bytes()).hexdigest()
    assert (
        m.evaluation.scores["pckh@0.5"]
        == json.loads(made.results.read_text())["metrics"]["overall"]["scores"]["pckh@0.5"]
    )
    assert "not a medical device" in m.notice
    assert [a.runtime for a in m.golden.allowed] == list(RUNTIMES)


def test_the_model_inside_carries_its_metadata_and_its_own_bytes(made: Made) -> None:
    model = read_bundle(made.bundle).parts[app.MODEL]
    assert made.model.read_bytes() in model
    with zipfile.ZipFile(io.BytesIO(model)) as archive:
        assert archive.read("keypoints.txt").decode().split() == list(IN_MOTION_19.names)
        assert json.loads(archive.read("pose.json"))["decode"] == "taylor"


def test_no_name_of_an_image_leaves_with_the_bundle(made: Made) -> None:
    held = json.loads(made.results.read_text())["data"]["excluded"]
    assert held[0]["id"] == "v9_000.jpg"
    for name, content in read_bundle(made.bundle).parts.items():
        assert b"v9_000" not in content, name
        assert str(made.folder).encode() not in content, name
    evaluation = json.loads(read_bundle(made.bundle).parts[app.RESULTS])
    assert evaluation["data"]["excluded"] == [{"id": "image 1", "reason": "the image is truncated"}]


def test_card_and_report_are_for_readers(made: Made) -> None:
    parts = read_bundle(made.bundle).parts
    card = parts[app.CARD].decode()
    for said in (
        "not a medical device",
        "## What it is not for",
        "EfficientPose RT",
        "right wrist",
        "not known",
    ):
        assert said in card
    assert parts[app.REPORT].decode().startswith("# Evaluation of tiny-fp32-maps")


def test_golden_vectors_are_what_the_model_does(made: Made, tmp_path: Path) -> None:
    """From the frame on disk to keypoints, by hand."""
    bundle = read_bundle(made.bundle)
    vectors = json.loads(bundle.parts[app.GOLDEN])
    (tmp_path / "m.tflite").write_bytes(bundle.parts[app.MODEL])
    session = Session(tmp_path / "m.tflite")
    assert [f["image_size"] for f in vectors["frames"]] == [[480, 640], [640, 480], [400, 400]]
    assert [f["offset"] for f in vectors["frames"]] == [[8, 0], [0, 8], [0, 0]]
    for frame in vectors["frames"]:
        image = np.frombuffer(bundle.parts[frame["input"]], "<f4").reshape(1, 64, 64, 3)
        maps = session.run(image)[0]
        assert np.array_equal(np.frombuffer(bundle.parts[frame["output"]], "<f4").reshape(maps.shape), maps)
        points = np.array(frame["keypoints_input_px"])
        peaks = maps[0].reshape(-1, 19).argmax(0)
        centres = 8 * np.column_stack([peaks % 8 + 0.5, peaks // 8 + 0.5])
        assert np.abs(points - centres).max() <= 4
        assert frame["confidence"] == pytest.approx(maps[0].reshape(-1, 19).max(0).tolist())
        (height, width), (h, w), (top, left) = frame["image_size"], frame["content"], frame["offset"]
        back = (points - (left, top)) * (width / w, height / h)
        assert np.array(frame["keypoints_px"]) == pytest.approx(back)
        with Image.open(io.BytesIO(bundle.parts[frame["image"]])) as picture:
            assert picture.size == (width, height)


def test_the_same_model_and_results_give_the_same_bytes(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    held = read_bundle(made.bundle).parts
    frames = [np.asarray(Image.open(io.BytesIO(held[f"golden/{i}/frame.png"]))) for i in range(3)]
    monkeypatch.setattr(golden, "synthetic_frames", lambda: frames)  # drawn once: they take seconds
    make_bundle(made.model, made.results.parent, made.folder / "again.zip")
    assert (made.folder / "again.zip").read_bytes() == made.bundle.read_bytes()


# Verifying


def test_a_bundle_is_verified_on_what_is_installed(made: Made) -> None:
    found = verify_bundle(made.bundle)
    assert "litert" in [r.runtime for r in found.replayed]
    assert {*(r.runtime for r in found.replayed), *found.absent} == set(RUNTIMES)
    assert found.replayed[0].output_max_abs == 0
    assert found.replayed[0].keypoint_share == 1
    assert found.sha256 == hashlib.sha256(made.bundle.read_bytes()).hexdigest()
    assert found.parts == len(read_bundle(made.bundle).parts) + 1


def _other_model(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
    parts[app.MODEL] = tiny_tflite(seed=1)


def _other_model_and_its_hash(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
    _other_model(parts, manifest)
    in_golden(lambda g: g.update(model_sha256=hashlib.sha256(parts[app.MODEL]).hexdigest()))(parts, manifest)


def _cut_model(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
    parts[app.MODEL] = parts[app.MODEL][: len(tiny_tflite()) // 2]
    in_golden(lambda g: g.update(model_sha256=hashlib.sha256(parts[app.MODEL]).hexdigest()))(parts, manifest)


def _nudged_output(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
    values = np.frombuffer(parts["golden/1/output.bin"], "<f4").copy()
    values[7] += 0.01
    parts["golden/1/output.bin"] = values.tobytes()


def _black_frame(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (640, 480)).save(stream, "PNG")
    parts["golden/0/frame.png"] = stream.getvalue()


def _huge_frame(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
    stream = io.BytesIO()
    Image.new("L", (4200, 4100)).save(stream, "PNG")
    parts["golden/0/frame.png"] = stream.getvalue()
    in_golden(lambda g: g["frames"][0].update(image_size=[4100, 4200]))(parts, manifest)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_other_model, "golden/golden.json is of another model than model.tflite"),
        (_other_model_and_its_hash, "golden/0/output.bin: litert"),
        (_cut_model, "tampered.zip: model.tflite is damaged (cut off, or changed); do not ship"),
        (_nudged_output, "golden/1/output.bin: litert"),
        (_black_frame, "golden/0/frame.png does not letterbox to golden/0/input.bin"),
        (_huge_frame, "golden/0/frame.png is no frame"),
        (lambda p, m: p.update({"golden/0/frame.png": b"GIF89a"}), "golden/0/frame.png is no frame"),
        (
            lambda p, m: p.update({"golden/2/input.bin": b"\0" * 9}),
            "golden/2/input.bin does not hold a float32",
        ),
        (lambda p, m: p.update({app.MODEL: b"junk"}), "golden/golden.json is of another model"),
        (lambda p, m: p.pop("golden/2/input.bin"), "names golden/2/input.bin, which is missing"),
        (lambda p, m: p.pop(app.CARD), "names model-card.md, which is missing"),
        (lambda p, m: p.pop(app.GOLDEN), "names golden/golden.json, which is missing"),
        (lambda p, m: p.update({app.GOLDEN: b"[]"}), "golden/golden.json holds no golden vectors"),
        (in_golden(lambda g: g["frames"].pop()), "golden/golden.json holds 2 frames, not 3"),
        (in_golden(lambda g: g["frames"][1]["keypoints_input_px"].pop()), "golden/golden.json does not fit"),
        (
            in_golden(lambda g: g["frames"][1].update(keypoints_input_px=[[1.0, 1.0]] * 19)),
            "golden/golden.json: litert",
        ),
        (lambda p, m: m["input"].update(shape=[1, 32, 32, 3]), "does not hold a float32 tensor"),
        (lambda p, m: m["output"].update(index=1), "describes other tensors"),
        (lambda p, m: m["output"].update(shape=[1, 8, 8, 18]), "output.shape does not fit keypoints.names"),
        (lambda p, m: m["output"]["decode"].update(cell_px=None), "cell_px is missing"),
        (
            lambda p, m: m["output"]["decode"].update(name="guess"),
            "decode.name is 'guess', not 'argmax'",
        ),
        (lambda p, m: m["output"].update(shape=[19]), "output.shape does not fit keypoints.names"),
        (lambda p, m: m["golden"].update(allowed=[]), "allows nothing for litert"),
        (lambda p, m: m.pop("keypoints"), "manifest.json: keypoints is missing"),
        (lambda p, m: m.update(extra=1), "manifest.json: extra is not a known field"),
        (lambda p, m: m["input"].update(scale="0"), "manifest.json: input.scale is '0'"),
    ],
)
def test_bundles_that_do_not_hold_together_are_refused_by_part(
    made: Made, tmp_path: Path, change: Change, said: str
) -> None:
    assert said in refused(tampered(made, tmp_path, change))


def test_a_damaged_archive_is_refused_before_anything_runs(made: Made, tmp_path: Path) -> None:
    data = bytearray(made.bundle.read_bytes())
    at = data.index(b"TFL3") + 500
    data[at] ^= 1
    path = tmp_path / "app.zip"
    path.write_bytes(data)
    assert "model.tflite is damaged" in refused(path)


class Off:
    """A runtime whose outputs are off by a little."""

    def __init__(self, by: float) -> None:
        self.by = by

    def __call__(self, model: Path, threads: int = 1, runtime: str | None = None) -> Any:
        session = Session(model)
        true = session.run
        session.run = lambda stored: [out + np.float32(self.by) for out in true(stored)]  # type: ignore[method-assign]
        return session


def test_tolerances_are_by_runtime(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "Session", Off(5e-5))
    found = verify_bundle(made.bundle, "litert").replayed[0]
    assert found.output_max_abs == pytest.approx(5e-5, rel=0.05)
    monkeypatch.setattr(golden, "Session", Off(2e-3))
    assert "values that differ by 0.002, and 0.0001 is allowed" in refused(made.bundle, "litert")
    monkeypatch.setattr(golden, "Session", Off(float("nan")))
    assert "differ by nan" in refused(made.bundle, "litert")


def test_allowances_follow_recipe_and_output(made: Made) -> None:
    manifest = app.parse_manifest(read_bundle(made.bundle).manifest, "x")
    image, maps = manifest.input, manifest.output
    int8 = dataclasses.replace(maps, dtype="int8", scale=0.004)
    near, far = golden.allowances("int8", image, int8)
    assert 0.004 < near.output_max_abs < 0.008 < far.output_max_abs < 50 * 0.004
    assert golden.allowances("dynamic", image, maps)[0].output_max_abs == 0.2
    points = dataclasses.replace(
        maps, kind="keypoints", shape=(1, 19, 3), decode=dataclasses.replace(maps.decode, cell_px=None)
    )
    exact, loose = (golden.allowances(recipe, image, points)[0] for recipe in ("fp16", "dynamic"))
    assert exact.keypoint_px < loose.keypoint_px
    assert {a.runtime for a in golden.allowances("int16x8", image, int8)} == set(RUNTIMES)


def test_without_a_runtime_nothing_is_proven(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgepose.deploy.bundle._absent", lambda runtime: f"{runtime} is not installed")
    assert "no runtime can replay" in refused(made.bundle)


# Refusing to make one


def test_what_cannot_be_bundled_is_refused(made: Made, score_into: Scored, tmp_path: Path) -> None:
    out = tmp_path / "app.zip"
    other = score_into(tmp_path, "other")
    with pytest.raises(BadResults, match=r"holds no results of .*tiny-fp32-maps\.tflite"):
        make_bundle(made.model, other, out)
    with pytest.raises(UsageError, match="exists; give another --out, or --overwrite"):
        make_bundle(made.model, made.results, made.bundle)
    with pytest.raises(ExportError, match=r"not a \.tflite"):
        make_bundle(made.results, made.results, out)
    alone = tmp_path / "alone.tflite"
    alone.write_bytes(made.model.read_bytes())
    with pytest.raises(ExportError, match="no sidecar"):
        make_bundle(alone, made.results, out)
    write_sidecar(alone, describe(alone, "fp32", {"some": "other"}))
    with pytest.raises(BadModel, match="no pose metadata"):
        make_bundle(alone, made.results, out)
    write_sidecar(alone, describe(alone, "fp32", pose(output_index=3)))
    with pytest.raises(BadModel, match="names an output that is not there"):
        make_bundle(alone, made.results, out)
    assert not out.exists()


# Command line and documents


def test_command_makes_and_verifies(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edgepose.cli import main

    monkeypatch.setattr(golden, "synthetic_frames", lambda: [np.zeros((40, 50, 3), np.uint8)])

    def run(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["edgepose", "bundle", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    out = str(tmp_path / "app.zip")
    assert run(str(made.model), "--report", str(made.results), "--out", out) == 0
    assert "SHA-256" in capsys.readouterr().out
    assert run("--report", str(made.results), "--out", out, str(made.model)) == 2  # it exists
    assert "--overwrite" in capsys.readouterr().err
    assert run("verify", out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["replayed"][0]["runtime"] == "litert"
    assert run("verify", out) == 0
    assert "ok: litert" in capsys.readouterr().out
    assert run("verify", out, "--runtime", "tensorrt") == 2
    assert "known: litert, tflite-runtime" in capsys.readouterr().err
    Path(out).write_bytes(b"no zip")
    assert run("verify", out) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1


def in_schema(path: str) -> bool:
    """Whether the schema has the field at a dotted path."""
    node = SCHEMA
    for key in path.split("."):
        if key not in node.get("properties", {}):
            return False
        node = node["properties"][key]
        node = SCHEMA["$defs"].get(node.get("$ref", "").removeprefix("#/$defs/"), node)
    return True


def test_paths_are_looked_up_in_the_schema() -> None:
    assert in_schema("output.decode.cell_px")
    assert not in_schema("output.decode.cells")
    assert not in_schema("decode")
    assert not in_schema("name.first")


@pytest.mark.parametrize("name", ["Pose.kt", "Pose.swift", "Taylor.kt", "Taylor.swift"])
def test_snippets_are_short_and_name_fields_of_the_schema(name: str) -> None:
    text = (DOCS / name).read_text(encoding="utf-8")
    assert len(text.splitlines()) < 60
    both = "".join(re.sub(r"\$tensor|\\\(tensor\)", tensor, text) for tensor in ("input", "output"))
    paths = set(re.findall(r'\b(?:at|numbers?|get)\("([a-z_.0-9]+)"\)', both))
    assert name.startswith("Taylor") or {"input.dtype", "output.scale", "output.decode.cell_px"} <= paths
    assert paths or name.startswith("Taylor")
    for path in paths:
        assert in_schema(path), path
    fields = re.findall(r'(?:getString\(|part\[)"(\w+)"', text)
    assert set(fields) <= set(SCHEMA["$defs"]["FilePart"]["properties"])
    assert bool(fields) == name.startswith("Pose")


def test_the_page_names_what_is_there(made: Made) -> None:
    page = (DOCS / "README.md").read_text(encoding="utf-8")
    for part in read_bundle(made.bundle).parts:
        assert (part if "golden/" not in part or part == app.GOLDEN else "golden/N/") in page, part
    dotted = {
        path
        for path in re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", page)
        if path.split(".")[0] in SCHEMA["properties"]
    }
    assert len(dotted) > 5
    files = {path for path in dotted if path.endswith((".tflite", ".txt", ".json", ".bin"))}
    for path in dotted - files:
        assert in_schema(path), path
