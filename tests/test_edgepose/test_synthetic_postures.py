"""Made-up infants off their back: what carries them, that left stays left, that keypoints lie in the body."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import maximum_filter

from edgepose.keypoints import IN_MOTION_19
from edgepose.synthetic import motion
from edgepose.synthetic.body import BONE_INDEX, SIDES, BodyPose, Proportions, Skeleton, keypoints_world
from edgepose.synthetic.carried import (
    FOURS_POSTURES,
    PRONE_POSTURES,
    SITTING_POSTURES,
    STANDING_POSTURES,
)
from edgepose.synthetic.hands import UPRIGHT_SPOTS, hands
from edgepose.synthetic.postures import POSTURES
from edgepose.synthetic.raster import rasterise
from edgepose.synthetic.scene import Camera
from edgepose.synthetic.skin import skinned
from edgepose.synthetic.stance import posed, reaching
from edgepose.synthetic.template import template
from edgepose.synthetic.variety import HOME, VARIETIES
from edgepose.synthetic.variety import POSTURES as HOME_POSTURES
from edgepose.synthetic.video import video

K = IN_MOTION_19.index
OVER = {**PRONE_POSTURES, **FOURS_POSTURES}
UPRIGHT = {**SITTING_POSTURES, **STANDING_POSTURES}
CARRIED = {**OVER, **UPRIGHT}
SIZE = (240, 320)


def skeletons(posture: str, count: int = 4, seed: int = 5) -> list[Skeleton]:
    course = motion.motion(np.random.default_rng(seed), posture)
    return [posed(course.at(t), Proportions()) for t in np.linspace(0, 40, count)]


def looking(at: np.ndarray, back: tuple[float, float, float], up: tuple[float, float, float]) -> Camera:
    """A camera 120 cm from a point, on the side `back` of it."""
    away = np.array(back) / np.linalg.norm(back)
    down = -(np.array(up) - away * (np.array(up) @ away))
    down = down / np.linalg.norm(down)
    axes = np.stack([np.cross(down, -away), down, -away])
    return Camera(at + 120 * away, axes, 330.0, np.array([160.0, 120.0]), SIZE)


# ---- left and right


@pytest.mark.parametrize("posture", OVER)
def test_seen_from_above_an_infant_on_its_front_has_its_left_at_the_left(posture: str) -> None:
    """With the head up in the picture; on the back it would be at the right."""
    for skeleton in skeletons(posture):
        points = keypoints_world(skeleton)
        ahead = (points[K("upper_chest")] - points[K("mid_pelvis")]) * (1, 1, 0)
        view = looking(points[K("upper_chest")], (0, 0, 1), tuple(ahead))
        x = view.project(points)[0][:, 0]
        for part in ("shoulder", "pelvis"):
            assert x[K(f"left_{part}")] < x[K(f"right_{part}")] - 15


@pytest.mark.parametrize("posture", UPRIGHT)
def test_left_is_at_the_right_from_the_front_and_at_the_left_from_behind(posture: str) -> None:
    for skeleton in skeletons(posture):
        points = keypoints_world(skeleton)
        for back, sign in (((0.0, -1.0, 0.1), 1), ((0.0, 1.0, 0.1), -1)):
            px = looking(points[K("upper_chest")], back, (0, 0, 1)).project(points)[0]
            for part in ("shoulder", "pelvis"):
                assert sign * (px[K(f"left_{part}"), 0] - px[K(f"right_{part}"), 0]) > 10
            assert px[K("upper_chest"), 1] < px[K("mid_pelvis"), 1]
        assert points[K("nose"), 1] < points[K("left_ear"), 1] + 6  # the face is not at the back
        assert points[K("nose"), 1] < points[K("right_ear"), 1] + 6


@pytest.mark.parametrize("posture", CARRIED)
def test_limbs_are_on_their_own_side_of_the_skin_and_bend_the_way_joints_do(posture: str) -> None:
    t = template()
    left = t.vertices[:, 0] > 0  # at rest the infant lies on its back, its left along x
    for skeleton in skeletons(posture, 3):
        points, skin = keypoints_world(skeleton), skinned(t, skeleton, t.vertices)[0]
        for part, kind in (("wrist", 2), ("ankle", 3)):
            for side, own in (("left", left), ("right", ~left)):
                apart = np.linalg.norm(skin - points[K(f"{side}_{part}")], axis=1)
                on_limb = t.kind == kind
                assert apart[on_limb & own].min() < 2.6
        for side, _ in SIDES:
            for upper, lower in (("upper_arm", "forearm"), ("thigh", "shank")):
                frame = skeleton.rotations[BONE_INDEX[f"{side}_{upper}"]]
                along = skeleton.rotations[BONE_INDEX[f"{side}_{lower}"]][:, 1]
                free = POSTURES[posture].stance
                assert free is not None
                if (free.legs != "free") if lower == "shank" else getattr(free, f"{side}_arm") == "hand":
                    assert along @ frame[:, 2] > -0.35, (side, lower)
        chest = skeleton.rotations[BONE_INDEX["chest"]]
        across = points[K("left_shoulder")] - points[K("right_shoulder")]
        assert across @ chest[:, 0] > 10
        assert np.allclose(np.cross(chest[:, 0], chest[:, 1]), chest[:, 2])


# ---- truth


@pytest.mark.parametrize("posture", CARRIED)
def test_keypoints_lie_inside_the_body_from_every_side(posture: str) -> None:
    t = template()
    skeleton = skeletons(posture, 1, seed=9)[0]
    points, skin = keypoints_world(skeleton), skinned(t, skeleton, t.vertices)[0]
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    for back, up in (((0.2, 0.1, 1), (0, 1, 0)), ((0.3, -1, 0.3), (0, 0, 1)), ((1, 0.4, 0.2), (0, 0, 1))):
        view = looking(middle, back, up)
        px, depth = view.project(skin)
        mask = np.zeros(SIZE, dtype=bool)
        mask.ravel()[rasterise(px, 1 / depth, t.faces, SIZE).pixels] = True
        mask = maximum_filter(mask, 3)  # the nose's tip is thinner than a pixel, whose centre decides
        x, y = np.floor(view.project(points)[0]).astype(int).T
        outside = [n for n, ok in zip(IN_MOTION_19.names, mask[y, x], strict=True) if not ok]
        assert not outside, (back, outside)


# ---- what carries the infant


@pytest.mark.parametrize("posture", CARRIED)
def test_what_carries_the_infant_is_on_the_ground(posture: str) -> None:
    stance = POSTURES[posture].stance
    assert stance is not None
    found = [keypoints_world(s) for seed in range(3) for s in skeletons(posture, 4, seed)]
    heights = np.stack(found)[..., 2]
    for side, _ in SIDES:
        if getattr(stance, f"{side}_arm") != "free":
            assert np.median(heights[:, K(f"{side}_wrist")]) < 1.5
        if stance.legs != "free":
            part = "knee" if stance.legs == "knee" else "ankle"
            assert np.median(heights[:, K(f"{side}_{part}")]) < 2.9
    if stance.trunk:
        assert heights[:, K("mid_pelvis")].max() < 12
    else:
        assert np.median(heights[:, K("mid_pelvis")]) > 7


def test_prone_infants_have_their_belly_below_their_back() -> None:
    for posture in OVER:
        for skeleton in skeletons(posture):
            spine = skeleton.rotations[BONE_INDEX["spine"]]
            assert spine[2, 2] < -0.6  # the front looks down


def test_standing_infants_stand_and_sitting_ones_sit() -> None:
    def over(posture: str) -> float:
        heights = np.stack([keypoints_world(s) for s in skeletons(posture)])[..., 2]
        return float((heights[:, K("mid_pelvis")] - heights[:, [K("left_ankle")]].T).mean())

    assert over("standing-arms-down") > 15
    assert over("sitting-lap") < 9


@pytest.mark.parametrize(
    "target", [(4.0, 3.0, -12.0), (0.5, 0.2, -40.0), (1.0, -2.0, -3.0), (25.0, 0.0, 1.0)]
)
def test_a_reaching_limb_keeps_its_bones_and_comes_as_near_as_it_can(target: tuple[float, ...]) -> None:
    root, pole = np.array([1.0, 2.0, 20.0]), np.array([0.0, 1.0, 0.5])
    upper, lower = reaching(root, root + np.array(target), (9.4, 8.2), pole)
    end = root + 9.4 * upper[:, 1] + 8.2 * lower[:, 1]
    for frame in (upper, lower):
        assert np.allclose(frame @ frame.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(frame) == pytest.approx(1)
    near = np.linalg.norm(end - root)
    assert 4.5 < near < 17.6
    if 5 < np.linalg.norm(target) < 17:
        assert np.allclose(end, root + np.array(target), atol=1e-6)
    assert np.allclose(upper[:, 0], lower[:, 0])  # one hinge
    assert (upper[:, 1] @ pole) > (end - root) @ pole / near - 1e-9  # the joint points along the pole


@pytest.mark.parametrize("spot", UPRIGHT_SPOTS)
def test_two_hands_hold_an_upright_infant_from_both_sides(spot: str) -> None:
    skeleton = skeletons("standing-arms-up", 1)[0]
    held = UPRIGHT_SPOTS[spot]
    for seed in range(4):
        both = hands(np.random.default_rng(seed), 1.0, skeleton, (spot,))
        assert len(both) == 2
        middles = [
            hand.vertices[np.argsort(np.linalg.norm(hand.vertices, axis=1))[:20]].mean(axis=0)
            for hand in both
        ]
        assert middles[0][0] * middles[1][0] < 0
        for hand in both:
            away = np.linalg.norm(hand.vertices, axis=1).min()
            assert 0.5 * held.radius < away < held.radius + 1.5


# ---- the variety


def test_the_postures_of_the_variety_are_all_films_of_a_setup() -> None:
    drawn = VARIETIES[HOME_POSTURES]
    filmed = {name for setup in drawn.setups.values() for name in setup.postures}
    assert set(CARRIED) <= filmed <= set(POSTURES)
    assert set(drawn.deck) == set(drawn.setups)
    assert all(set(setup.spots) <= set(UPRIGHT_SPOTS) for setup in drawn.setups.values())


def test_faces_are_seen_from_the_front_and_from_behind() -> None:
    """Those who sit mostly from in front; from above, those on their tummy show the back of the head."""
    ahead, hidden = [], []
    for number in range(60):
        clip = video(5, number, SIZE, HOME_POSTURES)
        skeleton, view, _ = clip._frame_geometry(0)
        face = skeleton.rotations[BONE_INDEX["head"]][:, 2] @ view.axes[2]
        if clip.motion.posture in SITTING_POSTURES:
            ahead.append(face < 0)
        if clip.setup.name == "prone-above":
            hidden.append(face > 0)
    assert np.mean(ahead) > 0.55
    assert np.mean(hidden) > 0.3


# The second frame of seed 0's first videos at home: three keypoints in px.
HOME_POINTS = [
    [91.155, 98.988, 61.167, 82.099, 57.335, 38.979],
    [54.57, 19.627, 76.668, 37.928, 107.796, 67.241],
    [38.911, 65.685, 47.92, 38.245, 111.645, 19.394],
    [36.479, 57.576, 66.381, 39.752, 130.917, 23.281],
]


def test_infants_at_home_are_what_weights_were_trained_on() -> None:
    """Whatever is drawn for other varieties; the clinic's are held in test_synthetic.py."""
    for number, points in enumerate(HOME_POINTS):
        found = video(0, number, (120, 160), HOME).keypoints_px(1)[[0, 9, 18]].ravel()
        assert np.abs(found - points).max() < 0.01


def test_a_pose_without_a_stance_lies_on_the_back_whatever_its_pitch() -> None:
    flat = posed(BodyPose(), Proportions())
    assert np.array_equal(flat.origins, posed(BodyPose(pitch=70.0), Proportions()).origins)
