"""The built-in infants: anatomy, motion, camera, picture, raters, and the files."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgeio import UnknownName, jobs
from edgeio.jobs import OtherJob
from edgepose.data.human_spread import IN_MOTION_HUMAN
from edgepose.data.in_motion import read_processed
from edgepose.data.records import SPLITS
from edgepose.errors import UsageError
from edgepose.evaluation.raters import read_raters, spread
from edgepose.keypoints import IN_MOTION_19
from edgepose.synthetic import body, dataset, implicit, motion, parse_size, raster, scene, synthesise
from edgepose.synthetic.body import BONE_INDEX, BodyPose, Proportions, Side, keypoints_world
from edgepose.synthetic.dress import CUTS
from edgepose.synthetic.hands import SPOTS, hands
from edgepose.synthetic.raters import rater_offsets
from edgepose.synthetic.room import FLOORS, wall
from edgepose.synthetic.skin import skinned
from edgepose.synthetic.stance import posed
from edgepose.synthetic.template import template
from edgepose.synthetic.variety import CLINIC, HOME, VARIETIES, Variety
from edgepose.synthetic.video import FRAME_SECONDS, SPLIT_SHARES, SyntheticVideo, video, video_split

SIZE = (120, 160)
K = IN_MOTION_19.index
EVERY_POSTURE = sorted(motion.POSTURES)


def moments(posture: str, count: int = 8) -> list[BodyPose]:
    course = motion.motion(np.random.default_rng(5), posture)
    return [course.at(t) for t in np.linspace(0, 60, count)]


# ---- anatomy


def test_proportions_are_an_infants() -> None:
    straight = Side(hip_flex=0, knee=0, hip_abduct=0, ankle=0)
    skeleton = posed(BodyPose(left=straight, right=straight, curl=0), Proportions())
    points = keypoints_world(skeleton)
    crown = skeleton.point("head", np.array([0.0, body.SKULL_CENTRE[1] + body.SKULL_RADII[1], 0.0]))[1]
    chin = skeleton.point("head", np.array([0.0, -3.2, 4.0]))[1]
    heel = points[K("left_ankle"), 1] - 2.5
    stature = crown - heel
    assert 57 < stature < 66
    assert 0.22 < (crown - chin) / stature < 0.27
    assert 0.42 < (points[K("mid_pelvis"), 1] - heel) / stature < 0.52


@pytest.mark.parametrize("posture", EVERY_POSTURE)
def test_bones_keep_their_length_and_stay_above_the_mattress(posture: str) -> None:
    build = Proportions(stature=0.95, arm=1.06, leg=0.97)
    for pose in moments(posture):
        skeleton = posed(pose, build)
        points = keypoints_world(skeleton)
        for a, b, length in (
            ("left_shoulder", "left_elbow", body.UPPER_ARM * 0.95 * 1.06),
            ("right_elbow", "right_wrist", body.FOREARM * 0.95 * 1.06),
            ("right_knee", "right_ankle", body.SHANK * 0.95 * 0.97),
        ):
            assert np.linalg.norm(points[K(a)] - points[K(b)]) == pytest.approx(length)
        # A soft mattress gives way under the head, and an ear may be pressed into it whole.
        ears = [K("left_ear"), K("right_ear")]
        assert points[ears, 2].min() > -1.5
        assert np.delete(points, ears, axis=0)[:, 2].min() > 0
        frames = skeleton.rotations
        assert np.allclose(frames @ frames.transpose(0, 2, 1), np.eye(3), atol=1e-9)
        assert np.allclose(np.linalg.det(frames), 1)


def test_angles_are_what_was_asked_where_the_mattress_is_not_in_the_way() -> None:
    arm = Side(arm_raise=60, elbow=80, hip_flex=80, knee=50)
    points = keypoints_world(posed(BodyPose(left=arm, right=arm), Proportions()))
    for upper, middle, lower, angle in (
        ("left_shoulder", "left_elbow", "left_wrist", 80),
        ("right_shoulder", "right_elbow", "right_wrist", 80),
    ):
        a, b = points[K(middle)] - points[K(upper)], points[K(lower)] - points[K(middle)]
        assert np.degrees(np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))) == pytest.approx(angle)


def test_a_mirrored_pose_gives_mirrored_keypoints() -> None:
    one, other = Side(arm_abduct=100, elbow=30, hip_twist=40), Side(arm_raise=50, knee=20, hip_flex=90)
    points = keypoints_world(posed(BodyPose(left=one, right=other, head_turn=30, roll=10), Proportions()))
    mirrored = keypoints_world(posed(BodyPose(left=other, right=one, head_turn=-30, roll=-10), Proportions()))
    assert np.allclose(mirrored[list(IN_MOTION_19.swaps)], points * (-1, 1, 1), atol=1e-9)


def test_midpoints_are_midway() -> None:
    points = keypoints_world(posed(BodyPose(bend=15, roll=20), Proportions()))
    for middle, part in (("upper_chest", "shoulder"), ("mid_pelvis", "pelvis")):
        assert np.allclose(points[K(middle)], (points[K(f"left_{part}")] + points[K(f"right_{part}")]) / 2)


def test_surface_landmarks_lie_on_or_just_under_the_skin() -> None:
    t = template()
    skeleton = posed(BodyPose(head_turn=40), Proportions(head=1.05))
    skin, normals = skinned(t, skeleton, t.vertices)
    points = keypoints_world(skeleton)
    for name, depth in (("nose", 0.4), ("head_top", 0.7), ("left_ear", 0.8), ("right_pelvis", 0.7)):
        offset = skin - points[K(name)]
        nearest = int(np.argmin((offset**2).sum(axis=1)))
        assert np.linalg.norm(offset[nearest]) < depth, name
        assert offset[nearest] @ normals[nearest] > 0, f"{name} is outside the skin"


# ---- shapes


def test_surface_net_of_a_ball_is_closed_round_and_faces_outwards() -> None:
    axis = np.arange(-12, 13) * 0.25
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    points, faces = implicit.surface_net(np.linalg.norm(grid, axis=-1) - 2.0)
    vertices = axis[0] + 0.25 * points
    assert np.abs(np.linalg.norm(vertices, axis=1) - 2).max() < 0.03
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    assert {tuple(e) for e in edges.tolist()} == {tuple(e[::-1]) for e in edges.tolist()}
    corner = vertices[faces]
    outward = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    assert ((outward * corner.mean(axis=1)).sum(axis=1) > 0).all()


def test_the_template_bends_into_itself_at_rest() -> None:
    t = template()
    assert np.allclose(t.weights.sum(axis=1), 1)
    assert (t.weights >= 0).all()
    vertices, normals = skinned(t, t.rest, t.vertices)
    assert np.allclose(vertices, t.vertices, atol=1e-9)
    assert np.allclose(normals, t.normals, atol=1e-9)


def test_raster_takes_pixels_whose_centre_is_inside_and_the_nearest_face() -> None:
    far = [[0, 0], [0, 8], [8, 8], [8, 0]]
    near = [[2, 2], [2, 4], [4, 4], [4, 2]]
    px = np.array(far + near, dtype=np.float64)
    faces = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    hits = raster.rasterise(px, np.repeat([0.3, 0.7], 4), faces, (6, 10))
    seen = np.full((6, 10), -1)
    seen.ravel()[hits.pixels] = hits.corners[:, 0] // 4
    expected = np.full((6, 10), -1)
    expected[:, :8] = 0
    expected[2:4, 2:4] = 1
    assert (seen == expected).all()
    assert np.allclose(
        hits.interpolate(px), np.stack([hits.pixels % 10 + 0.5, hits.pixels // 10 + 0.5], axis=1)
    )


def test_raster_leaves_out_faces_seen_from_behind() -> None:
    px = np.array([[0, 0], [0, 4], [4, 4.0]])
    assert len(raster.rasterise(px, np.ones(3), np.array([[0, 2, 1]]), (4, 4)).pixels) == 0


def test_merged_samples_tell_the_covered_share() -> None:
    px = 2 * np.array([[0.5, 0.0], [0.5, 2.0], [2.0, 2.0], [2.0, 0.0]])
    fine = raster.rasterise(px, np.ones(4), np.array([[0, 1, 2], [0, 2, 3]]), (4, 4))
    hits, cover = raster.merged(fine, (2, 2))
    assert hits.pixels.tolist() == [0, 1, 2, 3]
    assert cover.tolist() == [0.5, 1, 0.5, 1]


# ---- motion


@pytest.mark.parametrize("posture", EVERY_POSTURE)
def test_movement_is_smooth_and_small_but_never_still(posture: str) -> None:
    course = motion.motion(np.random.default_rng(1), posture)
    step = 0.04
    times = np.arange(0, 6, step)
    path = np.stack([keypoints_world(posed(course.at(t), Proportions())) for t in times])
    speed = np.linalg.norm(np.diff(path, axis=0), axis=-1) / step
    assert speed.max() < 120  # cm/s: a brisk kick
    assert np.median(speed[:, K("left_wrist")]) > 0.3
    jolt = np.linalg.norm(np.diff(path, 2, axis=0), axis=-1).max()
    assert jolt < 1.2  # cm, between two frames at 25 a second


def test_fidgets_are_band_limited() -> None:
    course = motion.motion(np.random.default_rng(2), "relaxed")
    values = np.array([course.left["arm_raise"].at(t) for t in np.arange(0, 80, 0.05)])
    power = np.abs(np.fft.rfft((values - values.mean()) * np.hanning(len(values)))) ** 2
    hz = np.fft.rfftfreq(len(values), 0.05)
    assert power[hz > 3].sum() < 1e-3 * power.sum()
    assert power[(hz > 0.25) & (hz < 2.2)].sum() > 0.01 * power.sum()


def test_joints_stay_within_what_they_allow() -> None:
    for posture in EVERY_POSTURE:
        for pose in moments(posture, 20):
            for side in (pose.left, pose.right):
                for name, dof in motion.SIDE_TABLE.items():
                    floor, ceiling = motion.POSTURES[posture].reach.get(name, (dof.floor, dof.ceiling))
                    assert floor <= getattr(side, name) <= ceiling, (posture, name)


def test_rare_postures_lift_the_legs_or_fold_the_limbs() -> None:
    lifted = np.mean(
        [keypoints_world(posed(p, Proportions()))[K("left_ankle"), 2] for p in moments("legs-up")]
    )
    lying = np.mean(
        [keypoints_world(posed(p, Proportions()))[K("left_ankle"), 2] for p in moments("relaxed")]
    )
    assert lifted > lying + 7
    crossed = [keypoints_world(posed(p, Proportions())) for p in moments("legs-crossed")]
    assert any(k[K("left_ankle"), 0] < k[K("right_ankle"), 0] for k in crossed)


# ---- camera


def test_projection_follows_the_pixel_convention() -> None:
    axes = np.array([[1, 0, 0], [0, -1, 0], [0, 0, -1.0]])
    camera = scene.Camera(np.array([0, 0, 100.0]), axes, 200.0, np.array([80.0, 60.0]), SIZE)
    px, depth = camera.project(np.array([[0, 0, 0], [10, 0, 0], [0, 10, 50.0]]))
    assert np.allclose(px, [[80, 60], [100, 60], [80, 20]])
    assert np.allclose(depth, [100, 100, 50])


def test_ground_is_where_the_camera_sees_it() -> None:
    clip = video(3, 1, SIZE)
    for view in (clip.camera, scene.shaken(clip.camera, np.array([2.0, -1.0, 3.0]))):
        grid = view.ground(8)
        world = np.concatenate([grid.reshape(-1, 2), np.zeros((grid[..., 0].size, 1))], axis=1)
        px = view.project(world)[0].reshape(*grid.shape[:2], 2)
        columns, rows = np.meshgrid(8 * np.arange(grid.shape[1]), 8 * np.arange(grid.shape[0]))
        assert np.abs(px - np.stack([columns, rows], axis=-1)).max() < 0.01


def test_the_mattress_picture_agrees_with_the_projection() -> None:
    from edgepose.synthetic.patterns import HALF_CM, STEP_CM, Surface

    side = int(2 * HALF_CM / STEP_CM)
    spot = np.array([12.0, -7.0])
    painted = np.zeros((side, side, 3), dtype=np.uint8)
    column, row = ((spot + HALF_CM) / STEP_CM).astype(int)
    painted[row - 3 : row + 4, column - 3 : column + 4] = 255
    view = video(3, 2, (240, 320)).camera
    seen = Surface(Image.fromarray(painted), np.zeros(3)).seen(view)[..., 0]
    y, x = np.indices(seen.shape) + 0.5
    centre = np.array([(x * seen).sum(), (y * seen).sum()]) / seen.sum()
    corner = (np.array([column, row]) + 0.5) * STEP_CM - HALF_CM
    assert np.abs(centre - view.project(np.array([[*corner, 0.0]]))[0][0]).max() < 0.3


def test_kept_inside_leaves_a_good_camera_alone_and_corrects_a_bad_one() -> None:
    clip = video(0, 0, SIZE)
    world = keypoints_world(posed(clip.motion.at(0), clip.who.proportions))
    kept = clip.camera.kept_inside(world, 5)
    again = kept.kept_inside(world, 5)
    assert again.focal == kept.focal
    assert np.allclose(again.centre, kept.centre, atol=1e-9)
    astray = scene.Camera(kept.position, kept.axes, kept.focal * 3, kept.centre + 200, kept.size)
    px = astray.kept_inside(world, 5).project(world)[0]
    assert px.min() >= 5 - 1e-6
    assert (px <= np.array(SIZE[::-1]) - 5 + 1e-6).all()


# ---- videos and pictures


def test_shares_of_splits_are_exact() -> None:
    splits = [video_split(i) for i in range(100)]
    assert {s: splits.count(s) for s in SPLITS} == {s: round(100 * SPLIT_SHARES[s]) for s in SPLITS}
    assert sorted(splits[:3]) == sorted(SPLITS)


@pytest.mark.parametrize("variety", VARIETIES.values(), ids=list(VARIETIES))
def test_shares_of_setups_and_rare_poses_are_exact_in_every_variety(variety: Variety) -> None:
    count = len(variety.deck)
    clips = [video(8, i, SIZE, variety.name) for i in range(count)]
    assert sorted(f.setup.name for f in clips) == sorted(variety.deck)
    assert sum(f.rare for f in clips) * len(variety.rare_deck) == count * sum(variety.rare_deck)
    assert all(motion.POSTURES[f.motion.posture].rare == f.rare for f in clips)
    for clip in clips:
        asked = clip.setup.postures or (variety.rare if clip.rare else variety.common)
        assert clip.motion.posture in asked


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("variety", VARIETIES)
def test_every_keypoint_lies_on_the_infant_and_in_the_picture(variety: str, number: int) -> None:
    """All 19 are inside the body in space, so that their projections are inside its outline."""
    clip, t = video(21, number, (240, 320), variety), template()
    for index in (0, 9, 40):
        skeleton, view, px = clip._frame_geometry(index)
        cut_off = max(0.0, -clip.setup.margin * 240)
        assert (px > -cut_off - 1e-6).all()
        assert (px < np.array([320, 240]) + cut_off + 1e-6).all()
        view = replace(view, centre=view.centre + 40, size=(320, 400))  # so that what is cut off is seen, too
        px = px + 40
        outline = raster.rasterise(*_seen(view, skinned(t, skeleton, clip.stage.skin)[0]), t.faces, view.size)
        mask = np.zeros(view.size, dtype=bool)
        mask.ravel()[outline.pixels] = True
        x, y = np.floor(px).astype(int).T
        assert mask[y, x].all(), [n for n, ok in zip(IN_MOTION_19.names, mask[y, x], strict=True) if not ok]


def _seen(view: scene.Camera, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    px, depth = view.project(points)
    return px, 1 / depth


def test_a_frame_shows_the_infant_and_repeats_exactly() -> None:
    clip = video(4, 0, SIZE)
    frame = clip.frame(3)
    assert frame.picture.shape == (*SIZE, 3)
    assert frame.picture.dtype == np.uint8
    assert 40 < frame.picture.mean() < 235
    assert frame.picture.std() > 10
    video.cache_clear()
    again = video(4, 0, SIZE).frame(3)
    assert (again.picture == frame.picture).all()
    assert (again.keypoints_px == frame.keypoints_px).all()
    assert not np.allclose(clip.keypoints_px(4), frame.keypoints_px, atol=0.01)


def test_seeds_and_numbers_give_different_videos() -> None:
    first = [video(0, 0, SIZE), video(0, 1, SIZE), video(1, 0, SIZE)]
    assert len({f.keypoints_px(0).tobytes() for f in first}) == 3


def test_sizes_follow_the_setup_unless_asked_for() -> None:
    for number in range(5):
        clip = video(2, number, None)
        assert clip.camera.size in clip.setup.sizes


# ---- varieties


# The second frame of seed 0's first videos: mean colour of the picture's quarters, and three keypoints in px.
CLINIC_FRAMES = [
    (
        [174.4, 148.0, 140.6, 213.7, 189.3, 183.2, 201.4, 174.8, 168.3, 203.2, 177.9, 171.7],
        [76.086, 11.881, 79.147, 36.103, 116.771, 87.382],
    ),
    (
        [133.9, 135.9, 127.8, 139.3, 137.4, 129.9, 137.0, 138.2, 129.7, 128.6, 130.5, 123.7],
        [88.181, 25.531, 91.262, 50.578, 100.115, 106.04],
    ),
    (
        [192.1, 186.6, 164.5, 193.3, 189.7, 167.4, 197.0, 198.4, 175.5, 188.3, 183.3, 161.9],
        [75.884, 15.44, 87.996, 39.31, 85.737, 100.791],
    ),
]


def test_the_clinics_infants_are_what_published_figures_were_measured_on() -> None:
    """Whatever is drawn for other varieties; not by the byte, in which NumPy's builds may differ."""
    for number, (quarters, points) in enumerate(CLINIC_FRAMES):
        frame = video(0, number, SIZE).frame(1)
        means = frame.picture.reshape(2, 60, 2, 80, 3).mean(axis=(1, 3)).ravel()
        assert np.abs(means - quarters).max() < 0.2
        assert np.abs(frame.keypoints_px[[0, 9, 18]].ravel() - points).max() < 0.01


