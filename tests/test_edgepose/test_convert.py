"""Data sets in another layout: what comes out is read back to the same points."""

from __future__ import annotations

import sys
from pathlib import Path

import annotation_exports as exports
import numpy as np
import pytest
import tiny_runs
from typer.testing import CliRunner

from edgepose import keypoints as keypoints_module
from edgepose.cli import app
from edgepose.data import sleap
from edgepose.data.convert import convert
from edgepose.data.head_length import head_lengths
from edgepose.data.human_spread import IN_MOTION_HUMAN
from edgepose.data.records import Dataset
from edgepose.data.registry import open_dataset
from edgepose.errors import BadDataset, UsageError
from edgepose.keypoint_file import read_keypoints
from edgepose.keypoints import IN_MOTION_19
from edgepose.synthetic.raters import rated, spread_for


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keypoints_module, "_OWN", {})


def check_same(before: Dataset, after: Dataset, splits: bool = True) -> None:
    """The same pictures with the same points, in groups of the same videos."""
    assert len(after.records) == len(before.records) and after.left_out == ()
    videos = set()
    rows = [sorted(d.records, key=lambda r: r.split) if splits else d.records for d in (before, after)]
    for a, b in zip(*rows, strict=True):
        np.testing.assert_allclose(a.keypoints_px, b.keypoints_px, atol=1e-9)
        assert a.image.read_bytes() == b.image.read_bytes() and (not splits or a.split == b.split)
        videos.add((a.video, b.video))
    assert len(videos) == len({a for a, _ in videos}) == len({b for _, b in videos})


def test_to_coco(tmp_path: Path) -> None:
    before = open_dataset(str(exports.make_cvat(tmp_path / "cvat")))
    done = convert(before, "coco", tmp_path / "coco")
    after = open_dataset(str(done.folder))
    check_same(before, after)
    assert after.keypoints.same_places(before.keypoints) and done.notes == ()
    assert read_keypoints(done.folder / "keypoints.toml").same_places(before.keypoints)


