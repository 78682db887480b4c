"""Keypoint sets of users: the file, what annotation programs export, and the whole way to an app."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import annotation_exports as exports
import numpy as np
import pytest
import tiny_runs
from blob_videos import write_video
from typer.testing import CliRunner

from edgeio import UserError
from edgepose import keypoints as keypoints_module
from edgepose.cli import app
from edgepose.data.human_spread import spread_of
from edgepose.data.records import Dataset
from edgepose.data.registry import open_dataset, open_dataset_as
from edgepose.data.rulers import ruler_for
from edgepose.errors import BadDataset, UsageError
from edgepose.inference.runners import open_runner
from edgepose.keypoint_file import (
    BadKeypoints,
    describe,
    mirrored_pairs,
    named_set,
    pairs_of,
    read_keypoints,
    set_from_plain,
    set_to_plain,
    snake,
    to_toml,
)
from edgepose.keypoints import COCO_17, KEYPOINT_SETS, MINI_RGBD_25, is_own, keypoint_set, mapping, remember
from edgepose.models import profile
from edgepose.models.checkpoint import read_checkpoint


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test is a process of its own."""
    monkeypatch.setattr(keypoints_module, "_OWN", {})


@pytest.fixture
def toes(tmp_path: Path) -> Path:
    path = tmp_path / "toes.toml"
    path.write_text(exports.TOML)
    return path


def run(*words: str | Path) -> str:
    """stdout of a command that ends well; its error is raised."""
    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


# The file


def test_a_keypoint_file_is_read(toes: Path) -> None:
    found = named_set(str(toes))
    assert found.key == "toes-21" and found.names == exports.NAMES and is_own(found.key)
    assert found.names[found.swaps[19]] == "right_toe" and found.side("left_toe") == "left"
    assert found.segment_indices == exports.SEGMENTS and found.head_indices == (0, 4)
    assert keypoint_set("toes-21") is found
    near = mapping(found, MINI_RGBD_25, near=True)
    assert {"left_toes", "right_toes"} <= set(near.near)
    assert "left_toes" in mapping(found, MINI_RGBD_25).absent
    spread = spread_of(found)
    assert spread is not None and spread.names == ("left_toe", "nose") and spread.h == ()
    np.testing.assert_allclose(spread.h95_for(["nose", "left_ear"]), [0.08, np.nan])
    assert np.isnan(spread.h_for(["nose"])).all()


@pytest.mark.parametrize("key", [*KEYPOINT_SETS])
def test_a_set_survives_its_file(key: str, tmp_path: Path) -> None:
    known = replace(KEYPOINT_SETS[key], key="mine")
    path = tmp_path / "mine.toml"
    path.write_text(to_toml(known), encoding="utf-8")
    found = read_keypoints(path)
    assert found.same_places(known) and found.definitions == known.definitions
    assert pairs_of(found) == pairs_of(known) and found.swaps == known.swaps
    assert set_from_plain(json.loads(json.dumps(set_to_plain(found))), "here") == found


def test_the_file_of_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "keypoints.md").read_text(encoding="utf-8")
    (told,) = re.findall(r"```toml\n(.*?)```", page, re.S)
    found = set_from_plain(tomllib.loads(told), "docs/keypoints.md")
    assert found.names == exports.NAMES and found.key == "toes-21" and found.head_indices == (0, 4)