def test_an_unknown_variety_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="known: clinic, home"):
        synthesise(tmp_path / "set", 1, 1, 0, SIZE, variety="hospital")
    assert not (tmp_path / "set").exists()


def test_every_posture_and_garment_and_floor_of_a_variety_is_known() -> None:
    for variety in VARIETIES.values():
        assert set(variety.common + variety.rare) <= set(motion.POSTURES)
        assert set(variety.deck) <= set(variety.setups)
        wardrobe = variety.wardrobe
        assert {*wardrobe.garments, *wardrobe.kinds} <= set(CUTS)
        assert set(wardrobe.trousers) <= set(wardrobe.garments)
    assert set(FLOORS) <= set(VARIETIES[HOME].setups["close-up"].surfaces)


def test_homes_infants_are_turned_dressed_held_and_close() -> None:
    clips = [video(0, i, 320, HOME) for i in range(60)]
    rolls = np.array([abs(f.motion.at(0).roll) for f in clips])
    assert (rolls > 55).mean() > 0.08  # on their side
    assert ((rolls > 20) & (rolls < 55)).mean() > 0.08  # half turned
    assert np.mean([any(w.cut != "hat" for w in f.who.over) for f in clips]) > 0.25  # in trousers
    assert 0.15 < np.mean([bool(f.hands) for f in clips]) < 0.45
    tilts = [float(f.columns()["tilt_deg"]) for f in clips]
    assert max(tilts) > 60
    assert min(tilts) < 15
    fills = [np.ptp(f.keypoints_px(0) / f.camera.size[::-1], axis=0).max() for f in clips]
    assert 0.6 < np.median(fills) < 1.0
    assert any((f.keypoints_px(0) < 0).any() for f in clips)  # limbs cut off
    assert all(max(f.camera.size) == 320 for f in clips)
    assert len({f.camera.size for f in clips}) > 2


