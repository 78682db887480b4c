"""Tracks in other programs' forms, read back as those programs read them."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blob_videos import MODEL, BlobFinder, K, disc, no_bar, write_video
from PIL import Image

from edgeio import read_json
from edgepose.keypoints import COCO_17, IN_MOTION_19, KeypointSet
from edgepose.tracking import batch
from edgepose.tracking.batch import PredictRequest, predict_all
from edgepose.tracking.exchange import SCORER, body_25, write_deeplabcut_csv
from edgepose.tracking.sources import find_sources
from edgepose.tracking.tables import MissingPackage, check_format
from edgepose.tracking.track import Track

SIZE = (120, 160)


def track(
    keypoints: KeypointSet = IN_MOTION_19, index: tuple[int, ...] = (0, 1, 3), files: tuple[str, ...] = ()
) -> Track:
    """Noise; the second keypoint of the first frame is abstained from."""
    rng, n, k = np.random.default_rng(0), len(index), len(keypoints)
    raw, confidence = rng.uniform(0, 100, (n, k, 2)), rng.uniform(0.5, 1, (n, k))
    confidence[0, 1] = 0.1
    smooth = raw + rng.normal(size=raw.shape)
    smooth[0, 1] = np.nan
    return Track(
        keypoints=keypoints,
        files=files or ("",) * n,
        index=np.array(index),
        time_s=np.array(index) / 25 if not files else np.full(n, np.nan),
        sizes=np.array([SIZE] * n),
        raw_px=raw,
        smooth_px=smooth,
        peak=confidence,
        confidence=confidence,
        abstained=confidence < 0.2,
        cells_per_px=np.full(n, 0.1),
        doubles=np.full(n, np.nan),
        unsmoothed=0,
    )


@pytest.fixture(autouse=True)
def blobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "open_runner", lambda path, threads: BlobFinder(path))
    monkeypatch.setattr(batch, "draw_confidence", lambda *arguments: arguments[-1].write_bytes(b"figure"))


def predicted(tmp_path: Path, **changes: Any) -> Path:
    """The folder with what `predict` made of five frames."""
    pictures = [disc(SIZE, [(60 + i, 60, 26)]) for i in range(5)]
    clip = write_video(tmp_path / "a.mp4", pictures)
    request = PredictRequest(**changes)
    (outcome,) = predict_all(MODEL, find_sources([clip]).found, request, tmp_path / "out", False, no_bar)
    assert outcome.summary is not None, outcome.error
    for name in outcome.summary["outputs"].values():
        assert (tmp_path / "out" / name).exists()
    return tmp_path / "out"


def test_deeplabcut_is_read_by_pandas_to_the_same_coordinates(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("tables")
    predicted(tmp_path, format="csv")
    own = pandas.read_csv(tmp_path / "out" / "a.csv")
    for path in (tmp_path / "out").iterdir():
        path.unlink()
    out = predicted(tmp_path, format="deeplabcut")
    found = pandas.read_hdf(out / f"a{SCORER}.h5")
    assert found.columns.names == ["scorer", "bodyparts", "coords"] and list(found.index) == [0, 1, 2, 3, 4]
    assert list(dict.fromkeys(found.columns.get_level_values("bodyparts"))) == list(IN_MOTION_19.names)
    for axis in "xy":
        column = found[SCORER].xs(axis, level="coords", axis=1).to_numpy().ravel()
        # The .csv of ours has three decimals, and counts from the pixel's corner.
        np.testing.assert_allclose(column + 0.5, own[f"{axis}_smooth"], atol=5.1e-4)
    likelihood = found[SCORER]["nose"]["likelihood"]
    np.testing.assert_allclose(likelihood, own[own.keypoint == "nose"].confidence, atol=1e-5)
    again = pandas.read_csv(out / f"a{SCORER}.csv", header=[0, 1, 2], index_col=0)
    np.testing.assert_allclose(again.to_numpy(), found.to_numpy(), atol=1e-9)


def test_deeplabcut_to_a_millionth_of_a_pixel(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("tables")
    made = track()
    form = check_format("deeplabcut")
    form.write(made, {}, tmp_path / "a.h5")
    found = pandas.read_hdf(tmp_path / "a.h5").to_numpy().reshape(4, 19, 3)
    wanted = made.smooth_px.copy()
    wanted[0, 1] = made.raw_px[0, 1]  # abstained: the raw point, for whoever has a cutoff of his own
    np.testing.assert_allclose(found[[0, 1, 3], :, :2] + 0.5, wanted, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found[[0, 1, 3], :, 2], made.confidence, rtol=0, atol=1e-12)
    assert np.isnan(found[2]).all() and found[0, 1, 2] == pytest.approx(0.1)


def test_images_are_deeplabcuts_rows(tmp_path: Path) -> None:
    write_deeplabcut_csv(track(index=(0, 1), files=("b/x.png", "y.png")), {}, tmp_path / "a.csv")
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["scorer", "bodyparts", "coords", "b/x.png", "y.png"]


def pose2sim(folder: Path) -> list[tuple[int, np.ndarray]]:
    """Number and (25, 3) of each file, in the order of the numbers in their names, as Pose2Sim sorts them."""
    files = sorted(folder.glob("*.json"), key=lambda p: int(re.findall(r"\d+", p.name)[-1]))
    found = []
    for path in files:
        people = json.loads(path.read_text())["people"]
        if people:
            points = np.array(people[0]["pose_keypoints_2d"]).reshape(25, 3)
            found.append((int(re.findall(r"\d+", path.name)[-1]), points))
    return found


def test_openpose_as_pose2sim_reads_it(tmp_path: Path) -> None:
    folder = predicted(tmp_path, format="openpose") / "a_json"
    found = pose2sim(folder)
    assert [index for index, _ in found] == [0, 1, 2, 3, 4]
    assert all(np.isfinite(points).all() for _, points in found)
    summary = read_json(tmp_path / "out" / "a.json", "")
    assert summary["outputs"]["table"] == "a_json"
    assert (folder / "a_000000000004_keypoints.json").is_file()


def test_body_25() -> None:
    made = track()
    body = body_25(made)
    name = IN_MOTION_19.index
    np.testing.assert_allclose(body[1:, 0, :2], made.smooth_px[1:, name("nose")] - 0.5)
    np.testing.assert_allclose(body[1, 2, :2], made.smooth_px[1, name("right_shoulder")] - 0.5)
    np.testing.assert_allclose(body[1, 1, :2], made.smooth_px[1, name("upper_chest")] - 0.5)
    np.testing.assert_allclose(body[1, 12, :2], made.smooth_px[1, name("left_pelvis")] - 0.5)
    assert (body[0, 0] == 0).all(), "the nose of the first frame was abstained from"
    assert (body[:, [15, 16, 19, 20, 21, 22, 23, 24]] == 0).all(), "eyes and feet are not of this set"
    coco = track(COCO_17)
    ends = [COCO_17.index("left_shoulder"), COCO_17.index("right_shoulder")]
    np.testing.assert_allclose(body_25(coco)[1, 1, :2], coco.smooth_px[1, ends].mean(0) - 0.5)
    assert body_25(coco)[1, 1, 2] == coco.confidence[1, ends].min()


def test_openpose_has_nobody_in_a_skipped_frame(tmp_path: Path) -> None:
    check_format("openpose").write(track(), {"name": "clip"}, tmp_path)
    assert len(list(tmp_path.iterdir())) == 4
    assert json.loads((tmp_path / "clip_000000000002_keypoints.json").read_text())["people"] == []


def test_openpose_of_images_is_named_as_they_are(tmp_path: Path) -> None:
    check_format("openpose").write(track(index=(0, 1), files=("b/x.png", "y.png")), {"name": "in"}, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b_x_keypoints.json", "y_keypoints.json"]


def test_nwb_passes_its_inspector(tmp_path: Path) -> None:
    pynwb = pytest.importorskip("pynwb")
    pytest.importorskip("ndx_pose")
    inspector = pytest.importorskip("nwbinspector")
    path = predicted(tmp_path, format="nwb", abstain_below=0.2) / "a.nwb"
    errors = pynwb.validate(path=str(path))
    assert not (errors[0] if isinstance(errors, tuple) else errors)
    found = list(inspector.inspect_nwbfile(nwbfile_path=str(path)))
    grave = [m for m in found if m.importance.name in ("CRITICAL", "ERROR", "PYNWB_VALIDATION")]
    assert not grave, grave
    with pynwb.NWBHDF5IO(path, mode="r") as handle:
        pose = handle.read().processing["behavior"]["PoseEstimation"]
        series = pose.pose_estimation_series["left_knee"]
        assert series.data.shape == (5, 2) and series.unit == "pixels"
        np.testing.assert_allclose(series.timestamps[:], np.arange(5) / 25, atol=1e-6)
        assert len(pose.pose_estimation_series) == K and len(pose.skeleton.nodes[:]) == K
        assert pose.dimensions[:].tolist() == [[SIZE[1], SIZE[0]]]


@pytest.mark.parametrize("key, package", [("deeplabcut", "tables"), ("nwb", "ndx_pose")])
def test_a_missing_package_is_named(key: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pandas", "tables", "pynwb", "ndx_pose"):
        monkeypatch.setitem(sys.modules, name, None if name == package else np)
    with pytest.raises(MissingPackage, match=rf"needs {package}.*install edgepose\[{key}\]"):
        check_format(key)


def test_a_folder_of_json_lands_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(disc(SIZE, [(60, 60, 26)])).save(tmp_path / "i.png")
    sources = find_sources([tmp_path / "i.png"]).found
    request = PredictRequest(format="openpose")
    predict_all(MODEL, sources, request, tmp_path / "out", False, no_bar)
    assert [p.name for p in (tmp_path / "out" / "i_json").iterdir()] == ["i_keypoints.json"]
    predict_all(MODEL, sources, request, tmp_path / "out", True, no_bar)
    assert not list((tmp_path / "out").glob(".*")), "nothing is left half written"
