"""From frames to what the graph computes: order, augmentation, targets, losses."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgeio.ahead import ahead
from edgepose.codec import Codec
from edgepose.data.framing import Framing
from edgepose.data.mixture import Group
from edgepose.data.records import PoseRecord, is_labelled, mapped_points
from edgepose.errors import BadImage
from edgepose.frameworks import keras
from edgepose.geometry import Affine
from edgepose.keypoints import IN_MOTION_19, LSP_14, MPII_16, mapping
from edgepose.models.variants import NORMALISATIONS
from edgepose.training.augmentation import (
    AUGMENTATIONS,
    BASE_DRAWS,
    CUT,
    CUT_DRAWS,
    DRAWS,
    ERASED,
    Arrays,
    Augmentation,
    augmented,
    move_points,
)
from edgepose.training.frames import Canvases, HeldFrames, Reader
from edgepose.training.losses import GroundTruth, Objective, Targets, Term, masked_mse
from edgepose.training.pipeline import Batch, Quota, Stream
from edgepose.training.schedules import LEARNING_RATES, SIGMA_SCHEDULES, default_sigma_schedule

SIZE, CELLS = (64, 64), (8, 8)
PLAIN = NORMALISATIONS["symmetric"]
STRONG = Augmentation("strong", scale=(0.75, 1.25), rotation_degrees=45.0)


def blobs(points: np.ndarray) -> np.ndarray:
    """(B, 64, 64, 3) uint8: each frame bright about its one point (B, 2)."""
    centre = np.arange(64) + 0.5
    dx, dy = centre - points[:, 0, None], centre - points[:, 1, None]
    bump = np.exp(-(dy[:, :, None] ** 2 + dx[:, None, :] ** 2) / 18)
    return np.repeat((255 * bump).round().astype(np.uint8)[..., None], 3, axis=-1)


def arrays(images: np.ndarray, points: np.ndarray, augmentation: Augmentation, draws: np.ndarray) -> Arrays:
    stream = Stream(
        HeldFrames([], Canvases(images, points, np.zeros((len(images), 2, 3)))), augmentation, 1, 0
    )
    canvases = Canvases(images, points, np.zeros((len(images), 2, 3)))
    return stream.arrays(canvases, np.arange(len(images)), draws)


def apply(batch: Arrays, colour: bool = False) -> dict[str, np.ndarray]:
    found = augmented(batch, IN_MOTION_19.swaps, PLAIN, colour)
    return {key: np.asarray(value) for key, value in found.items()}


def random_points(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(4, 60, (count, 19, 2))


# --- augmentation ---------------------------------------------------------------------------------


def test_image_and_keypoints_move_together() -> None:
    rng = np.random.default_rng(5)
    nose = rng.uniform(24, 40, (24, 2))
    points = np.repeat(nose[:, None], 19, axis=1)
    found = apply(arrays(blobs(nose), points, STRONG, rng.random((24, DRAWS))))
    pixels = found["inputs"].mean(-1) + 1.0
    grid = np.arange(64) + 0.5
    total = pixels.sum((1, 2))
    centre = np.stack([(pixels.sum(1) * grid).sum(-1), (pixels.sum(2) * grid).sum(-1)], -1) / total[:, None]
    np.testing.assert_allclose(centre, found["keypoints_px"][:, 1], atol=0.08)
    assert np.abs(found["keypoints_px"][:, 1] - nose).max() > 5, "nothing moved"


def test_unaugmented_inputs_are_the_predictions_to_the_bit() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    points = random_points(3)
    found = apply(arrays(images, points, AUGMENTATIONS["none"], np.random.default_rng(1).random((3, DRAWS))))
    np.testing.assert_array_equal(found["inputs"], PLAIN.apply(images))
    np.testing.assert_array_equal(found["keypoints_px"], points.astype(np.float32))


def test_a_flip_swaps_left_and_right() -> None:
    points = random_points(2)
    points[:, IN_MOTION_19.index("left_ear")] = np.nan
    draws = np.full((2, DRAWS), 0.5)
    draws[:, 0] = 0.1, 0.9  # the first is flipped
    found = apply(arrays(np.zeros((2, 64, 64, 3), np.uint8), points, AUGMENTATIONS["paper"], draws))
    left, right = IN_MOTION_19.index("left_wrist"), IN_MOTION_19.index("right_wrist")
    np.testing.assert_allclose(found["keypoints_px"][0, left, 0], 64 - points[0, right, 0], rtol=1e-6)
    np.testing.assert_allclose(found["keypoints_px"][1, left], points[1, left], rtol=1e-6)
    ears = [IN_MOTION_19.index("left_ear"), IN_MOTION_19.index("right_ear")]
    assert found["annotated"][:, ears].tolist() == [[True, False], [False, True]]


def test_the_middle_of_the_draws_changes_nothing_but_the_flip() -> None:
    found = STRONG.arrays(np.full((1, DRAWS), 0.5), SIZE)
    np.testing.assert_allclose(found["to_input"][0], Affine.identity().matrix, atol=1e-6)


def test_scale_and_rotation_stay_in_their_ranges() -> None:
    draws = np.random.default_rng(0).random((500, DRAWS))
    linear = STRONG.arrays(draws, SIZE)["to_input"][:, :, :2].astype(float)
    scale = np.sqrt(np.abs(np.linalg.det(linear)))
    angle = np.degrees(np.arctan2(linear[:, 1, 0], linear[:, 1, 1]))
    assert 0.75 <= scale.min() < 0.76 and 1.24 < scale.max() <= 1.25
    assert 44 < np.abs(angle).max() <= 45
    assert 0.4 < (np.linalg.det(linear) < 0).mean() < 0.6


def test_keypoints_that_leave_the_input_are_annotated_but_absent() -> None:
    points = np.full((1, 19, 2), 32.0)
    points[0, 0] = 1.0, 1.0
    draws = np.full((1, DRAWS), 0.5)
    draws[0, 1] = 1.0  # 1.25 times larger
    found = apply(arrays(np.zeros((1, 64, 64, 3), np.uint8), points, STRONG, draws))
    assert found["annotated"].all()
    assert found["present"][0].tolist() == [False] + [True] * 18


def test_colour_keeps_black_black_and_changes_the_rest() -> None:
    images = np.zeros((8, 64, 64, 3), np.uint8)
    images[:, 32:] = 60, 120, 180
    batch = arrays(
        images,
        random_points(8),
        Augmentation("c", 0.0, (1.0, 1.0), 0.0, 0.25),
        np.random.default_rng(0).random((8, DRAWS)),
    )
    pixels = (apply(batch, colour=True)["inputs"] + 1) * 127.5
    assert np.abs(pixels[:, :32]).max() < 1e-3
    assert np.abs(pixels[:, 32:] - images[:, 32:]).max() > 10
    assert pixels.max() <= 255.001


@pytest.mark.parametrize("taught", [False, True])
def test_joints_are_cut_out_where_they_are(taught: bool) -> None:
    """White pictures; each box lies about a keypoint that is labelled, or else about the teacher's."""
    cutting = Augmentation("cut", scale=(0.8, 1.0), rotation_degrees=30.0, cutout=0.2)
    points = np.random.default_rng(0).uniform(20, 44, (12, 19, 2))
    points[:, 5:] = np.nan
    theirs = np.random.default_rng(1).uniform(20, 44, (12, 19, 2))
    draws = np.random.default_rng(2).random((12, DRAWS))
    draws[:, -CUT_DRAWS:].reshape(12, CUT, 4)[..., 1:] = 0.5, 0.5, 0.0  # black boxes of 6.4 px
    batch = arrays(np.full((12, 64, 64, 3), 255, np.uint8), points, cutting, draws)
    if taught:
        sure = np.zeros((12, 19), np.float32)
        sure[:, 10:14] = 0.9
        batch |= {"teacher_px": theirs.astype(np.float32), "teacher_confidence": sure}
    found = augmented(batch, tuple(range(19)), PLAIN, cutout=0.2)
    known = np.concatenate([points[:, :5], theirs[:, 10:14]], axis=1) if taught else points[:, :5]
    moved = np.asarray(
        move_points(
            known.astype(np.float32), batch["to_input"], batch["flipped"], tuple(range(known.shape[1]))
        )
    )
    inputs = np.asarray(found["inputs"])
    white = np.asarray(augmented(batch, tuple(range(19)), PLAIN)["inputs"])
    cut = (inputs != white).any(-1)
    grid = np.arange(64) + 0.5
    hits = np.zeros(known.shape[1])
    for mask, places in zip(cut, moved, strict=True):
        rows, columns = np.nonzero(mask)
        assert 20 < len(rows) <= CUT * 49
        beside = np.abs(np.stack([grid[columns], grid[rows]], -1)[:, None] - places).max(-1)
        assert (beside.min(1) <= 3.3).all(), "a box that is about no keypoint"
        hits += [mask[int(y), int(x)] for x, y in places]
    assert (hits > 0).all(), "a keypoint that is never cut out"