@pytest.mark.parametrize("posture", ["on-left-side", "on-right-side"])
def test_infants_on_their_side_have_one_shoulder_above_the_other(posture: str) -> None:
    under, upper = ("left", "right") if posture == "on-left-side" else ("right", "left")
    for pose in moments(posture):
        points = keypoints_world(posed(pose, Proportions()))
        assert points[K(f"{upper}_shoulder"), 2] > points[K(f"{under}_shoulder"), 2] + 7


def test_legs_drawn_up_hide_the_trunk_from_above() -> None:
    for pose in moments("soles-up"):
        points = keypoints_world(posed(pose, Proportions()))
        knees = points[[K("left_knee"), K("right_knee")]]
        assert knees[:, 2].mean() > points[K("mid_pelvis"), 2] + 3
        assert knees[:, 1].mean() > points[K("mid_pelvis"), 1] - 3


@pytest.mark.parametrize("spot", SPOTS)
def test_an_adults_hand_touches_its_spot_and_does_not_sink_in(
    spot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgepose.synthetic.hands.pick", _choosing(spot))
    skeleton = posed(BodyPose(), Proportions())
    held = SPOTS[spot]
    for seed in range(4):
        for hand in hands(np.random.default_rng(seed), 1.0, skeleton)[:1]:
            away = np.linalg.norm(hand.vertices, axis=1)
            assert away.min() > min(0.5 * held.radius, 5.5)
            assert away.min() < held.radius + 1.5
            assert hand.skin.max() == 1
            moved = posed(BodyPose(heading=20, curl=20), Proportions())
            by = moved.point(held.bone, np.array(held.centre)) - skeleton.point(
                held.bone, np.array(held.centre)
            )
            assert np.allclose(hand.at(moved) - hand.at(skeleton), by)


def _choosing(spot: str) -> Callable[..., Any]:
    def pick(rng: np.random.Generator, items: Sequence[Any], weights: Sequence[float] | None = None) -> Any:
        return spot if tuple(items) == tuple(SPOTS) else scene.pick(rng, items, weights)

    return pick


def test_hands_never_come_where_none_are_asked_for() -> None:
    skeleton = posed(BodyPose(), Proportions())
    assert all(hands(np.random.default_rng(seed), 0.0, skeleton) == () for seed in range(20))


def test_the_wall_stands_beyond_the_infant_and_over_the_floor_only() -> None:
    clip = next(f for f in (video(0, i, (240, 320), HOME) for i in range(60)) if _tilt(f) > 66)
    behind = wall(np.random.default_rng(0), clip.camera)
    _, seen = behind.seen(clip.camera)
    assert seen.any()
    height = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 60.0]])
    x, y = np.floor(clip.camera.project(behind.origin + height)[0]).astype(int).T
    if 0 <= x[1] < 320 and 0 <= y[1] < 240:
        assert seen[y[1], x[1]]
    px = clip.keypoints_px(0)[K("mid_pelvis")].astype(int)
    assert not seen[px[1], px[0]]