def test_to_deeplabcut(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    before = open_dataset(str(exports.make_cvat(tmp_path / "cvat")))
    done = convert(before, "deeplabcut", tmp_path / "dlc")
    after = open_dataset(str(done.folder))
    check_same(before, after, splits=False)
    assert after.keypoints.names == exports.NAMES and after.keypoints.segments == before.keypoints.segments
    assert any("no splits" in note for note in done.notes)


def test_deeplabcuts_h5_is_the_table_of_the_csv(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("tables")
    convert(open_dataset(str(exports.make_cvat(tmp_path / "cvat"))), "deeplabcut", tmp_path / "dlc")
    for path in (tmp_path / "dlc").glob("labeled-data/*/CollectedData_edgepose.h5"):
        found = pandas.read_hdf(path)
        wanted = pandas.read_csv(path.with_suffix(".csv"), header=[0, 1, 2], index_col=[0, 1, 2])
        np.testing.assert_array_equal(found.to_numpy(), wanted.to_numpy())
        assert list(found.columns) == list(wanted.columns) and list(found.index) == list(wanted.index)


def test_between_in_motion_and_coco(tmp_path: Path) -> None:
    before = open_dataset(str(tiny_runs.make_data(tmp_path / "own")))
    coco = convert(before, "coco", tmp_path / "coco").folder
    middle = open_dataset(str(coco))
    assert middle.keypoints is IN_MOTION_19 and not (coco / "keypoints.toml").exists()
    check_same(before, middle)
    after = convert(middle, "in-motion", tmp_path / "back")
    assert after.notes == ()
    check_same(middle, open_dataset(str(after.folder)))


def test_in_motion_says_what_it_has_no_room_for(tmp_path: Path) -> None:
    before = open_dataset(
        str(exports.make_cvat(tmp_path / "cvat", names=(*exports.NAMES[:12], *exports.TOES)))
    )
    done = convert(before, "in-motion", tmp_path / "out")
    assert "left_toe, right_toe" in done.notes[0] and "mid_pelvis" in done.notes[1]
    found = open_dataset(str(done.folder)).records[0].keypoints_px
    np.testing.assert_allclose(found[:12], before.records[0].keypoints_px[:12], atol=1e-9)
    assert np.isnan(found[12:]).all()


def test_the_command(tmp_path: Path) -> None:
    root, out = exports.make_cvat(tmp_path / "cvat"), tmp_path / "out"
    (tmp_path / "toes.toml").write_text(exports.TOML)
    words = [
        "data",
        "convert",
        str(root),
        "--keypoints",
        str(tmp_path / "toes.toml"),
        "--to",
        "coco",
        "--out",
        str(out),
    ]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0 and f"{out}: 12 images; left out: 0" in done.output
    assert read_keypoints(out / "keypoints.toml").key == "toes-21"
    with pytest.raises(UsageError, match="is no empty folder"):
        CliRunner().invoke(app, words, catch_exceptions=False)


def test_nothing_is_left_of_a_conversion_that_fails(tmp_path: Path) -> None:
    before = open_dataset(str(exports.make_cvat(tmp_path / "cvat")))
    before.records[-1].image.unlink()
    with pytest.raises(Exception, match="frame_000002"):
        convert(before, "coco", tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cvat"]
    with pytest.raises(UsageError, match="--near has no effect with --to coco"):
        convert(before, "coco", tmp_path / "out", near=True)


def make_slp(path: Path) -> Path:
    """Labels of three frames of a folder of pictures, and a prediction that is not taken."""
    sleap_io = pytest.importorskip("sleap_io")
    for i in range(3):
        exports.picture(path.parent / "frames" / f"{i}.png", i)
    skeleton = sleap_io.Skeleton(
        list(exports.NAMES), edges=[(exports.NAMES[a], exports.NAMES[b]) for a, b in exports.SEGMENTS]
    )
    video = sleap_io.Video.from_filename([str(path.parent / "frames" / f"{i}.png") for i in range(3)])
    frames = []
    for i in range(3):
        points = exports.places(i)
        points[-1] = np.nan
        people = [sleap_io.Instance.from_numpy(points, skeleton)]
        people.append(sleap_io.PredictedInstance.from_numpy(points + 1, skeleton, score=0.5))
        frames.append(sleap_io.LabeledFrame(video=video, frame_idx=i, instances=people))
    sleap_io.Labels(frames).save(str(path))
    return path


def test_sleap(tmp_path: Path) -> None:
    path = make_slp(tmp_path / "labels.slp")
    with pytest.raises(BadDataset, match="edgepose data convert"):
        open_dataset(str(path))
    words = ["data", "convert", str(path), "--to", "coco", "--out", str(tmp_path / "coco")]
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0
    found = open_dataset(str(tmp_path / "coco"))
    assert found.keypoints.names == exports.NAMES and found.keypoints.segment_indices == exports.SEGMENTS
    assert len(found.records) == 3 and {r.video for r in found.records} == {"source labels-video0"}
    np.testing.assert_allclose(found.records[1].keypoints_px[:-1], exports.places(1)[:-1] + 0.5, atol=1e-9)
    assert np.isnan(found.records[1].keypoints_px[-1]).all()


def test_bad_slp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sleap_io")
    (tmp_path / "bad.slp").write_bytes(b"no HDF5")
    with pytest.raises(BadDataset, match="is not SLEAP's labels"):
        sleap.read(tmp_path / "bad.slp", tmp_path / "frames")
    with pytest.raises(BadDataset, match="is not SLEAP's labels"):
        sleap.read(tmp_path / "gone.slp", tmp_path / "frames")
    monkeypatch.setitem(sys.modules, "sleap_io", None)
    with pytest.raises(UsageError, match="sleap-io, which is not installed"):
        sleap.read(tmp_path / "bad.slp", tmp_path / "frames")


# --- labels as a rater gives them -------------------------------------------------------------------


def test_one_splits_labels_spread_as_raters_do_and_the_others_stay_exact(tmp_path: Path) -> None:
    root = tiny_runs.make_data(tmp_path / "exact", train=150)
    exact = open_dataset(f"in-motion:{root}")
    noisy, notes = rated(exact, "train", 1.0, seed=3)
    lengths = head_lengths(np.stack([r.keypoints_px for r in exact.records]), exact.keypoints).px
    moved = np.stack(
        [a.keypoints_px - b.keypoints_px for a, b in zip(noisy.records, exact.records, strict=True)]
    )
    distances = np.linalg.norm(moved, axis=-1) / lengths[:, None]
    trained = np.array([r.split == "train" for r in exact.records])
    assert not moved[~trained].any() and (distances[trained] > 0).all()
    np.testing.assert_allclose(distances[trained].mean(0), IN_MOTION_HUMAN.h, rtol=0.25)
    assert distances[trained].mean() == pytest.approx(IN_MOTION_HUMAN.h_all, rel=0.05)
    tail = np.percentile(distances[trained], 95, axis=0)
    np.testing.assert_allclose(tail, IN_MOTION_HUMAN.h95, rtol=0.45)
    assert f"{distances[trained].mean():.4f} head lengths" in notes[0] and len(notes) == 1
    wide, _ = rated(exact, "train", 2.0, seed=3)
    again = np.stack(
        [a.keypoints_px - b.keypoints_px for a, b in zip(wide.records, exact.records, strict=True)]
    )
    np.testing.assert_allclose(again, 2 * moved, atol=1e-9)
    other, _ = rated(exact, "train", 1.0, seed=4)
    assert not np.array_equal(other.records[0].keypoints_px, noisy.records[0].keypoints_px)


def test_the_command_writes_a_set_whose_training_labels_are_rated(tmp_path: Path) -> None:
    root = tiny_runs.make_data(tmp_path / "exact")
    words = ["data", "convert", f"in-motion:{root}", "--to", "coco", "--out"]
    assert CliRunner().invoke(app, [*words, str(tmp_path / "plain")]).exit_code == 0
    done = CliRunner().invoke(app, [*words, str(tmp_path / "rated"), "--rated", "1", "--seed", "3"])
    assert done.exit_code == 0 and "labels of split 'train' are moved by 0.0" in done.output
    plain, noisy = (open_dataset(f"coco:{tmp_path / name}") for name in ("plain", "rated"))
    for a, b in zip(plain.records, noisy.records, strict=True):
        assert np.array_equal(a.keypoints_px, b.keypoints_px) == (a.split != "train"), a.id
    refused = CliRunner().invoke(app, [*words, str(tmp_path / "no"), "--seed", "3"])
    assert isinstance(refused.exception, UsageError) and "no effect without --rated" in str(refused.exception)
    for spread in ("0", "nan"):
        refused = CliRunner().invoke(app, [*words, str(tmp_path / "no"), "--rated", spread])
        assert isinstance(refused.exception, UsageError), refused.output
    assert not (tmp_path / "no").exists()


def test_keypoints_without_a_published_spread_have_the_mean_of_all() -> None:
    found = spread_for(("brow", "nose"))
    nose = IN_MOTION_HUMAN.h_for(["nose"])[0]
    assert found.h == (IN_MOTION_HUMAN.h_all, nose) and found.h95[0] == IN_MOTION_HUMAN.h95_all