TABLE = {"name": "mine", "keypoints": ["a", "b", "c"]}


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"keypoints": ["a", "b", "a"]}, "keypoint 'a' is listed twice"),
        ({"keypoints": []}, "no keypoints"),
        ({"keypoints": None}, "no keypoints"),
        ({"keypoints": "abc"}, "no keypoints"),
        ({"keypoints": ["a", ""]}, "keypoint '' is no name"),
        ({"keypoints": ["a", float("nan")]}, "keypoint nan is no name"),
        ({"keypoints": [str(i) for i in range(501)]}, "501 keypoints"),
        ({"pairs": [["a", "a"]]}, "a pair of 'a' with itself"),
        ({"pairs": [["a", "d"]]}, "a pair of the unknown keypoint 'd'"),
        ({"pairs": [["a", "b"], ["b", "c"]]}, "keypoint 'b' is in two pairs"),
        ({"pairs": [["a", "b", "c"]]}, "a pair is to be two names"),
        ({"segments": [["a", "d"]]}, "a segment of the unknown keypoint 'd'"),
        ({"segments": [["a", "b"], ["b", "a"]]}, "the segment of 'b' and 'a' is listed twice"),
        ({"segments": {"a": "b"}}, "'segments' is to be a list"),
        ({"head": {"segment": ["a", "b"], "scale": float("nan")}}, "scale nan is no positive number"),
        ({"head": {"segment": ["a", "b"], "scale": 0}}, "scale 0 is no positive number"),
        ({"head": {"segment": ["a", "z"]}}, "a head segment of the unknown keypoint 'z'"),
        ({"head": ["a", "b"]}, "'head' is to have a segment"),
        ({"h95": {"a": float("nan")}}, "h95 of 'a' is nan"),
        ({"h95": {"z": 0.1}}, "'h95' has the unknown keypoint 'z'"),
        ({"near": {"a": "left_tow"}}, "near of 'a' is 'left_tow', of no built-in set"),
        ({"name": "coco-17"}, "that of a built-in set"),
        ({"name": ""}, "name '' is no name"),
        ({"nmae": "x"}, "unknown key 'nmae'"),
        ({"ruler": 3}, "ruler 3 is no ruler's name"),
    ],
)
def test_a_bad_set_is_one_line(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadKeypoints, match=r"^mine\.toml: ") as caught:
        set_from_plain(TABLE | changes, "mine.toml")
    assert reason in caught.value.what and "docs/keypoints.md" in caught.value.hint