def _tilt(clip: SyntheticVideo) -> float:
    return float(clip.columns()["tilt_deg"])


@pytest.mark.parametrize("name", FLOORS)
def test_floors_are_coloured_and_uneven(name: str) -> None:
    x, y = np.meshgrid(np.arange(-30, 30, 0.3, dtype=np.float32), np.arange(-20, 20, 0.3, dtype=np.float32))
    colour = FLOORS[name](np.random.default_rng(1), x, y)
    assert colour.shape == (*x.shape, 3)
    assert np.isfinite(colour).all()
    assert colour.std() > 0.003


def test_faces_behind_the_camera_are_left_out() -> None:
    px = np.array([[0, 0], [0, 8], [8, 8], [np.nan, np.nan]])
    hits = raster.rasterise(px, np.ones(4), np.array([[0, 1, 2], [0, 2, 3]]), (8, 8))
    assert set(hits.corners.ravel().tolist()) == {0, 1, 2}


def test_many_candidates_are_looked_at_in_parts_that_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clip = video(1, 0, SIZE)
    whole = clip.frame(0).picture
    monkeypatch.setattr(raster, "_CANDIDATES", 500)
    assert (clip.frame(0).picture == whole).all()


def test_varieties_are_never_mixed_in_a_folder(made: Path, tmp_path: Path) -> None:
    with pytest.raises(OtherJob, match="variety: was 'clinic', now 'home'"):
        synthesise(made, VIDEOS, FRAMES, SEED, SIZE, variety=HOME)
    home = synthesise(tmp_path / "home", 2, 1, SEED, 128, workers=1, variety=HOME)
    description = json.loads((home / "dataset.json").read_text())
    assert description["spec"]["variety"] == HOME
    assert description["spec"]["size"] == 128
    assert set(description["setups"]) <= set(VARIETIES[HOME].setups)
    assert len(read_processed(home).records) == 2
    with pytest.raises(OtherJob, match="variety: was 'home', now 'clinic'"):
        synthesise(home, 2, 1, SEED, 128)


