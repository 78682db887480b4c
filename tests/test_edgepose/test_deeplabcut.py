"""DeepLabCut projects as data sets."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import annotation_exports as exports
import numpy as np
import pytest

from edgepose import keypoints as keypoints_module
from edgepose.data.registry import open_dataset
from edgepose.errors import BadDataset, UsageError
from edgepose.keypoints import IN_MOTION_19

pytest.importorskip("yaml", reason="PyYAML is not installed")


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keypoints_module, "_OWN", {})


@pytest.mark.parametrize("wide", [True, False])
def test_a_project(tmp_path: Path, wide: bool) -> None:
    root = exports.make_deeplabcut(tmp_path / "project", wide=wide)
    found = open_dataset(str(root))
    assert [r.id for r in found.records[:3]] == ["a/img000.png", "a/img001.png", "b/img000.png"]
    np.testing.assert_allclose(found.records[0].keypoints_px[:-1], exports.places(0)[:-1] + 0.5)
    assert np.isnan(found.records[0].keypoints_px[-1]).all() and found.records[0].video == "a"
    assert found.keypoints.guessed and found.keypoints.key.startswith("infants-21-")
    assert found.keypoints.segment_indices == exports.SEGMENTS
    assert len(open_dataset(f"deeplabcut,split=test:{root}").split("test")) == 6
    known = open_dataset(str(exports.make_deeplabcut(tmp_path / "known", IN_MOTION_19.names)))
    assert known.keypoints is IN_MOTION_19


def test_labels_in_h5_alone_are_those_of_the_csv(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("tables")
    root = exports.make_deeplabcut(tmp_path / "project")
    before = open_dataset(str(root))
    for path in root.glob("labeled-data/*/*.csv"):
        frame = pandas.read_csv(path, header=[0, 1, 2], index_col=[0, 1, 2])
        frame.columns.names = ["scorer", "bodyparts", "coords"]
        frame.to_hdf(path.with_suffix(".h5"), key="df_with_missing", mode="w")
        path.unlink()
    after = open_dataset(str(root))
    for a, b in zip(before.records, after.records, strict=True):
        assert a.id == b.id
        np.testing.assert_array_equal(a.keypoints_px, b.keypoints_px)
    path.with_suffix(".h5").write_bytes(b"no HDF5")
    with pytest.raises(BadDataset, match="no table of labels"):
        open_dataset(str(root))


def test_several_animals_are_refused_by_name(tmp_path: Path) -> None:
    root = exports.make_deeplabcut(tmp_path / "project")
    path = root / "labeled-data" / "b" / "CollectedData_me.csv"
    text = path.read_text()
    scorer, rest = text.split("\n", 1)
    path.write_text(f"{scorer}\nindividuals,,,{','.join(['one'] * 42)}\n{rest}")
    with pytest.raises(BadDataset, match="multi-animal"):
        open_dataset(str(root))
    path.write_text(text)
    (root / "config.yaml").write_text("multianimalproject: true\n")
    with pytest.raises(BadDataset, match="multi-animal"):
        open_dataset(str(root))


def test_missing_images_are_listed(tmp_path: Path) -> None:
    root = exports.make_deeplabcut(tmp_path / "project")
    for path in root.glob("labeled-data/b/*.png"):
        path.unlink()
    found = open_dataset(str(root))
    assert [e.name for e in found.left_out] == ["b/img000.png", "b/img001.png"]
    assert {e.reason for e in found.left_out} == {"the image file is missing"}
    for path in root.glob("labeled-data/*/*.png"):
        path.unlink()
    with pytest.raises(BadDataset, match=r"no usable image .*the image file is missing"):
        open_dataset(str(root))


@pytest.mark.parametrize(
    "change, reason",
    [
        (lambda t: t.replace("coords,", "cords,"), "does not begin with the rows scorer, bodyparts, coords"),
        (lambda t: t.replace(",x,y,", ",y,x,", 1), "does not have x and y of each body part"),
        (lambda t: t.replace("nose,nose", "tail,tail"), "has other body parts"),
        (lambda t: t.encode("utf-8")[:40].decode() + "\udcff", "no CSV"),
    ],
)
def test_labels_that_cannot_be_used(tmp_path: Path, change, reason: str) -> None:
    root = exports.make_deeplabcut(tmp_path / "project")
    path = root / "labeled-data" / "b" / "CollectedData_me.csv"
    path.write_bytes(change(path.read_text()).encode("utf-8", "surrogateescape"))
    with pytest.raises(BadDataset, match=reason):
        open_dataset(str(root))


def test_the_scorer_of_the_project_counts(tmp_path: Path) -> None:
    root = exports.make_deeplabcut(tmp_path / "project")
    folder = root / "labeled-data" / "a"
    (folder / "CollectedData_you.csv").write_text("nothing")
    assert len(open_dataset(str(root)).records) == 6
    (root / "config.yaml").write_text(json.dumps({"scorer": "him"}))
    with pytest.raises(BadDataset, match="labelled by several: CollectedData_me, CollectedData_you"):
        open_dataset(str(root))


@pytest.mark.parametrize("text, reason", [("a: [", "no YAML"), ("- a", "holds no settings")])
def test_bad_settings(tmp_path: Path, text: str, reason: str) -> None:
    root = exports.make_deeplabcut(tmp_path / "project")
    (root / "config.yaml").write_text(text)
    with pytest.raises(BadDataset, match=reason):
        open_dataset(str(root))


def test_without_pyyaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = exports.make_deeplabcut(tmp_path / "project")
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(UsageError, match="PyYAML, which is not installed"):
        open_dataset(str(root))
