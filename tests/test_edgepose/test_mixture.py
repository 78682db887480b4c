"""Several data sets as one: specs, keypoints, shares, framing, validation, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_runs
from PIL import Image

from edgeio import UserError
from edgepose.data.framing import Framing, upright_turns
from edgepose.data.mixture import Group, Source, source_of
from edgepose.data.records import PoseRecord
from edgepose.keypoints import COCO_17, IN_MOTION_19
from edgepose.training.data import DataRequest, TrainingData, open_training_data
from edgepose.training.fit import fit
from edgepose.training.pipeline import _weighed


def coco(root: Path, count: int = 6, side: int = 80) -> Path:
    """A COCO layout with train, val and test of random pictures; a person lies with the head to the left."""
    rng = np.random.default_rng(3)
    (root / "annotations").mkdir(parents=True)
    for split in ("train", "val", "test"):
        folder = root / "images" / split
        folder.mkdir(parents=True)
        images, annotations = [], []
        for i in range(count):
            Image.fromarray(rng.integers(0, 255, (60, side, 3), dtype=np.uint8)).save(folder / f"{i}.png")
            points = rng.uniform(20, 40, (17, 2))
            points[:, 0] += 25.0 * np.isin(np.arange(17), range(11, 17))
            keypoints = np.concatenate([points, np.full((17, 1), 2.0)], axis=1).ravel().tolist()
            images.append({"id": i, "file_name": f"{i}.png", "height": 60, "width": side, "source": i // 2})
            images[-1]["posture"] = "Supine"
            annotations.append({"id": i, "image_id": i, "keypoints": keypoints, "bbox": [0, 0, 60, 50]})
        plain = {"images": images, "annotations": annotations}
        (root / "annotations" / f"person_keypoints_{split}.json").write_text(json.dumps(plain))
    return root


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    return tiny_runs.make_data(tmp_path / "infants"), coco(tmp_path / "photographs")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("coco:a", Source("coco:a")),
        ("coco:a=2", Source("coco:a", 2.0)),
        ("mini-rgbd,upper_neck=15:a", Source("mini-rgbd,upper_neck=15:a")),
        (
            "a=b/c=0.5,crop=person,margin=0.1-0.6,crops=3,turn=upright,ruler=torso",
            Source("a=b/c", 0.5, "person", (0.1, 0.6), 3, "upright", "torso"),
        ),
        ("a,crop=person,margin=0.3", Source("a", 1.0, "person", (0.3, 0.3))),
        ("a=1,labels=none", Source("a", labels="none")),
        ("a,labels=50,draw=3", Source("a", labels="50", draw=3)),
        ("a,labels=0.5", Source("a", labels="0.5")),
        ("a=2,teacher=none", Source("a", 2.0, teacher="none")),
    ],
)
def test_what_a_data_option_says(text: str, wanted: Source) -> None:
    assert source_of(text, "none", 0.2) == wanted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a=0", "weight is '0'"),
        ("a=-1", "weight is '-1'"),
        ("a=nan", "weight is 'nan'"),
        ("a=much", "weight is 'much'"),
        ("a,crop=person,margin=0.6-0.1", "margin is '0.6-0.1'"),
        ("a,crop=person,margin=0.1-9", "margin is '0.1-9'"),
        ("a,crop=person,crops=0", "crops is '0'"),
        ("a,crop=persons", "unknown crop"),
        ("a,turn=left", "unknown turn"),
        ("a,ruler=foot", "unknown ruler"),
        ("a,margin=0.3", "without a crop"),
        ("a,labels=some", "labels is 'some'"),
        ("a,labels=0", "labels is '0'"),
        ("a,labels=2.5", "labels is '2.5'"),
        ("a,labels=none,draw=1", "draw has no effect on labels=none"),
        ("a,labels=5,draw=x", "draw is 'x'"),
        ("a,labels=5,teacher=none", "without labels and without a teacher teach nothing"),
    ],
)
def test_a_data_option_that_cannot_be_used(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        source_of(text, "none", 0.2)


def test_each_set_is_read_in_the_networks_keypoints_with_its_own_framing(two: tuple[Path, Path]) -> None:
    infants, photographs = two
    spec = f"coco:{photographs}=2,crop=person,margin=0.1-0.5,crops=2,turn=upright"
    found = open_training_data(DataRequest(str(infants), more=(spec,)))
    assert [group.count for group in found.groups] == [10, 12] and len(found.records) == 22
    assert found.keypoints is IN_MOTION_19 and not found.mapping.absent
    photograph = found.records[-1]
    known = {IN_MOTION_19.names[k] for k in np.flatnonzero(np.isfinite(photograph.keypoints_px).all(-1))}
    assert "nose" in known and "right_pelvis" not in known and "upper_neck" not in known
    margins = [found.framing.by_id[r.id][0].margin for r in found.records[10:]]  # type: ignore[attr-defined]
    np.testing.assert_allclose(margins, [0.2] * 6 + [0.4] * 6)
    assert dict(found.validation_groups) == {"in-motion:infants": 4, "coco:photographs": 6}
    assert photograph.columns["posture"] == "Supine" and photograph.video == "coco:photographs/source 2"


def test_a_picture_of_another_split_is_refused_or_left_out(two: tuple[Path, Path]) -> None:
    infants, photographs = two
    shutil.copyfile(photographs / "images/test/1.png", photographs / "images/train/3.png")
    data = DataRequest(str(infants), more=(f"coco:{photographs}",))
    with pytest.raises(UserError, match=r"train/3\.png is .*test/1\.png"):
        open_training_data(data)
    found = open_training_data(DataRequest(str(infants), more=(f"coco:{photographs}",), drop_shared=True))
    assert found.shared == (str(photographs / "images/train/3.png"),) and len(found.records) == 15


def test_several_splits_are_trained_on_at_once(two: tuple[Path, Path]) -> None:
    infants, photographs = two
    mixed = {"more": (f"coco:{photographs}",), "drop_shared": True}
    training = open_training_data(DataRequest(str(infants), **mixed))
    both = open_training_data(DataRequest(str(infants), "train+val", "none", **mixed))
    more = {r.image for r in both.records} - {r.image for r in training.records}
    assert more == {r.image for r in training.validation} and not both.validation
    assert {record.split for record in both.records} == {"train", "val"}


def test_the_chosen_set_validates_first(two: tuple[Path, Path]) -> None:
    infants, photographs = two
    data = DataRequest(str(infants), more=(f"coco:{photographs}",), select_by="coco:photographs")
    assert open_training_data(data).validation_groups[0][0] == "coco:photographs"
    with pytest.raises(UserError, match=r"known: .*coco:photographs"):
        open_training_data(DataRequest(str(infants), more=(f"coco:{photographs}",), select_by="coco:other"))


def test_keypoints_that_no_set_has_are_refused(two: tuple[Path, Path]) -> None:
    with pytest.raises(UserError, match="lacks keypoints"):
        open_training_data(DataRequest(f"coco:{two[1]}=2", keypoints="in-motion-19"))


def test_shares_follow_the_weights_and_every_frame_comes() -> None:
    groups = (Group("a", 10, 1.0), Group("b", 30, 3.0), Group("c", 4, 4.0))
    passes = [_weighed((0,), number, 44, groups) for number in range(20)]
    counts = np.bincount(np.concatenate(passes), minlength=44)
    shares = [counts[:10].sum(), counts[10:40].sum(), counts[40:].sum()]
    np.testing.assert_allclose(np.array(shares) / sum(shares), [1 / 8, 3 / 8, 4 / 8], atol=0.02)
    for part in (counts[:10], counts[10:40], counts[40:]):
        assert part.max() - part.min() <= 1  # each goes through all of its frames before one comes again


@pytest.mark.parametrize(("head", "turns"), [((0, -9), 0), ((-9, 0), 1), ((0, 9), 2), ((9, 0), 3)])
def test_a_body_is_turned_head_up(head: tuple[int, int], turns: int) -> None:
    points = np.full((17, 2), np.nan)
    for side in ("left", "right"):
        points[COCO_17.index(f"{side}_hip")] = 50, 30
        points[COCO_17.index(f"{side}_shoulder")] = np.add((50, 30), head)
    assert upright_turns(points, COCO_17) == turns
    record = PoseRecord("a", Path("a"), points, "v", "test")
    placed = Framing("person", 0.2, "upright", COCO_17).letterbox(record, (60, 100), (64, 64))
    at = placed.to_canvas.apply(points)
    assert at[COCO_17.index("left_shoulder"), 1] < at[COCO_17.index("left_hip"), 1]
    np.testing.assert_allclose(placed.to_image.apply(at), points, atol=1e-9)


def test_a_turned_picture_lies_where_its_points_say() -> None:
    image = np.zeros((40, 100, 3), np.uint8)
    image[10:14, 80:84] = 255
    points = np.full((17, 2), np.nan)
    points[[5, 6]], points[[11, 12]] = (82, 12), (20, 12)
    record = PoseRecord("a", Path("a"), points, "v", "test")
    placed = Framing(turn="upright", keypoints=COCO_17).letterbox(record, (40, 100), (100, 100))
    canvas = placed.draw(image)
    assert placed.turns == 3
    rows, columns = np.nonzero(canvas[..., 0] > 128)
    x, y = placed.to_canvas.apply(np.array([82.0, 12.0]))
    np.testing.assert_allclose([columns.mean() + 0.5, rows.mean() + 0.5], [x, y], atol=0.01)


def test_a_mixture_trains_and_validates_set_by_set(
    two: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_runs.use(monkeypatch)
    spec = f"coco:{two[1]}=2,crop=person,margin=0.1-0.5,crops=2,turn=upright"
    data = DataRequest(str(two[0]), more=(spec,), select_by="coco:photographs")
    request = tiny_runs.asked(two[0], tmp_path / "a", None).student
    request = replace(request, data=data, augmentation="home")
    fit(request)
    rows = (tmp_path / "a" / "log.csv").read_text().splitlines()
    assert "coco:photographs pckh@0.1" in rows[0] and len(rows) == 3
    run = json.loads((tmp_path / "a" / "run.json").read_text())
    assert "photographs" not in json.dumps(run["settings"]["data"]["sources"])  # bound by hash instead
    with pytest.raises(UserError, match="weight"):
        fit(replace(request, data=replace(data, more=(spec.replace("=2,", "=3,"),))))


# --- frames whose labels are not to be used ----------------------------------------------------------


def many(tmp_path: Path, count: int = 12) -> Path:
    return coco(tmp_path / "many", count)


@pytest.mark.parametrize(("labels", "count"), [("4", 4), ("5", 5), ("0.5", 6), ("1", 1), ("12", 12)])
def test_so_many_frames_keep_their_labels_video_by_video(labels: str, count: int, tmp_path: Path) -> None:
    spec = f"coco:{many(tmp_path)}=1,crop=person,crops=2,labels={labels}"
    found = open_training_data(DataRequest(spec), taught=True)
    has = np.array(found.has_labels).reshape(2, 12)
    assert len(found.records) == 24 and (has[0] == has[1]).all(), "each crop of a frame alike"
    assert has[0].sum() == count
    videos = [record.video for record, mine in zip(found.records, has[0], strict=False) if mine]
    assert len(set(videos)) == -(-count // 2), "a video has two frames, and only the last may be cut"
    plain = open_training_data(DataRequest(spec))  # nobody explains the others
    assert len(plain.records) == plain.groups[0].count == 2 * count and all(plain.has_labels)
    assert len(plain.validation) == len(found.validation) == 12


def test_which_frames_keep_their_labels_follows_the_draw_and_the_teacher_sees_the_same(
    tmp_path: Path,
) -> None:
    root = many(tmp_path)

    def opened(options: str) -> TrainingData:
        return open_training_data(DataRequest(f"coco:{root}=1,crop=person,{options}"), taught=True)

    assert opened("labels=4").has_labels == opened("labels=4,draw=0").has_labels
    draws = {opened(f"labels=4,draw={draw}").has_labels for draw in range(6)}
    assert len(draws) > 1
    four, eight = np.array(opened("labels=4").has_labels), np.array(opened("labels=8").has_labels)
    assert (eight | ~four).all(), "more labels keep the fewer ones"
    one, other = opened("labels=4"), opened("labels=8")
    assert one.sha256(1) != other.sha256(1), "a run is held to its labels"
    assert one.frames_sha256(1) == other.frames_sha256(1), "a teacher sees the same frames"
    tight = opened("margin=0.1,labels=4")
    assert tight.framing.plain() != one.framing.plain()
    for record in one.records:  # framed by labels that are not learnt from
        framing, points = one.framing.by_id[record.id]  # type: ignore[attr-defined]
        assert framing.crop == "person" and np.isfinite(points).all()


def test_a_set_without_labels_trains_and_validates_nothing_by_itself(two: tuple[Path, Path]) -> None:
    infants, photographs = two
    spec = f"coco:{photographs},labels=none"
    found = open_training_data(DataRequest(str(infants), more=(spec,)), taught=True)
    assert sum(found.has_labels) == 10 and len(found.records) == 16
    assert dict(found.validation_groups) == {"in-motion:infants": 4}
    with pytest.raises(UserError, match="frames that nobody explains"):
        open_training_data(DataRequest(str(infants), more=(spec,)))
    with pytest.raises(UserError, match="no frame is left"):
        open_training_data(DataRequest(spec, validation_split="none"), taught=True)
    alone = open_training_data(DataRequest(spec, validation_split="none"), labelled=False, taught=True)
    assert len(alone.records) == 6
    with pytest.raises(UserError, match="has 6 labelled frames to train on, and labels=7 wants more"):
        open_training_data(DataRequest(spec.replace("none", "7")), taught=True)


def test_a_teacher_is_not_asked_about_a_set_that_says_so(two: tuple[Path, Path]) -> None:
    infants, photographs = two
    request = DataRequest(f"{infants},teacher=none", more=(f"coco:{photographs}",))
    found = open_training_data(request, taught=True)
    assert {r.id for r in found.records if r.id.startswith("in-motion:infants/")} == found.untaught
    assert 0 < len(found.untaught) < len(found.records) and all(found.has_labels)
    with pytest.raises(UserError, match="teacher=none has no effect without a teacher"):
        open_training_data(request)
    with pytest.raises(UserError, match="teacher of a data set"):
        open_training_data(DataRequest(f"{infants}=1,teacher=some"), taught=True)