# ---- raters


def test_raters_spread_as_published() -> None:
    offsets = rater_offsets(np.random.default_rng(0), 10, 100, IN_MOTION_HUMAN)
    distance = np.linalg.norm(offsets - offsets.mean(axis=0), axis=-1).reshape(1000, 19)
    assert np.allclose(offsets.mean(axis=0), 0, atol=1e-12)
    assert np.allclose(distance.mean(axis=0), IN_MOTION_HUMAN.h, rtol=1e-6)
    assert np.allclose(np.percentile(distance, 95, axis=0), IN_MOTION_HUMAN.h95, rtol=0.01)


@pytest.mark.parametrize("images", [1, 2, 5])
def test_raters_of_few_images_keep_the_mean(images: int) -> None:
    offsets = rater_offsets(np.random.default_rng(1), 10, images, IN_MOTION_HUMAN)
    assert np.isfinite(offsets).all()
    assert np.allclose(np.linalg.norm(offsets, axis=-1).mean(axis=(0, 1)), IN_MOTION_HUMAN.h)


# ---- files


VIDEOS, FRAMES, SEED = 3, 2, 6


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesise(tmp_path_factory.mktemp("made") / "set", VIDEOS, FRAMES, SEED, SIZE, workers=1)


def digests(root: Path) -> dict[str, str]:
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob("*"))
        if p.is_file()
    }


