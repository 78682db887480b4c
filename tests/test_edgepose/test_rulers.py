"""What distances are divided by: hand-computed lengths for each ruler, and what cannot be measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeio import UnknownName
from edgepose.data.records import PoseRecord
from edgepose.data.rulers import RULERS, ruler_for, ruler_lengths
from edgepose.errors import BadDataset
from edgepose.keypoints import COCO_17, IN_MOTION_19, KEYPOINT_GROUPS, mapping

# Ears 10 apart; nose 20 above the middle of the shoulders; middle of the hips 40 below it.
PLACES = {
    "left_ear": (105, 70),
    "right_ear": (95, 70),
    "nose": (100, 80),
    "left_shoulder": (120, 100),
    "right_shoulder": (80, 100),
    "left_hip": (110, 140),
    "right_hip": (90, 140),
    "left_pelvis": (110, 140),
    "right_pelvis": (90, 140),
}


def record(keypoints=COCO_17, **columns: str) -> PoseRecord:  # type: ignore[no-untyped-def]
    points = np.full((len(keypoints), 2), np.nan)
    for name, place in PLACES.items():
        if name in keypoints.names:
            points[keypoints.index(name)] = place
    return PoseRecord("a", Path("a.png"), points, "v", "test", None, columns)


def without(found: PoseRecord, *names: str) -> PoseRecord:
    points = found.keypoints_px.copy()
    points[[COCO_17.index(name) for name in names]] = np.nan
    return replace(found, keypoints_px=points)


def test_the_stand_in_is_the_median_of_what_can_be_measured() -> None:
    whole = record()
    no_ear, no_hip = without(whole, "left_ear"), without(whole, "left_hip")
    only_shoulders = without(whole, "nose", "left_hip", "right_hip", "left_ear")
    found = ruler_lengths([whole, no_ear, no_hip, only_shoulders], COCO_17)
    # 1.18 x 10 = 11.8, 1.51 x 20 = 30.2, 0.91 x 40 = 36.4
    np.testing.assert_allclose(found.px, [30.2, (30.2 + 36.4) / 2, (11.8 + 30.2) / 2, np.nan])
    assert found.ruler == "stand-in" and found.missing == 1


def test_the_stand_in_takes_the_pelvis_where_a_set_has_no_hip() -> None:
    found = ruler_lengths([record(IN_MOTION_19)], IN_MOTION_19, "stand-in")
    np.testing.assert_allclose(found.px, [30.2])


@pytest.mark.parametrize(("name", "px"), [("torso", 40.0), ("box", 70.0)])
def test_torso_and_box(name: str, px: float) -> None:
    assert ruler_lengths([record()], COCO_17, name).px.tolist() == [px]


def test_an_annotated_box_goes_before_the_keypoints() -> None:
    assert ruler_lengths([record(bbox="1,2,30.5,91")], COCO_17, "box").px.tolist() == [91.0]


def test_a_set_with_a_head_segment_is_measured_by_it_unless_told_otherwise() -> None:
    assert ruler_for(IN_MOTION_19, []).key == "head"
    assert ruler_for(COCO_17, []).key == "stand-in"
    assert ruler_for(COCO_17, [replace(record(), head_length_px=5.0)]).key == "head"
    with pytest.raises(UnknownName, match=", ".join(RULERS)):
        ruler_for(COCO_17, [], "foot")


def test_a_ruler_that_a_set_cannot_give_is_refused() -> None:
    with pytest.raises(BadDataset, match="head length"):
        ruler_lengths([record()], COCO_17, "head")
    with pytest.raises(BadDataset, match="'torso'"):
        ruler_lengths([without(record(), "left_shoulder")], COCO_17, "torso")


def test_limbs_are_ten_keypoints_without_hips() -> None:
    found = KEYPOINT_GROUPS["limbs"].of(mapping(IN_MOTION_19, COCO_17, near=True), COCO_17)
    names = [COCO_17.names[target] for _, target in found.pairs]
    assert len(names) == 10 and not any("hip" in name or "ear" in name for name in names)
    assert not found.near and not found.absent
