"""edgepose in a notebook."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blob_videos import BlobFinder, disc, truth, write_video
from PIL import Image
from tiny_tflite import tiny_tflite

import edgepose
from edgeio import UserError
from edgepose import api
from edgepose.errors import UsageError
from edgepose.evaluation import evaluate as evaluate_module
from edgepose.inference.metadata import PoseMetadata
from export.sidecar import describe, write_sidecar

SIZE = (120, 160)


@pytest.fixture
def blobs(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(api, "open_runner", BlobFinder)
    return edgepose.load("blob.tflite")


def test_importing_edgepose_loads_nothing() -> None:
    program = "import sys, edgepose; print(sorted({'numpy', 'av', 'PIL', 'edgepose.api'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_names() -> None:
    assert edgepose.load is api.load and edgepose.evaluate is api.evaluate
    with pytest.raises(AttributeError, match="no attribute 'train'"):
        _ = edgepose.train


def test_a_picture_in_memory(blobs: Any) -> None:
    found = blobs.predict(disc(SIZE, [(70, 60, 30)]))
    assert len(blobs.keypoints) == 19 and found.track.raw_px.shape == (1, 19, 2)
    assert np.abs(found.track.smooth_px[0] - truth(70, 60, 30)).max() < 0.8


@pytest.mark.parametrize(
    "array", [np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3)), np.zeros((0, 5, 3), np.uint8)]
)
def test_arrays_that_are_no_picture(blobs: Any, array: np.ndarray) -> None:
    with pytest.raises(UsageError, match="uint8 RGB"):
        blobs.predict(array)


def test_a_video_and_an_image(blobs: Any, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    clip = write_video(tmp_path / "a.mp4", [disc(SIZE, [(60 + i, 60, 26)]) for i in range(5)])
    found = blobs.predict(str(clip), smooth="none", progress=lambda done, total: seen.append((done, total)))
    assert found.track.time_s.tolist() == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])
    assert found.video.codec == "h264" and seen[-1] == (5, 5)
    Image.fromarray(disc(SIZE, [(60, 60, 26)])).save(tmp_path / "i.png")
    assert blobs.predict(tmp_path / "i.png").track.files == ("i.png",)
    with pytest.raises(UsageError, match="holds 2 inputs"):
        blobs.predict(tmp_path)
    with pytest.raises(UsageError, match="this machine only"):
        blobs.predict("https://127.0.0.1/a.mp4")


def test_a_real_model_file(tmp_path: Path) -> None:
    """Every step with the TFLite runtime: a one-layer network that knows nothing of infants."""
    path = tmp_path / "tiny-fp32-maps.tflite"
    path.write_bytes(tiny_tflite())
    metadata = PoseMetadata("rt", "in-motion-19", "maps", 0, "taylor", 1, 1).to_json("0")
    write_sidecar(path, describe(path, "fp32", metadata))
    model = edgepose.load(path)
    assert model.spec.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    clip = write_video(tmp_path / "a.mp4", [disc(SIZE, [(60, 60, 26)])] * 3)
    plain, followed = model.predict(clip), model.predict(clip, crop="auto")
    assert np.isfinite(plain.track.raw_px).all() and len(followed.track) == 3
    with pytest.raises(UserError, match="does not exist"):
        edgepose.load(tmp_path / "none.tflite")
    with pytest.raises(UserError, match="default weights"):
        edgepose.load("default:none")


def test_evaluate_keeps_nothing_unless_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(evaluate_module, "open_runner", BlobFinder)
    images, points = (tmp_path / "data/processed/test" / name for name in ("images_1024x1024", "points"))
    images.mkdir(parents=True)
    points.mkdir()
    for i in range(4):
        Image.fromarray(disc(SIZE, [(60 + i, 60, 30)])).save(images / f"v{i // 2}_{i}.png")
        rows = truth(60 + i, 60, 30) / SIZE[::-1]
        (points / f"v{i // 2}_{i}.txt").write_text("\n".join(f"{x:.7f} {y:.7f}" for x, y in rows))
    found = edgepose.evaluate("blob.tflite", f"in-motion:{tmp_path / 'data'}")
    assert found.metrics.overall.scores["pckh@0.2"] == 100 and found.data.n_images == 4
    assert not (tmp_path / "out").exists()
    edgepose.evaluate("blob.tflite", f"in-motion:{tmp_path / 'data'}", out=tmp_path / "out")
    assert (tmp_path / "out/blob/results.json").exists()