def test_nothing_is_cut_out_where_nobody_knows_a_keypoint() -> None:
    images = np.full((2, 64, 64, 3), 200, np.uint8)
    points = np.full((2, 19, 2), np.nan)
    batch = arrays(
        images,
        points,
        Augmentation("cut", 0.0, (1.0, 1.0), 0.0, cutout=0.5),
        np.random.default_rng(0).random((2, DRAWS)),
    )
    np.testing.assert_array_equal(
        augmented(batch, tuple(range(19)), PLAIN, cutout=0.5)["inputs"], PLAIN.apply(images)
    )


def test_half_of_what_is_painted_over_shows_another_frame() -> None:
    """Red, green and blue pictures under two boxes, the left one dark and the right one light."""
    images = np.repeat(np.eye(3, dtype=np.uint8)[:, None, None, :] * 200, 64, 1).repeat(64, 2)
    covering = Augmentation("patches", 0.0, (1.0, 1.0), 0.0, erase=0.5, patches=True)
    draws = np.full((3, DRAWS), 0.5)
    boxes = np.zeros((3, ERASED, 5))
    boxes[:, :2] = [[0.25, 0.5, 0.25, 0.25, 0.4], [0.75, 0.5, 0.25, 0.25, 0.75]]
    draws[:, BASE_DRAWS + 2 : -CUT_DRAWS] = boxes.reshape(3, -1)
    batch = arrays(images, np.full((3, 19, 2), 32.0), covering, draws)
    found = np.asarray(augmented(batch, tuple(range(19)), PLAIN, erase=0.5, patches=True)["inputs"])
    expected = PLAIN.apply(images).copy()
    expected[:, 28:36, 12:20] = PLAIN.apply(images[[2, 0, 1]])[:, 28:36, 12:20]
    expected[:, 28:36, 44:52] = PLAIN.apply(np.full((1, 1, 1, 3), 127.5, np.float32))
    np.testing.assert_allclose(found, expected, atol=1e-5)