def test_the_in_motion_reader_reads_it_exactly(made: Path) -> None:
    records = read_processed(made).records
    assert len(records) == VIDEOS * FRAMES
    assert not read_processed(made).left_out
    assert {r.video: r.split for r in records} == {f"synth{i:05d}": video_split(i) for i in range(VIDEOS)}
    for record in records:
        number, index = int(record.video.removeprefix("synth")), int(record.image.stem.split("_")[1])
        expected = video(SEED, number, SIZE).keypoints_px(index)
        assert np.abs(record.keypoints_px - expected).max() < 1e-6
        with Image.open(record.image) as picture:
            assert (picture.height, picture.width) == SIZE


def test_raters_file_reads_and_averages_to_the_annotation(made: Path) -> None:
    raters = read_raters(made / "raters.csv", IN_MOTION_19)
    assert len(raters.raters) == 10
    assert len(raters.images) == min(dataset.IMAGES, VIDEOS * FRAMES)
    assert any(name.startswith("test/") for name in raters.images)
    truth = {r.id: r.keypoints_px for r in read_processed(made).records}
    mean = raters.points_px.mean(axis=0)
    assert max(np.abs(mean[i] - truth[name]).max() for i, name in enumerate(raters.images)) < 1e-3
    assert np.allclose(spread(raters).h, IN_MOTION_HUMAN.h, rtol=1e-3)