@pytest.mark.parametrize("content, reason", [(b"name = ", "no TOML"), (b"\xff\x00\xfe", "no UTF-8 text")])
def test_a_file_that_is_none(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(BadKeypoints, match=reason):
        named_set(str(path))
    with pytest.raises(BadKeypoints, match="cannot be read"):
        named_set(str(tmp_path / "gone.toml"))
    with pytest.raises(UserError, match="unknown keypoint set 'toes'; known: in-motion-19"):
        named_set("toes")


def test_two_sets_of_one_name(toes: Path) -> None:
    found = named_set(str(toes))
    assert remember(replace(found, h95=())) is found  # another spread is no other set
    with pytest.raises(UsageError, match="two keypoint sets are called 'toes-21'"):
        remember(replace(found, segments=found.segments[1:]))


def test_mirrored_names() -> None:
    names = ["leftToe", "RToe", "LToe", "rightToe", "bright", "ankle_l", "ankle_r", "Left Eye", "left"]
    assert mirrored_pairs(names) == (("leftToe", "rightToe"), ("LToe", "RToe"), ("ankle_l", "ankle_r"))
    spelt = {"Left Eye": "left_eye", "leftToe": "left_toe", "LToe": "l_toe", "nose ": "nose"}
    assert {name: snake(name) for name in spelt} == spelt


def test_the_ruler_of_a_set(toes: Path) -> None:
    found = named_set(str(toes))
    assert ruler_for(found, []).key == "head" and ruler_for(replace(found, ruler="torso"), []).key == "torso"
    assert ruler_for(COCO_17, []).key == "stand-in"
    hand = set_from_plain(TABLE, "hand.toml")
    assert ruler_for(hand, []).key == "box"
    with pytest.raises(UserError, match="unknown ruler of the keypoint set mine 'foot'; known: head"):
        ruler_for(replace(hand, ruler="foot"), [])


# Exports of annotation programs


def points_by_id(dataset: Dataset) -> dict[str, np.ndarray]:
    return {record.id: record.keypoints_px for record in dataset.records}


def check_points(dataset: Dataset, first: str, shift: float = 0.0) -> None:
    """`first` is the record of picture 0: its points are where the export has them, the last not labelled."""
    found = points_by_id(dataset)[first]
    np.testing.assert_allclose(found[:-1], exports.places(0)[:-1] + shift)
    assert np.isnan(found[-1]).all()


def test_cvat(tmp_path: Path, toes: Path) -> None:
    root = exports.make_cvat(tmp_path / "cvat")
    guessed = open_dataset(str(root))
    assert guessed.keypoints.guessed and guessed.keypoints.names == exports.NAMES
    assert guessed.keypoints.segment_indices == exports.SEGMENTS
    assert ("left_toe", "right_toe") in pairs_of(guessed.keypoints)
    assert any("left_toe - right_toe" in line for line in describe(guessed.keypoints))
    check_points(guessed, "Train/Train0/frame_000000.PNG#1")
    assert [len(guessed.split(s)) for s in ("train", "val", "test")] == [6, 3, 3]
    assert {r.video for r in guessed.split("val")} == {f"Validation/Validation{i}" for i in range(3)}
    told = open_dataset(str(root), named_set(str(toes)))
    assert told.keypoints.key == "toes-21"
    assert open_dataset(f"coco,shift=0.5,split=test:{root}").split("train") == ()


def test_a_file_in_another_order_and_spelling_is_read_by_name(tmp_path: Path, toes: Path) -> None:
    order = np.random.default_rng(0).permutation(len(exports.NAMES))
    spelt = [exports.NAMES[i].replace("_", " ").title() for i in order]
    root = exports.make_cvat(tmp_path / "cvat", names=spelt)
    found = open_dataset_as(str(root), named_set(str(toes)))
    given = exports.places(0)
    given[-1] = np.nan
    np.testing.assert_allclose(found.records[0].keypoints_px[order], given)


def test_roboflow(tmp_path: Path) -> None:
    found = open_dataset(str(exports.make_roboflow(tmp_path / "roboflow")))
    check_points(found, f"train/clip_mp4-0_jpg.rf.{'0' * 32}.jpg#0")
    assert [len(found.split(s)) for s in ("train", "val", "test")] == [2, 2, 2]
    assert {r.video for r in found.split("train")} == {"train/clip"}
    assert found.left_out == ()


def test_label_studio(tmp_path: Path) -> None:
    root = exports.make_label_studio(tmp_path / "studio")
    found = open_dataset(str(root))
    np.testing.assert_allclose(found.records[0].keypoints_px[:-1], exports.places(0).round()[:-1])
    assert found.keypoints.segments == () and found.keypoints.head_segment == ("head_top", "upper_neck")
    assert {r.split for r in found.records} <= {"train", "val", "test"}
    with pytest.raises(BadDataset, match="has no segments"):
        run("train", *TINY, "--data", root, "--out", tmp_path / "run", "--validation-split", "none")


def test_other_keypoints_than_asked_for(tmp_path: Path, toes: Path) -> None:
    root = exports.make_cvat(tmp_path / "cvat", names=exports.NAMES[:20])
    with pytest.raises(UsageError, match="it lacks right_toe and has besides none"):
        open_dataset_as(str(root), named_set(str(toes)))
    value = json.loads((path := root / "annotations" / "person_keypoints_Test.json").read_text())
    value["categories"][0]["keypoints"][3] = "tail"
    path.write_text(json.dumps(value))
    with pytest.raises(BadDataset, match="have different keypoints"):
        open_dataset(str(root))
    value["categories"][0]["keypoints"][3] = "nose"
    path.write_text(json.dumps(value))
    for other in ("Train", "Validation"):
        (root / "annotations" / f"person_keypoints_{other}.json").unlink()
    with pytest.raises(BadDataset, match="keypoint 'nose' is listed twice"):
        open_dataset(str(root))


def test_two_categories_of_different_keypoints(tmp_path: Path) -> None:
    root = exports.make_cvat(tmp_path / "cvat", {"Train": 4})
    path = root / "annotations" / "person_keypoints_Train.json"
    value = json.loads(path.read_text())
    value["categories"].append({"id": 2, "name": "toy", "keypoints": ["a", "b"]})
    value["annotations"][0] |= {"category_id": 2, "keypoints": [1, 2, 2, 3, 4, 2]}
    path.write_text(json.dumps(value))
    found = open_dataset(str(root))
    assert found.keypoints.names == exports.NAMES and len(found.records) == 3
    assert [entry.reason for entry in found.left_out] == ["of another category: 2"]
    value["annotations"][1] |= {"category_id": 2, "keypoints": [1, 2, 2, 3, 4, 2]}
    path.write_text(json.dumps(value))
    with pytest.raises(BadDataset, match="categories of different keypoints: infant and toy"):
        open_dataset(str(root))


# The whole way


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_runs.use(monkeypatch)
    monkeypatch.setattr(profile, "inference_cost", lambda info: (1, 1))


TINY = ("--model", "rt-lite", "--resolution", "64", "--epochs", "1", "--steps-per-epoch", "2", "--batch", "4")


def test_a_set_of_ones_own_through_everything(
    tmp_path: Path, toes: Path, tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = exports.make_cvat(tmp_path / "cvat")
    assert "(toes-21)" in run("data", "info", data, "--keypoints", toes)
    trained = tmp_path / "run"
    run("train", *TINY, "--data", data, "--keypoints", toes, "--out", trained)
    checkpoint = trained / "best.safetensors"
    monkeypatch.setattr(keypoints_module, "_OWN", {})  # another machine
    toes.unlink()
    info, _ = read_checkpoint(checkpoint)
    carried = keypoint_set(info.keypoints)
    assert carried.key == "toes-21" and carried.near and carried.h95

    run("evaluate", checkpoint, "--data", data, "--out", tmp_path / "scores", "--no-speed")
    results = json.loads((tmp_path / "scores" / "best" / "results.json").read_text())
    assert results["data"]["keypoints"] == "toes-21" and results["data"]["ruler"] == "head"
    assert results["data"]["scored_keypoints"] == list(exports.NAMES)
    monkeypatch.setattr(keypoints_module, "_OWN", {})
    run("compare", tmp_path / "scores", "--out", tmp_path / "report")

    run("export", checkpoint, "--recipe", "fp32", "--out", tmp_path / "tflite")
    monkeypatch.setattr(keypoints_module, "_OWN", {})
    (model,) = (tmp_path / "tflite").glob("*.tflite")
    assert open_runner(model).spec.keypoints.same_places(carried)
    clip = write_video(tmp_path / "clip.mp4", [np.full((60, 80, 3), 90 + i, np.uint8) for i in range(3)])
    monkeypatch.setattr(keypoints_module, "_OWN", {})
    run("predict", clip, "--model", model, "--out", tmp_path / "tracks")
    rows = (tmp_path / "tracks" / "clip.csv").read_text().splitlines()
    assert len(rows) == 1 + 3 * 21 and ",right_toe," in rows[21]

    run("evaluate", model, "--data", data, "--out", tmp_path / "scores", "--no-speed")
    monkeypatch.setattr(keypoints_module, "_OWN", {})
    bundle = tmp_path / "app.zip"
    run("bundle", model, "--report", tmp_path / "scores" / model.stem, "--out", bundle)
    manifest = json.loads(run("bundle", "verify", bundle, "--json"))
    assert manifest["replayed"]


def test_without_a_file_the_guess_is_shown_and_used(tmp_path: Path, tiny: None) -> None:
    data = exports.make_cvat(tmp_path / "cvat")
    assert "left_toe - right_toe" in run("data", "info", data)
    done = CliRunner().invoke(app, ["train", *TINY, "--data", str(data), "--out", str(tmp_path / "run")])
    assert done.exit_code == 0 and "guessed from the names" in done.output
    info, _ = read_checkpoint(tmp_path / "run" / "best.safetensors")
    assert info.keypoints.startswith("infant-21-")
    run("data", "keypoints", data, "--out", tmp_path / "mine.toml")
    assert read_keypoints(tmp_path / "mine.toml").same_places(keypoint_set(info.keypoints))
    with pytest.raises(UsageError, match=r"mine\.toml exists"):
        run("data", "keypoints", data, "--out", tmp_path / "mine.toml")