# --- targets and losses ---------------------------------------------------------------------------


def sample(points: np.ndarray) -> Arrays:
    annotated = np.isfinite(points).all(-1)
    inside = ((points >= 0) & (points <= 64)).all(-1)
    return {
        "keypoints_px": np.where(annotated[..., None], points, 0).astype(np.float32),
        "annotated": annotated,
        "present": annotated & inside,
    }


@pytest.mark.parametrize("centre", ["continuous", "integer"])
def test_targets_in_the_graph_are_the_codecs(centre: str) -> None:
    points = random_points(4)
    points[0, 3] = np.nan
    points[1, 5] = -3.0, 20.0
    codec = Codec(SIZE, CELLS, sigma=0.9, centre=centre)
    targets = Targets(SIZE, CELLS, IN_MOTION_19.segment_indices, centre)
    maps, weight = targets.maps(sample(points), np.float32(0.9))
    np.testing.assert_allclose(np.asarray(maps), codec.encode(points)[0], atol=2e-6)
    assert np.asarray(weight).sum() == 4 * 19 - 1, "an annotated keypoint outside still counts"
    fields, weight = targets.pafs(sample(points), np.float32(0.9))
    expected, present = codec.encode_pafs(points, IN_MOTION_19.segment_indices)
    np.testing.assert_allclose(np.asarray(fields), expected, atol=2e-6)
    segments = np.asarray(weight).reshape(4, -1, 2)
    touches = sum(3 in pair for pair in IN_MOTION_19.segment_indices)
    assert segments[0].sum() == 2 * (18 - touches)
    assert segments[1].all() and not present[1].all()