def test_description_and_list_of_videos(made: Path) -> None:
    description = json.loads((made / "dataset.json").read_text())
    spec = {"seed": SEED, "videos": 3, "frames": 2, "size": list(SIZE), "variety": CLINIC, "generator": 2}
    assert description["spec"] == spec
    assert sum(s["frames"] for s in description["splits"].values()) == VIDEOS * FRAMES
    assert description["frame_seconds"] == FRAME_SECONDS
    lines = (made / "videos.csv").read_text().splitlines()
    assert lines[0].startswith("video,split,setup,camera,rare,")
    assert len(lines) == VIDEOS + 1
    rates = {row["fps"] for row in csv.DictReader(lines)}
    assert {float(rate) for rate in rates} == {1 / FRAME_SECONDS}
    assert not (made / dataset.UNFINISHED).exists()
    assert not list(made.rglob("*partial*"))


def test_same_bytes_with_two_workers(made: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    other = synthesise(
        tmp_path / "two", VIDEOS, FRAMES, SEED, SIZE, workers=2, progress=lambda d, n: seen.append((d, n))
    )
    assert digests(other) == digests(made)
    assert seen[0] == (0, VIDEOS * FRAMES)
    assert seen[-1] == (VIDEOS * FRAMES, VIDEOS * FRAMES)


def test_an_interrupted_set_is_finished_to_the_same_bytes(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "cut"

    def interrupt(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesise(out, VIDEOS, FRAMES, SEED, SIZE, workers=1, progress=interrupt)
    assert (out / dataset.UNFINISHED).is_file()
    kept = {p: p.stat().st_mtime_ns for p in out.rglob("*.jpg")}
    assert len(kept) == 3
    leftover = next(iter(kept)).with_name(".synth00000_000001.1234.partial.jpg")
    leftover.write_bytes(b"half a picture")
    synthesise(out, VIDEOS, FRAMES, SEED, SIZE, workers=1)
    assert digests(out) == digests(made)
    assert all(p.stat().st_mtime_ns == t for p, t in kept.items())


def test_a_full_disk_leaves_no_half_file_and_can_be_resumed(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "full"
    saved = Image.Image.save

    def full(self: Image.Image, path: Path, **options: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", full)
        with pytest.raises(OSError, match="No space"):
            synthesise(out, VIDEOS, FRAMES, SEED, SIZE, workers=1)
    assert Image.Image.save is saved
    assert not [p for p in out.rglob("*") if p.suffix == ".jpg"]
    synthesise(out, VIDEOS, FRAMES, SEED, SIZE, workers=1)
    assert digests(out) == digests(made)


def test_a_finished_set_is_left_alone_and_a_lost_frame_remade(made: Path) -> None:
    before = digests(made)
    times = {p: p.stat().st_mtime_ns for p in made.rglob("*") if p.is_file()}
    synthesise(made, VIDEOS, FRAMES, SEED, SIZE)
    assert {p: p.stat().st_mtime_ns for p in made.rglob("*") if p.is_file()} == times
    next(made.rglob("*.jpg")).unlink()
    synthesise(made, VIDEOS, FRAMES, SEED, SIZE, workers=1)
    assert digests(made) == before


def test_a_larger_set_holds_the_smaller_one(made: Path, tmp_path: Path) -> None:
    small = synthesise(tmp_path / "small", 2, 1, SEED, SIZE, workers=1)
    frames = {k: v for k, v in digests(small).items() if k.startswith("processed")}
    assert len(frames) == 4
    assert frames.items() <= digests(made).items()


def test_other_arguments_are_refused_by_name(made: Path) -> None:
    with pytest.raises(OtherJob, match=r"seed: was 6, now 7; .*--overwrite"):
        synthesise(made, VIDEOS, FRAMES, 7, SIZE)
    with pytest.raises(OtherJob, match=r"size: was \[120, 160\], now None"):
        synthesise(made, VIDEOS, FRAMES, SEED)


def test_overwrite_replaces_a_set_and_nothing_else(tmp_path: Path) -> None:
    out = synthesise(tmp_path / "set", 2, 1, SEED, SIZE, workers=1)
    (out / "notes.txt").write_text("mine")
    synthesise(out, 1, 1, SEED + 1, SIZE, workers=1, overwrite=True)
    assert len(list(out.rglob("*.jpg"))) == 1 and (out / "notes.txt").read_text() == "mine"
    other = synthesise(tmp_path / "other", 1, 1, SEED + 1, SIZE, workers=1)
    assert {k: v for k, v in digests(out).items() if k != "notes.txt"} == digests(other)


def test_two_processes_do_not_draw_one_set(tmp_path: Path) -> None:
    with jobs.locked(tmp_path / "set"), pytest.raises(OtherJob, match="another command works in"):
        synthesise(tmp_path / "set", 1, 1, SEED, SIZE, workers=1)


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("years of work")
    with pytest.raises(UsageError, match="not empty"):
        synthesise(tmp_path, 1, 1, 0, SIZE)
    with pytest.raises(UsageError, match="is a file"):
        synthesise(tmp_path / "thesis.docx", 1, 1, 0, SIZE)
    with pytest.raises(OSError):
        synthesise(tmp_path / "thesis.docx" / "set", 1, 1, 0, SIZE)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.docx"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"videos": 0}, "--videos is 0"),
        ({"frames": -1}, "--frames is -1"),
        ({"seed": -1}, "--seed is -1"),
        ({"workers": 0}, "--workers is 0"),
        ({"size": (63, 640)}, "--size is 640x63"),
        ({"size": 127}, "--size is 127;"),
        ({"size": 4097}, "--size is 4097;"),
        ({"size": (480, 5000)}, "--size is 5000x480"),
    ],
)
def test_numbers_out_of_range_are_refused(tmp_path: Path, arguments: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        synthesise(**{"out": tmp_path / "set", "videos": 1, "frames": 1, "size": SIZE, **arguments})
    assert not (tmp_path / "set").exists()


def test_sizes_are_width_by_height() -> None:
    assert parse_size("640x480") == (480, 640)
    assert parse_size(" 320 ") == 320
    for text in ("", "-640", "640x", "x480", "640x480x3", "-640x480", "64.0x480", "wide"):
        with pytest.raises(UsageError, match="WIDTHxHEIGHT"):
            parse_size(text)


def test_bone_table_is_complete() -> None:
    assert len(BONE_INDEX) == len(body.BONES) == 23
    assert body.bone_scales(Proportions()).shape == (23, 3)
    assert np.allclose(body.bone_scales(Proportions()), 1)