def test_masked_mse_is_keras_mean_squared_error_where_all_is_annotated() -> None:
    rng = np.random.default_rng(0)
    predicted, target = rng.random((2, 8, 8, 5)), rng.random((2, 8, 8, 5))
    full = float(masked_mse(predicted, target.astype(np.float32), np.ones((2, 5), np.float32)))
    assert full == pytest.approx(np.mean((predicted - target) ** 2), rel=1e-5)
    weight = np.ones((2, 5), np.float32)
    weight[0, 2] = 0
    changed = predicted.copy()
    changed[0, ..., 2] += 100
    first = float(masked_mse(predicted, target.astype(np.float32), weight))
    assert float(masked_mse(changed, target.astype(np.float32), weight)) == pytest.approx(first, rel=1e-6)


def test_ground_truth_sums_the_outputs_and_leaves_further_ones_to_others() -> None:
    targets = Targets(SIZE, CELLS, IN_MOTION_19.segment_indices)
    made = sample(random_points(2))
    outputs = [np.zeros((2, 8, 8, 36), np.float32), *[np.zeros((2, 8, 8, 19), np.float32)] * 2]
    sigma = np.float32(1.0)
    pafs, maps = (
        float(GroundTruth(targets, kinds)(outputs[:1] if kinds == ("pafs",) else outputs[1:2], made, sigma))
        for kinds in (("pafs",), ("maps",))
    )
    loss = GroundTruth(targets, ("pafs", "maps", "maps"))
    assert float(loss(outputs, made, sigma)) == pytest.approx(pafs + 2 * maps, rel=1e-6)
    assert float(loss([*outputs, np.ones((2, 3))], made, sigma)) == pytest.approx(pafs + 2 * maps, rel=1e-6)


def test_an_objective_weights_its_terms_over_the_run() -> None:
    def constant(value: float) -> Any:
        return lambda outputs, made, sigma: np.float32(value)

    goal = Objective(
        (Term("one", constant(3.0)), Term("fading", constant(10.0), lambda done: 1 - done)),
        SIGMA_SCHEDULES["efficientpose"],
        28,
        10,
    )
    assert goal.scalars(0) == {"sigma": 3.1, "one": 1.0, "fading": 1.0}
    assert goal.scalars(5)["fading"] == 0.5
    values = goal([], {}, goal.scalars(5))
    assert {k: float(v) for k, v in values.items()} == {"loss": 8.0, "one": 3.0, "fading": 10.0}


# --- schedules ------------------------------------------------------------------------------------


def test_sigma_follows_the_paper_in_100_epochs_and_stretches_otherwise() -> None:
    schedule = SIGMA_SCHEDULES["efficientpose"]
    assert [schedule.sigma(e, 100, 28) for e in (0, 1, 2, 53, 54, 99)] == [3.1, 3.1, 2.6, 1.2, 1.1, 1.1]
    assert schedule.sigma(0, 100, 46) == pytest.approx(3.1 * 46 / 28)
    assert schedule.sigma(6, 10, 28) == 1.1
    hourglass = SIGMA_SCHEDULES["hourglass"]
    assert [hourglass.sigma(e, 100, 152) for e in (0, 79)] == [pytest.approx(3.5 * 4.75), pytest.approx(4.75)]
    for each in SIGMA_SCHEDULES.values():
        values = [each.sigma(e, 100, 28) for e in range(100)]
        assert values == sorted(values, reverse=True)


def test_families_have_schedules_and_rates_begin_at_one() -> None:
    assert default_sigma_schedule("hourglass") == "hourglass"
    assert {default_sigma_schedule(f) for f in ("efficientpose", "cima", "openpose")} == {"efficientpose"}
    assert {key: rate(0.0) for key, rate in LEARNING_RATES.items()} == dict.fromkeys(LEARNING_RATES, 1.0)
    assert LEARNING_RATES["cosine"](1.0) == pytest.approx(0.0)
    assert [LEARNING_RATES["step"](d) for d in (0.59, 0.6, 0.85)] == [1.0, 0.1, 0.01]


# --- batches --------------------------------------------------------------------------------------


def numbered(count: int) -> HeldFrames:
    """Frames whose pixels are their index."""
    images = np.zeros((count, 64, 64, 3), np.uint8) + np.arange(count, dtype=np.uint8)[:, None, None, None]
    canvases = Canvases(images, random_points(count), np.zeros((count, 2, 3)))
    return HeldFrames([None] * count, canvases)  # type: ignore[list-item]


def stream(count: int = 10, batch: int = 4, seed: int = 3) -> Stream:
    return Stream(numbered(count), AUGMENTATIONS["paper"], batch, seed)


def same(a: Batch, b: Batch) -> bool:
    return a.step == b.step and all(np.array_equal(a.arrays[key], b.arrays[key]) for key in a.arrays)


def test_any_step_is_the_same_wherever_a_run_begins() -> None:
    whole = list(stream().batches(0, 12))
    for start in (1, 5, 11):
        assert all(same(a, b) for a, b in zip(whole[start:], stream().batches(start, 12), strict=True))
    assert not same(whole[0], next(stream(seed=4).batches(0, 1)))


def test_every_pass_holds_every_frame_once_across_batches() -> None:
    indices = np.concatenate([b.indices for b in stream().batches(0, 15)])
    assert len(indices) == 60
    for start in range(0, 60, 10):
        assert sorted(indices[start : start + 10]) == list(range(10))
    assert indices[:10].tolist() != indices[10:20].tolist(), "another order in another pass"
    assert stream().steps_per_pass == 2


def test_a_frames_draws_do_not_depend_on_the_batch_size() -> None:
    def draws(batch: int) -> dict[int, np.ndarray]:
        found: dict[int, np.ndarray] = {}
        for each in stream(batch=batch).batches(0, -(-10 // batch)):
            for index, matrix in zip(each.indices, each.arrays["to_input"], strict=True):
                found.setdefault(int(index), matrix)
        return found

    four, five = draws(4), draws(5)
    assert four.keys() == five.keys() == set(range(10))
    assert all(np.array_equal(four[i], five[i]) for i in range(10))


def test_fewer_frames_than_a_batch_come_more_than_once_and_differ() -> None:
    only = next(stream(count=2, batch=8).batches(0, 1))
    assert sorted(only.indices) == [0] * 4 + [1] * 4
    assert len(np.unique(only.arrays["to_input"].reshape(8, -1), axis=0)) == 8


def test_images_stay_with_their_index_and_parts_cover_the_batch() -> None:
    batch = next(stream(batch=6).batches(2, 3))
    assert batch.arrays["images"][:, 0, 0, 0].tolist() == batch.indices.tolist()
    parts = batch.parts(3)
    np.testing.assert_array_equal(np.concatenate([p["images"] for p in parts]), batch.arrays["images"])


def test_extras_ride_along() -> None:
    plain = stream()
    made = Stream(plain.frames, plain.augmentation, 4, 3, lambda indices: {"teacher": indices * 2.0})
    batch = next(made.batches(0, 1))
    assert batch.arrays["teacher"].tolist() == (batch.indices * 2.0).tolist()


@pytest.mark.parametrize("groups", [(), (Group("a", 6, 1.0), Group("b", 4, 3.0))])
def test_every_batch_has_its_labelled_frames(groups: tuple[Group, ...]) -> None:
    has = np.arange(10) % 3 == 0  # 0, 3, 6, 9
    plain = stream(batch=8)

    def made() -> Stream:
        quota = Quota(3, tuple(has.tolist()))
        return Stream(plain.frames, plain.augmentation, 8, 3, groups=groups, quota=quota)

    batches = list(made().batches(0, 24))
    for batch in batches:
        assert has[batch.indices].sum() == 3
        for part in batch.parts(2):
            assert has[part["images"][:, 0, 0, 0]].any(), "spread over the parts of a batch"
    counts = np.bincount(np.concatenate([b.indices for b in batches]), minlength=10)
    assert counts[has].sum() == 72 and counts[~has].sum() == 120
    if not groups:
        assert np.ptp(counts[has]) <= 1 and np.ptp(counts[~has]) <= 1
    else:  # of the labelled, 0 and 3 are the first group's, of weight 1
        assert counts[[0, 3]].sum() == pytest.approx(72 / 4, abs=10)
        assert counts[[1, 2, 4, 5]].sum() == pytest.approx(120 / 4, abs=12), "at random over a long pass"
    for start in (1, 7):
        assert all(same(a, b) for a, b in zip(batches[start:], made().batches(start, 24), strict=True))


def test_a_quota_of_some_changes_no_stream_without_one() -> None:
    """The draws of an augmentation are what they were before there were quotas and cutouts."""
    batch = next(stream().batches(0, 1))
    rng = np.random.default_rng([3, 0])
    order = rng.permutation(10)
    draws = rng.random((10, BASE_DRAWS))[order[:4]]
    assert batch.indices.tolist() == order[:4].tolist()
    np.testing.assert_array_equal(batch.arrays["flipped"], draws[:, 0] < 0.5)


# --- frames ---------------------------------------------------------------------------------------


def records(folder: Path, count: int = 5) -> list[PoseRecord]:
    rng = np.random.default_rng(0)
    found = []
    for i in range(count):
        path = folder / f"{i}.png"
        Image.fromarray(rng.integers(0, 255, (40 + i, 60, 3), dtype=np.uint8)).save(path)
        points = rng.uniform(5, 35, (14, 2))
        points[i % 14] = np.nan
        found.append(PoseRecord(path.name, path, points, "v", "train"))
    return found


def lsp_reader() -> Reader:
    return Reader((32, 32), Framing(), mapping(LSP_14, MPII_16), 16)


def ignore(done: int, total: int) -> None:
    pass


def test_held_and_decoded_frames_are_the_same(tmp_path: Path) -> None:
    made = records(tmp_path)
    held = lsp_reader().open(made, 5 * 32 * 32 * 3, ignore)
    decoded = lsp_reader().open(made, 5 * 32 * 32 * 3 - 1, ignore)
    assert type(held) is not type(decoded)
    wanted = [np.array([3, 0, 3]), np.array([4])]
    for a, b in zip(held.read(wanted), decoded.read(wanted), strict=True):
        for name in ("images", "keypoints_px", "to_image"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_canvas_keypoints_go_back_to_the_image(tmp_path: Path) -> None:
    made = records(tmp_path, 3)
    canvases = lsp_reader().draw(made, ignore)
    for i, record in enumerate(made):
        back = Affine(canvases.to_image[i]).apply(canvases.keypoints_px[i])
        expected = mapped_points(record, mapping(LSP_14, MPII_16), 16)
        np.testing.assert_allclose(back, expected, atol=1e-9)
        assert np.isnan(back).any(-1).sum() == 3, "thorax, pelvis and the one without a label"


def test_an_unreadable_image_is_named_in_time(tmp_path: Path) -> None:
    made = records(tmp_path)
    made[2].image.write_bytes(b"no image")
    with pytest.raises(BadImage, match=r"2\.png"):
        lsp_reader().open(made, 10**9, ignore)
    with pytest.raises(BadImage, match=r"2\.png"):
        list(lsp_reader().open(made, 0, ignore).read([np.arange(5)]))


def test_a_frame_is_labelled_by_the_networks_keypoints(tmp_path: Path) -> None:
    points = np.full((16, 2), np.nan)
    points[MPII_16.index("pelvis")] = 3.0
    record = PoseRecord("a", tmp_path, points, "v", "train")
    assert is_labelled(record, mapping(MPII_16, MPII_16))
    assert not is_labelled(record, mapping(MPII_16, LSP_14))


# --- the thread -----------------------------------------------------------------------------------


def test_items_made_ahead_keep_their_order_and_their_errors() -> None:
    assert list(ahead(iter(range(20)), depth=3)) == list(range(20))

    def failing() -> Iterator[int]:
        yield 1
        raise BadImage("x", "y")

    items = ahead(failing())
    assert next(items) == 1
    with pytest.raises(BadImage):
        next(items)


def test_closing_ends_the_thread() -> None:
    items = ahead(iter(range(10**9)))
    next(items)
    items.close()
    assert not [t for t in threading.enumerate() if t.name == "batches"]


def test_the_graph_traces_augmentation_and_loss_once() -> None:
    import tensorflow as tf

    targets = Targets(SIZE, CELLS, IN_MOTION_19.segment_indices)
    loss = GroundTruth(targets, ("maps",))
    traces = []

    @tf.function(jit_compile=False)
    def compute(batch: Arrays, sigma: Any) -> Any:
        traces.append(1)
        made = augmented(batch, IN_MOTION_19.swaps, PLAIN)
        return loss([keras().ops.zeros((4, 8, 8, 19))], made, sigma)

    batches = list(stream().batches(0, 3))
    values = [float(compute(b.arrays, np.float32(0.5 + i))) for i, b in enumerate(batches)]
    assert len(traces) == 1
    made = apply(batches[0].arrays)
    expected = float(loss([np.zeros((4, 8, 8, 19), np.float32)], made, np.float32(0.5)))
    assert values[0] == pytest.approx(expected, rel=1e-5)
