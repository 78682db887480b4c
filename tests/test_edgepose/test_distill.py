"""Distillation: the teacher's targets on the student's grid, runs that listen to it, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from peer_models import detector, landmarks, movenet, write
from PIL import Image
from safetensors.numpy import load_file
from tiny_runs import Crash, asked, crash_at, make_data, make_teacher, rows, same_state, tiny, use
from typer.testing import CliRunner

from edgeio import UnknownName, UserError, sha256_file
from edgeio.jobs import OtherJob
from edgepose import cli
from edgepose.codec import Codec
from edgepose.data.framing import Framing, Input
from edgepose.data.records import PoseRecord
from edgepose.errors import BadCheckpoint, BadDataset, BadModel, UsageError
from edgepose.frameworks import keras
from edgepose.geometry import letterbox
from edgepose.keypoints import COCO_17, IN_MOTION_19, LSP_14, MPII_16, mapping
from edgepose.models import checkpoint as checkpoint_module
from edgepose.models import pretrained as defaults
from edgepose.models.checkpoint import CheckpointInfo, save_checkpoint, weights_of
from edgepose.models.pretrained import DefaultWeights
from edgepose.training import builtin
from edgepose.training import setup as training_setup
from edgepose.training.augmentation import AUGMENTATIONS, DRAWS, augmented
from edgepose.training.data import DataRequest, open_training_data
from edgepose.training.distill import distill
from edgepose.training.distill_request import smoke
from edgepose.training.fit import fit
from edgepose.training.frames import Reader
from edgepose.training.loop import Listener
from edgepose.training.losses import GroundTruth, Targets
from edgepose.training.starting import start_path
from edgepose.training.teacher import Teacher, open_teacher
from edgepose.training.teacher_cache import TeacherQuery, teacher_outputs
from edgepose.training.teacher_check import check_teacher
from edgepose.training.teacher_targets import Rendered, Resized, TeacherContext, between, shared_targets

POINTS = IN_MOTION_19
STEPS = 6  # of `asked`
K, SEGMENTS = len(POINTS), POINTS.segment_indices
STUDENT, CELLS = (64, 64), (16, 16)  # finer than any network's, so that a bump is well resolved
TEACHER, FINE = (96, 96), (48, 48)
REAL_BUILD = checkpoint_module.build
ALL = tuple((i, i) for i in range(K))


@pytest.fixture(autouse=True)
def _tiny_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("distill-data"))


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_teacher(tmp_path_factory.mktemp("distill-teacher") / "teacher.safetensors")


# --- the teacher's targets on the student's grid -----------------------------------------------------


def items(count: int, size: tuple[int, int], edge: float = 0.15) -> list[Input]:
    """Frames of odd sizes, whose two canvases round differently; `edge` is free of keypoints."""
    rng = np.random.default_rng(1)
    found = []
    for i in range(count):
        height, width = int(rng.integers(50, 400)), int(rng.integers(50, 400))
        points = rng.uniform(edge, 1 - edge, (K, 2)) * [width, height]
        record = PoseRecord(f"{i}", Path(f"{i}.png"), points, f"{i}", "train")
        placed = letterbox((height, width), size)
        found.append(Input(record, np.zeros((*size, 3), np.uint8), placed))
    return found


def on_canvas(frames: list[Input], size: tuple[int, int]) -> np.ndarray:
    """The labels on canvases that are drawn directly from the image."""
    return np.stack(
        [
            letterbox((int(f.placed.box[3]), int(f.placed.box[2])), size).to_canvas.apply(
                f.record.keypoints_px
            )
            for f in frames
        ]
    )


def knowing_teacher(frames: list[Input], confidence: float = 1.0) -> tuple[Teacher, np.ndarray]:
    """A teacher that knows the labels, and its ideal maps."""
    codec = Codec(TEACHER, FINE, sigma=3.0)
    maps, _ = codec.encode(on_canvas(frames, TEACHER))
    teacher = Teacher(
        Path("t"), "0", "rt", POINTS, TEACHER, FINE, lambda canvases: maps[: len(canvases)], codec.decode
    )
    return teacher, maps * np.float32(confidence)


def context(
    share: float = 0.5, pairs: tuple[tuple[int, int], ...] = ALL, kinds=("pafs", "maps")
) -> TeacherContext:
    return TeacherContext(Targets(STUDENT, CELLS, SEGMENTS), kinds, POINTS.swaps, pairs, share)


def sample_of(frames: list[Input], taught: Any, teacher: Teacher, output: np.ndarray) -> dict[str, Any]:
    """Augmented frames; the first is mirrored, the second is not."""
    draws = np.random.default_rng(3).random((len(frames), DRAWS))
    draws[:2, 0] = 0.0, 0.9
    arrays = {
        "images": np.stack([np.zeros((*STUDENT, 3), np.uint8) for _ in frames]),
        "keypoints_px": on_canvas(frames, STUDENT).astype(np.float32),
        "annotated": np.ones((len(frames), K), bool),
        **AUGMENTATIONS["paper"].arrays(draws, STUDENT),
        **taught.arrays(teacher, frames, output),
    }
    from edgepose.models.variants import NORMALISATIONS

    return augmented(arrays, POINTS.swaps, NORMALISATIONS["imagenet"])


def test_one_canvas_to_another_is_exact_for_every_rounding() -> None:
    frames = items(20, TEACHER)
    for frame, wanted in zip(frames, on_canvas(frames, STUDENT), strict=True):
        theirs = frame.placed.to_canvas.apply(frame.record.keypoints_px)
        np.testing.assert_allclose(between(frame.placed, STUDENT).apply(theirs), wanted, atol=1e-9)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_turned_frame_is_turned_on_both_canvases(turns: int) -> None:
    """The teacher's keypoints and its maps land where the student's own canvas has the labels."""
    frames = items(6, TEACHER)
    turned, wanted = [], []
    for frame in frames:
        size = (int(frame.placed.box[3]), int(frame.placed.box[2]))
        turned.append(replace(frame, placed=letterbox(size, TEACHER, turns=turns)))
        wanted.append(letterbox(size, STUDENT, turns=turns).to_canvas.apply(frame.record.keypoints_px))
    codec = Codec(TEACHER, FINE, sigma=3.0)
    theirs = np.stack([f.placed.to_canvas.apply(f.record.keypoints_px) for f in turned])
    maps, _ = codec.encode(theirs)
    teacher = Teacher(Path("t"), "0", "rt", POINTS, TEACHER, FINE, lambda c: maps, codec.decode)
    found = Rendered(context()).arrays(teacher, turned, maps)["teacher_px"]
    np.testing.assert_allclose(found, np.stack(wanted), atol=0.05)
    small = Resized(context()).arrays(teacher, turned, maps)["teacher_maps"].astype(np.float32)
    decoded, _ = Codec(STUDENT, CELLS, decoder="soft-argmax").decode(small)
    np.testing.assert_allclose(decoded, np.stack(wanted), atol=0.3)


def test_rendered_keeps_the_teachers_keypoints_and_its_confidence() -> None:
    frames = items(5, TEACHER)
    teacher, maps = knowing_teacher(frames, confidence=0.5)
    found = Rendered(context()).arrays(teacher, frames, maps)
    np.testing.assert_allclose(found["teacher_px"], on_canvas(frames, STUDENT), atol=1e-3)
    peaks = maps.max((1, 2))
    np.testing.assert_allclose(found["teacher_confidence"], peaks, atol=1e-6)
    assert peaks.max() <= 0.5


def test_a_teacher_that_knows_the_labels_asks_for_the_labels_targets() -> None:
    """Augmentation moves both alike: sides, fields, and points that leave the input included."""
    frames = items(8, TEACHER, edge=0.01)
    teacher, maps = knowing_teacher(frames)
    taught = Rendered(context(share=1.0))
    sample = sample_of(frames, taught, teacher, maps)
    sample["teacher_confidence"] = np.ones((8, K), np.float32)
    assert not np.asarray(sample["present"]).all(), "a point should be outside"
    sigma, targets = np.float32(1.3), taught.context.targets
    ideal = [np.asarray(make(sample, sigma)[0]) for make in (targets.pafs, targets.maps)]
    nothing = float(taught([np.zeros_like(output) for output in ideal], sample, sigma))
    assert float(taught(ideal, sample, sigma)) < 0.01 * nothing
    mirrored = sample | {"flipped": ~np.asarray(sample["flipped"])}
    assert float(taught(ideal, mirrored, sigma)) > 0.5 * nothing


def test_half_and_half_sum_to_one_and_frames_without_labels_listen_to_the_teacher_alone() -> None:
    frames = items(4, TEACHER)
    teacher, maps = knowing_teacher(frames)
    taught = Rendered(context(share=0.25))
    sample = sample_of(frames, taught, teacher, maps)
    sample["teacher_confidence"] = np.ones((4, K), np.float32)
    outputs = [np.zeros((4, *CELLS, c), np.float32) for c in (2 * len(SEGMENTS), K)]
    plain = Targets(STUDENT, CELLS, SEGMENTS)
    labels = GroundTruth(shared_targets(plain, taught, 0.75), ("pafs", "maps"))
    whole = float(GroundTruth(plain, ("pafs", "maps"))(outputs, sample, np.float32(1.3)))
    said = float(taught(outputs, sample, np.float32(1.3)))
    assert said == pytest.approx(0.25 * whole, rel=2e-3)
    assert said + float(labels(outputs, sample, np.float32(1.3))) == pytest.approx(whole, rel=1e-3)
    nothing = np.zeros((4, K), bool)
    alone = sample | {"annotated": nothing, "present": nothing}
    assert float(labels(outputs, alone, np.float32(1.3))) == 0
    assert float(taught(outputs, alone, np.float32(1.3))) == pytest.approx(4 * said, rel=1e-4)


def test_the_teachers_doubt_weighs() -> None:
    frames = items(2, TEACHER)
    losses = []
    for confidence in (0.8, 0.4):
        teacher, maps = knowing_teacher(frames, confidence)
        taught = Rendered(context(kinds=("maps",)))
        sample = sample_of(frames, taught, teacher, maps)
        losses.append(float(taught([np.zeros((2, *CELLS, K), np.float32)], sample, np.float32(1.3))))
    assert losses[0] == pytest.approx(2 * losses[1], rel=1e-4)


def test_a_keypoint_below_the_gate_has_no_say_and_is_the_labels_alone() -> None:
    frames = items(3, TEACHER)
    teacher, maps = knowing_teacher(frames)
    taught = Rendered(replace(context(share=0.25), gate=0.4))
    sample = sample_of(frames, taught, teacher, maps)
    confidence = np.ones((3, K), np.float32)
    confidence[:, :9] = 0.399  # sides are swapped in a mirrored frame: let both be alike
    confidence = np.minimum(confidence, confidence[:, list(POINTS.swaps)])
    sample["teacher_confidence"] = confidence
    sure = confidence[0] >= 0.4
    heard = np.asarray(taught.heard(sample))
    np.testing.assert_array_equal(heard, np.broadcast_to(sure, (3, K)))
    plain = taught.context.targets
    shared = shared_targets(plain, taught, 0.75)
    for kind, ends in (("maps", np.arange(K)[:, None]), ("pafs", np.repeat(np.array(SEGMENTS), 2, 0))):
        weight = np.asarray(getattr(shared, kind)(sample, np.float32(1.3))[1])
        annotated = np.asarray(getattr(plain, kind)(sample, np.float32(1.3))[1])
        both = sure[ends].all(-1)
        np.testing.assert_allclose(weight, annotated * np.where(both, 0.75, 1.0))
    told = taught._told(sample)
    for make in (taught._maps, taught._pafs):
        weight = np.asarray(make(told, sample, np.float32(1.3))[1])
        assert (weight > 0).any() and (weight == 0).any()
    weight = np.asarray(taught._maps(told, sample, np.float32(1.3))[1])
    np.testing.assert_array_equal(weight > 0, np.broadcast_to(sure, (3, K)))


@pytest.mark.parametrize("kind", [Rendered, Resized])
def test_keypoints_that_the_teacher_lacks_are_the_labels_alone(kind: Any) -> None:
    pairs = mapping(LSP_14, POINTS).pairs
    frames = items(2, TEACHER)
    codec = Codec(TEACHER, FINE, sigma=3.0)
    maps, _ = codec.encode(on_canvas(frames, TEACHER)[:, : len(LSP_14)])
    teacher = Teacher(Path("t"), "0", "rt", LSP_14, TEACHER, FINE, lambda c: maps, codec.decode)
    taught = kind(context(pairs=pairs))
    known = np.isin(POINTS.names, LSP_14.names)
    np.testing.assert_array_equal(taught.taught("maps"), known)
    shares = shared_targets(taught.context.targets, taught, 0.25)
    np.testing.assert_array_equal(shares.map_shares, np.where(known, 0.25, 1.0))
    sample = sample_of(frames, taught, teacher, maps)
    for channel in range(K):  # moving a channel that it lacks changes nothing
        outputs = [np.zeros((2, *CELLS, K), np.float32) for _ in range(2)]
        outputs[1][..., channel] = 1.0
        taught_maps = replace(taught, context=replace(taught.context, kinds=("maps",)))
        losses = [float(taught_maps([o], sample, np.float32(1.3))) for o in outputs]
        assert (losses[0] == pytest.approx(losses[1])) == (not known[channel]), POINTS.names[channel]


def test_every_mapping_is_the_same_in_the_mirror() -> None:
    """The terms take it for granted: what a teacher has on the left it has on the right."""
    for source in (IN_MOTION_19, MPII_16, LSP_14, COCO_17):
        for target in (IN_MOTION_19, MPII_16, LSP_14, COCO_17):
            known = np.zeros(len(target), bool)
            known[[t for _, t in mapping(source, target).pairs]] = True
            np.testing.assert_array_equal(known, known[list(target.swaps)])


def test_resized_maps_are_averages_at_the_labels_places() -> None:
    frames = items(6, TEACHER)
    teacher, maps = knowing_teacher(frames)
    small = Resized(context()).arrays(teacher, frames, maps)["teacher_maps"]
    assert small.shape == (6, *CELLS, K) and small.dtype == np.float16
    found, _ = Codec(STUDENT, CELLS, decoder="soft-argmax").decode(small.astype(np.float32))
    np.testing.assert_allclose(found, on_canvas(frames, STUDENT), atol=0.25)  # a cell is 4 px
    constant = np.ones_like(maps)
    inner = Resized(context()).arrays(teacher, frames, constant)["teacher_maps"][:, 1:-1, 1:-1]
    np.testing.assert_allclose(inner, 1.0, atol=1e-3)


def test_resized_maps_move_with_the_frame() -> None:
    frames = items(6, TEACHER)
    teacher, maps = knowing_teacher(frames)
    taught = Resized(context())
    sample = sample_of(frames, taught, teacher, maps)
    moved = np.asarray(taught._maps(sample))
    found, height = Codec(STUDENT, CELLS, decoder="soft-argmax").decode(moved)
    wanted = np.asarray(sample["keypoints_px"])
    inner = ((wanted > 8) & (wanted < 56)).all(-1)
    assert inner.sum() > 60 and height[inner].min() > 0.4  # averaged twice
    np.testing.assert_allclose(found[inner], wanted[inner], atol=0.6)


# --- the cache ------------------------------------------------------------------------------------


class FakeReader:
    def __init__(self, frames: list[Input]) -> None:
        self.frames, self.drawn = frames, 0

    def inputs(self, records: list[PoseRecord]) -> Iterator[Input]:
        self.drawn += len(records)
        yield from (self.frames[int(r.id)] for r in records)


@pytest.fixture
def query() -> TeacherQuery:
    frames = items(70, TEACHER)
    teacher, _ = knowing_teacher(frames)
    whole, _ = Codec(TEACHER, FINE, sigma=3.0).encode(on_canvas(frames, TEACHER))
    for i, frame in enumerate(frames):
        frame.canvas[0, 0, 0] = i  # the fake teacher knows a frame by its first pixel
    seeing = replace(teacher, run=lambda canvases: whole[canvases[:, 0, 0, 0]])
    return TeacherQuery(seeing, FakeReader(frames), [f.record for f in frames], Rendered(context()))  # type: ignore[arg-type]


def test_what_was_asked_is_not_asked_again(query: TeacherQuery, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    first = teacher_outputs(query, tmp_path / "c", {"a": [1]}, 1e9, lambda *done: told.append(done))
    assert told == [(64, 70), (70, 70)] and query.reader.drawn == 70  # type: ignore[attr-defined]
    again = teacher_outputs(query, tmp_path / "c", {"a": [1]}, 1e9, lambda *done: None)
    assert query.reader.drawn == 70  # type: ignore[attr-defined]
    indices = np.array([69, 3, 3, 64])
    for name, array in first(indices).items():
        np.testing.assert_array_equal(array, again(indices)[name])
        np.testing.assert_array_equal(array, query([69, 3, 3, 64])[name])


def test_a_damaged_part_and_another_job_are_asked_again(query: TeacherQuery, tmp_path: Path) -> None:
    teacher_outputs(query, tmp_path, {"a": 1}, 1e9, lambda *done: None)
    (part,) = tmp_path.glob("*/part-0000064-teacher_px.npy")
    part.write_bytes(b"\x93NUMPY")
    found = teacher_outputs(query, tmp_path, {"a": 1}, 1e9, lambda *done: None)
    assert query.reader.drawn == 76  # type: ignore[attr-defined]
    np.testing.assert_array_equal(found(np.array([65]))["teacher_px"], query([65])["teacher_px"])
    before = query.reader.drawn  # type: ignore[attr-defined]
    teacher_outputs(query, tmp_path, {"a": 2}, 1e9, lambda *done: None)
    assert query.reader.drawn == before + 70  # type: ignore[attr-defined]
    teacher_outputs(query, tmp_path, {"a": 1}, 1e9, lambda *done: None)
    assert query.reader.drawn == before + 70, "the other job's outputs are still there"  # type: ignore[attr-defined]


def test_the_cache_is_bounded_and_the_rest_is_asked_each_time(query: TeacherQuery, tmp_path: Path) -> None:
    bound = 10.5 * K * 12  # bytes: a frame has K points of two numbers and a confidence
    found = teacher_outputs(query, tmp_path, {}, bound, lambda *done: None)
    assert found.cached == 10
    assert sum(p.stat().st_size for p in tmp_path.glob("*/*.npy")) < bound + 2 * 128  # the headers
    indices = np.array([3, 50, 9, 10, 50])
    for name, array in found(indices).items():
        np.testing.assert_array_equal(array, query([3, 50, 9, 10, 50])[name])


def test_zeros_stand_for_frames_that_the_teacher_is_not_asked_about(query: TeacherQuery) -> None:
    some = replace(query, untaught=frozenset({"1", "4"}))
    found, whole = some([0, 1, 4, 5]), query([0, 1, 4, 5])
    for name, array in found.items():
        assert not array[1:3].any() and whole[name][1:3].any()
        np.testing.assert_array_equal(array[[0, 3]], whole[name][[0, 3]])
    drawn = query.reader.drawn  # type: ignore[attr-defined]
    assert not some([1, 4])["teacher_confidence"].any()
    assert query.reader.drawn == drawn, "not even their pictures are read"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("off", "coarse"), [(0.0, "100.0"), (0.3, "100.0"), (0.6, "0.0")])
def test_how_well_a_teacher_knows_the_labels_is_told_first(data: Path, off: float, coarse: str) -> None:
    """`off` head lengths beside every label: below PCKh@0.5's threshold nobody is warned."""
    training_data = open_training_data(DataRequest(str(data)))
    told = []
    for record in training_data.validation:
        with Image.open(record.image) as picture:
            placed = letterbox(picture.size[::-1], TEACHER)
        beside = np.array([off * head_px(record), 0.0])
        told.append(placed.to_canvas.apply(record.keypoints_px + beside))
    left = iter(told)
    teacher, _ = knowing_teacher(items(1, TEACHER))
    teacher = replace(
        teacher,
        run=lambda canvases: np.stack([next(left, told[-1]) for _ in canvases]),
        decode=lambda points: (points, np.ones(points.shape[:2])),
    )
    said = check_teacher(teacher, training_data, workers=1)
    fine = "100.0" if off == 0 else "0.0"
    assert said is not None
    assert f"on 4 validation frames: PCKh@0.5 {coarse}, PCKh@0.1 {fine}, ME {off:.3f}" in said
    assert ("WARNING" in said) == (coarse == "0.0")


def head_px(record: PoseRecord) -> float:
    points = dict(zip(POINTS.names, record.keypoints_px, strict=True))
    return float(np.linalg.norm(points["head_top"] - points["upper_neck"]))


def test_no_validation_no_teacher_check(data: Path) -> None:
    teacher, _ = knowing_teacher(items(1, TEACHER))
    training_data = open_training_data(DataRequest(str(data), validation_split="none"))
    assert check_teacher(teacher, training_data, workers=1) is None


def test_a_teacher_that_gives_nan_is_refused(query: TeacherQuery) -> None:
    broken = replace(query.teacher, run=lambda canvases: np.full((len(canvases), *FINE, K), np.nan))
    with pytest.raises(BadModel, match=r"NaN or infinity on 0\.png"):
        replace(query, teacher=broken)([0])


# --- runs -----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, data: Path, weights: Path) -> Path:
    """A run that nothing interrupted."""
    out = tmp_path_factory.mktemp("distilled") / "run"
    with pytest.MonkeyPatch.context() as patch:
        use(patch)
        distill(asked(data, out, weights))
    return out


def test_a_run_leaves_its_files_and_both_terms(whole: Path, weights: Path) -> None:
    log = rows(whole)
    for row in log:
        assert float(row["loss"]) == pytest.approx(float(row["ground_truth"]) + float(row["teacher"]))
        assert float(row["teacher"]) > 0 and float(row["ground_truth"]) > 0
    told = json.loads((whole / "run.json").read_text())["distillation"]
    assert (told["loss"], told["share"], told["targets"]) == ("fpd", 0.5, "rendered")
    assert len(list((whole / "teacher-cache").glob("*/*.npy"))) == 2


@pytest.mark.parametrize("targets", ["rendered", "resized"])
def test_a_killed_run_goes_on_to_the_same_weights(
    targets: str, whole: Path, data: Path, weights: Path, tmp_path: Path
) -> None:
    request = asked(data, tmp_path / "run", weights, targets=targets)
    if targets == "resized":
        whole = tmp_path / "whole"
        distill(asked(data, whole, weights, targets=targets))
    with pytest.raises(Crash):
        distill(request, crash_at(5, STEPS))
    distill(request)
    assert same_state(whole, tmp_path / "run")


def test_a_full_cache_changes_nothing(whole: Path, data: Path, weights: Path, tmp_path: Path) -> None:
    distill(asked(data, tmp_path / "run", weights, cache_gib=0))
    assert same_state(whole, tmp_path / "run")


def test_the_teacher_alone_hears_no_labels(data: Path, weights: Path, tmp_path: Path) -> None:
    other = make_data(tmp_path / "other", labels=1)
    for name, frames in (("a", data), ("b", other)):
        distill(asked(frames, tmp_path / name, weights, loss="teacher-only"))
    assert same_state(tmp_path / "a", tmp_path / "b")
    assert "ground_truth" not in rows(tmp_path / "a")[0]


def test_the_labels_alone_are_plain_training(data: Path, tmp_path: Path) -> None:
    request = asked(data, tmp_path / "distilled", None, loss="ground-truth")
    distill(request)
    fit(replace(request.student, out=tmp_path / "plain"))
    assert same_state(tmp_path / "distilled", tmp_path / "plain")


def test_pictures_without_labels_are_learned_from(data: Path, weights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    for i in range(3):
        noise = np.random.default_rng(i).integers(0, 255, (70, 50, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"v_{i}.png")
    distill(asked(data, tmp_path / "run", weights, unlabelled=folder))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["facts"]["frames"] == 13
    (part,) = (tmp_path / "run" / "teacher-cache").glob("*/part-0000000-teacher_px.npy")
    kept = np.load(part)
    assert len(kept) == 13 and kept[10:].any()
    # and with no label anywhere:
    bare = asked(Path(f"images:{folder}"), tmp_path / "bare", weights, loss="teacher-only")
    assert distill(bare).name == "last.safetensors"


def test_frames_whose_labels_are_not_used_are_learned_from_the_teacher_and_runs_resume(
    data: Path, weights: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    spec = f"{data}=1,labels=4,draw=1"
    student = {
        "data": DataRequest(spec, validation_split="none"),
        "augmentation": "home-cutout",
        "ema": 0.5,
    }
    cache = tmp_path / "cache"
    options = {"cache": cache, "gate": 0.1, "labelled_share": 0.25}
    distill(asked(data, tmp_path / "whole", weights, student, **options), Listener(say=said.append))
    assert any("6 of 10 frames are without labels" in s and "1 of the 4 of every batch" in s for s in said)
    assert all(
        float(row["teacher"]) > 0 and float(row["ground_truth"]) > 0 for row in rows(tmp_path / "whole")
    )
    again = asked(data, tmp_path / "again", weights, student, **options)
    with pytest.raises(Crash):
        distill(again, crash_at(5, STEPS))
    distill(again)
    assert same_state(tmp_path / "whole", tmp_path / "again")
    more = student | {"data": DataRequest(spec.replace("labels=4", "labels=8"), validation_split="none")}
    distill(asked(data, tmp_path / "more", weights, more, **options))
    assert len(list(cache.iterdir())) == 1, "the teacher saw these frames already"
    with pytest.raises(OtherJob, match=r"data_sha256: was .*'labels': '4'.*'labels': '8'"):
        distill(asked(data, tmp_path / "whole", weights, more, **options))
    with pytest.raises(UsageError, match="where every frame has labels"):
        distill(asked(data, tmp_path / "all", weights, labelled_share=0.5))
    assert not (tmp_path / "all").exists()


def peer(folder: Path) -> tuple[Path, Path]:
    """MoveNet, and BlazePose behind its detector, as small files."""
    files = {
        "move": write(folder / "move.tflite", movenet(64)),
        "blaze": write(folder / "blaze.tflite", landmarks()),
        "find": write(
            folder / "find.tflite", detector(np.array([[112.0, 150.0], [112.0, 60.0], [0, 0], [0, 0]]))
        ),
    }
    words = [str(files["move"]), "--output", "movenet", "--out", str(folder / "in")]
    assert CliRunner().invoke(cli.app, ["import-tflite", *words]).exit_code == 0
    words = [str(files["blaze"]), "--output", "blazepose", "--detector", str(files["find"])]
    assert CliRunner().invoke(cli.app, ["import-tflite", *words, "--out", str(folder / "in")]).exit_code == 0
    return folder / "in" / "move.tflite", folder / "in" / "blaze-detected.tflite"


def disc(path: Path, x: float, y: float, size: tuple[int, int] = (60, 80)) -> Path:
    rows, columns = np.mgrid[: size[0], : size[1]] + 0.5
    bright = 255 * ((columns - x) ** 2 + (rows - y) ** 2 < 36)
    Image.fromarray(np.repeat(bright[..., None], 3, -1).astype(np.uint8)).save(path)
    return path


def test_a_peer_teaches_as_a_black_box_and_finds_the_infant_itself(data: Path, tmp_path: Path) -> None:
    """Its keypoints land on the student's own canvas, turned and cropped or not; what it lacks has no say."""
    _, blaze = peer(tmp_path)
    teacher = open_teacher(blaze, "blazepose")
    assert (
        teacher.detector is not None and teacher.map_size is None and teacher.keypoints.key == "blazepose-33"
    )
    places = [(30.0, 25.0), (50.0, 40.0)]
    records = [
        PoseRecord(
            f"{i}",
            disc(tmp_path / f"{i}.png", x, y),
            np.array([[x - 9, y - 15], [x + 12, y + 13.0]] * 9 + [[x, y]]),
            f"{i}",
            "train",
        )
        for i, (x, y) in enumerate(places)
    ]
    black = PoseRecord("b", tmp_path / "b.png", records[0].keypoints_px, "b", "train")
    Image.fromarray(np.zeros((60, 80, 3), np.uint8)).save(black.image)
    pairs = mapping(teacher.keypoints, POINTS).pairs
    taught = Rendered(context(pairs=pairs))
    for framing in (Framing(), Framing("person", 0.3), Framing("person", 0.3, "upright", POINTS)):
        reader = Reader(teacher.input_size, framing, mapping(POINTS, POINTS), K)
        found = TeacherQuery(teacher, reader, [*records, black], taught)([0, 1, 2])
        known = taught.context.known
        assert found["teacher_confidence"][:2, known].min() > 0.8
        assert not found["teacher_confidence"][:, ~known].any()
        assert not found["teacher_confidence"][2].any(), "nobody is found in a black picture"
        for i, (record, place) in enumerate(zip(records, places, strict=True)):
            placed = framing.letterbox(record, (60, 80), STUDENT)
            wanted = placed.to_canvas.apply(np.array(place))
            np.testing.assert_allclose(found["teacher_px"][i, known], [wanted] * int(known.sum()), atol=1.0)
    beside = replace(records[0], keypoints_px=records[0].keypoints_px + np.array([30.0, 20.0]))
    reader = Reader(teacher.input_size, Framing("person", 0.0), mapping(POINTS, POINTS), K)
    found = TeacherQuery(teacher, reader, [beside], taught)([0])
    assert not found["teacher_confidence"].any(), "somebody beside the student's crop"
    spec = f"{data},labels=5"
    student = {"data": DataRequest(spec, validation_split="val"), "epochs": 1}
    said: list[str] = []
    distill(asked(data, tmp_path / "run", blaze, student, teacher="blazepose"), Listener(say=said.append))
    assert any("lacks keypoints of in-motion-19: head_top" in text for text in said)
    assert any("the teacher on 4 validation frames" in text for text in said)
    assert np.isfinite(float(rows(tmp_path / "run")[0]["teacher"]))


def test_a_frame_in_which_a_teacher_finds_nobody_is_told_and_counts_as_missed(
    data: Path, tmp_path: Path
) -> None:
    teacher = open_teacher(peer(tmp_path)[1], "blazepose")
    training_data = open_training_data(DataRequest(str(data)))
    first, *others = training_data.validation
    Image.fromarray(np.zeros((60, 80, 3), np.uint8)).save(tmp_path / "black.png")
    validation = (replace(first, image=tmp_path / "black.png"), *others)
    said = check_teacher(teacher, replace(training_data, validation=validation), workers=1)
    assert said is not None and "on 4 validation frames" in said and "nobody found in 1 of them" in said


def test_a_peer_without_a_detector_sees_what_the_student_sees(data: Path, tmp_path: Path) -> None:
    move, _ = peer(tmp_path)
    distill(asked(data, tmp_path / "run", move, {"epochs": 1}, teacher="movenet"))
    assert float(rows(tmp_path / "run")[0]["teacher"]) > 0
    with pytest.raises(UsageError, match="is of network movenet, not rt"):
        open_teacher(move, "rt")
    for changes, told in (
        ({"targets": "resized"}, "black box that gives keypoints alone"),
        ({"loss": "features"}, "no features|black box"),
        ({"weights": None}, "is not trained here"),
    ):
        with pytest.raises(UsageError, match=told):
            replace(asked(data, tmp_path / "no", move, teacher="movenet"), **changes).check()


def test_without_weights_the_teacher_is_trained_first_and_once(data: Path, tmp_path: Path) -> None:
    said: list[str] = []
    request = asked(data, tmp_path / "run", None, teacher_resolution=96, teacher_epochs=1)
    distill(request, Listener(say=said.append))
    assert "first the teacher, EfficientPose RT at 96 px for 1 epochs" in said[0]
    assert "how long that takes is told after its first steps" in said[0]
    assert any("the teacher took" in text for text in said)
    assert any(text.startswith("teacher: epoch 0, step 3") for text in said)
    assert any("s a step: about" in text and "for the 2 to come" in text for text in said)
    facts = json.loads((tmp_path / "run" / "teacher" / "done.json").read_text())
    bound = json.loads((tmp_path / "run" / "run.json").read_text())["distillation"]
    assert bound["teacher_sha256"] == facts["sha256"]
    # Stopped while the teacher was trained, then while the student was:
    other = replace(request, student=replace(request.student, out=tmp_path / "again"))
    with pytest.raises(Crash):
        distill(other, crash_at(2, total=3))
    onwards = other
    with pytest.raises(Crash):
        distill(onwards, crash_at(4, STEPS))
    distill(onwards)
    assert same_state(tmp_path / "run", tmp_path / "again")
    with pytest.raises(OtherJob, match=r"settings.epochs: was 1, now 2"):
        distill(replace(onwards, teacher_epochs=2))
    changed = DataRequest(str(make_data(tmp_path / "changed", labels=1)), validation_split="none")
    with pytest.raises(OtherJob, match=r"teacher holds a job of other settings: data_sha256: was"):
        distill(replace(onwards, student=replace(onwards.student, data=changed)))


def test_the_student_starts_from_a_checkpoint(data: Path, weights: Path, tmp_path: Path) -> None:
    start = make_teacher(tmp_path / "start.safetensors", model="rt-lite", resolution=64)
    said: list[str] = []
    slow = {"init": start, "learning_rate": 1e-12, "epochs": 1, "steps_per_epoch": 1}
    distill(asked(data, tmp_path / "run", weights, slow), Listener(say=said.append))
    assert any("new: nothing" in text for text in said)
    first, last = load_file(start), load_file(tmp_path / "run" / "last.safetensors")
    np.testing.assert_allclose(last["stem_conv/kernel"], first["stem_conv/kernel"], atol=1e-6)


def test_runs_share_a_cache_and_what_was_asked(data: Path, weights: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        student = {"seed": seed, "epochs": 1, "steps_per_epoch": 1}
        distill(asked(data, tmp_path / str(seed), weights, student, cache=tmp_path / "shared"))
        assert not (tmp_path / str(seed) / "teacher-cache").exists()
        kept = sorted((tmp_path / "shared").glob("*/*.npy"))
        times = [path.stat().st_mtime_ns for path in kept]
        if seed == 0:
            first = kept, times
    assert (kept, times) == first and len(kept) == 2, "asked once"
    distill(asked(data, tmp_path / "maps", weights, student, cache=tmp_path / "shared", targets="resized"))
    assert len(list((tmp_path / "shared").iterdir())) == 2, "another job has its own folder"
    assert [path.stat().st_mtime_ns for path in kept] == times


def ship(patch: pytest.MonkeyPatch, folder: Path, *models: str, keypoints: str = POINTS.key) -> None:
    """Weights that come with the project."""
    table = {}
    for model in models:
        path = make_teacher(folder / f"{model}.safetensors", keypoints, model)
        table[model] = DefaultWeights(
            model, keypoints, sha256_file(path), "none", 96, "trained on noise", "nothing"
        )
    patch.setattr(defaults, "FOLDER", folder)
    patch.setattr(defaults, "DEFAULT_WEIGHTS", table)


def test_the_projects_own_weights_are_taken_where_there_are_any(
    monkeypatch: pytest.MonkeyPatch, data: Path, weights: Path, tmp_path: Path
) -> None:
    ship(monkeypatch, tmp_path, "rt", "rt-lite")
    said: list[str] = []
    request = asked(data, tmp_path / "run", None, {"epochs": 1}, default_start=True)
    distill(request, Listener(say=said.append))
    assert "no --init: the student starts from the project's default:rt-lite, trained on noise" in said
    assert "no --teacher-weights: the project's default:rt, trained on noise" in said
    told = json.loads((tmp_path / "run" / "run.json").read_text())
    assert told["init_sha256"] == sha256_file(tmp_path / "rt-lite.safetensors")
    assert told["distillation"]["teacher_sha256"] == sha256_file(tmp_path / "rt.safetensors")
    assert not (tmp_path / "run" / "teacher").exists()


def test_weights_of_other_keypoints_or_that_are_not_wanted_are_not_taken(
    monkeypatch: pytest.MonkeyPatch, data: Path, weights: Path, tmp_path: Path
) -> None:
    ship(monkeypatch, tmp_path, "rt", "rt-lite", keypoints=MPII_16.key)
    said: list[str] = []
    fitted = {"epochs": 1, "steps_per_epoch": 1}
    distill(asked(data, tmp_path / "a", weights, fitted, default_start=True), Listener(say=said.append))
    assert any("no weights of rt-lite for in-motion-19 come" in text for text in said)
    ship(monkeypatch, tmp_path, "rt", "rt-lite")
    wanted = asked(data, tmp_path / "b", None, fitted, teacher_resolution=64)
    distill(wanted, Listener(say=said.append))
    assert any("first the teacher" in text for text in said)
    assert json.loads((tmp_path / "b" / "run.json").read_text())["init_sha256"] is None


def test_what_init_may_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert start_path(None, "rt") is None and start_path("none", "rt") is None
    assert start_path("none.safetensors", "rt") == Path("none.safetensors")
    with pytest.raises(BadCheckpoint, match="comes without weights"):
        start_path("default", "rt")
    ship(monkeypatch, tmp_path, "rt")
    assert start_path("default", "rt") == start_path("default:rt", "b4") == tmp_path / "rt.safetensors"
    with pytest.raises(UnknownName, match="known: default:rt"):
        start_path("default", "b4")
    with pytest.raises(UnknownName, match="known: default:rt"):
        start_path("default", "rt-lite-small")
    ship(monkeypatch, tmp_path, "rt", "rt-lite")
    assert start_path("default", "rt-lite-small") == tmp_path / "rt-lite.safetensors"
    ship(monkeypatch, tmp_path, "rt-lite", "rt-lite-small")
    assert start_path("default", "rt-lite-small") == tmp_path / "rt-lite-small.safetensors"


def test_a_smoke_run_is_small_in_everything(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    for i in range(18):
        Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(folder / f"v_{i:02d}.png")
    request = smoke(asked(data, tmp_path / "run", None, unlabelled=folder))
    assert (request.student.steps_per_epoch, request.teacher_resolution) == (3, 64)
    request.check()
    names = [record.id for record in request.training_data().records]
    assert len(names) == 10 + 16 and names[-1] == "unlabelled/v_15.png"


def test_a_tflite_is_a_teacher_like_its_checkpoint(data: Path, weights: Path, tmp_path: Path) -> None:
    from edgepose.deploy.export import export_checkpoint

    black = {
        output: export_checkpoint(weights, "fp32", output, tmp_path).path for output in ("maps", "keypoints")
    }
    white, box = open_teacher(weights, "rt"), open_teacher(black["maps"], "rt")
    canvases = np.random.default_rng(0).integers(0, 255, (3, 96, 96, 3), dtype=np.uint8)
    np.testing.assert_allclose(white.run(canvases), box.run(canvases), atol=1e-4)
    assert (box.input_size, box.map_size) == (white.input_size, white.map_size)
    distill(asked(data, tmp_path / "run", black["keypoints"]))
    assert float(rows(tmp_path / "run")[0]["teacher"]) > 0
    with pytest.raises(UsageError, match="no maps to resize"):
        distill(asked(data, tmp_path / "other", black["keypoints"], targets="resized"))
    assert not (tmp_path / "other").exists()


def test_a_teacher_with_the_flip_test_gives_the_mean_of_both(
    data: Path, weights: Path, tmp_path: Path
) -> None:
    straight, both = (open_teacher(weights, "rt", flip=flip) for flip in (False, True))
    canvases = np.random.default_rng(0).integers(0, 255, (3, 96, 96, 3), dtype=np.uint8)
    turned_back = straight.run(canvases[:, :, ::-1])[:, :, ::-1][..., list(POINTS.swaps)]
    np.testing.assert_allclose(both.run(canvases), (straight.run(canvases) + turned_back) / 2, atol=1e-5)
    bound = {}
    for flip in (False, True):
        once = {"epochs": 1, "steps_per_epoch": 1}
        distill(asked(data, tmp_path / str(flip), weights, once, flip=flip, cache=tmp_path / "cache"))
        bound[flip] = json.loads((tmp_path / str(flip) / "run.json").read_text())["distillation"]
    assert bound[True]["teacher_sha256"] == bound[False]["teacher_sha256"] + "+flip"
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_a_real_student_learns(
    monkeypatch: pytest.MonkeyPatch, data: Path, weights: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(training_setup, "build", REAL_BUILD)
    distill(asked(data, tmp_path / "run", weights, {"epochs": 1, "steps_per_epoch": 2, "batch": 2}))
    row = rows(tmp_path / "run")[0]
    assert 0 < float(row["teacher"]) < float(row["loss"])


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error", "told"),
    [
        ({"loss": "fdp"}, UnknownName, "unknown loss 'fdp'.*fpd, features, teacher-only, ground-truth"),
        ({"targets": "drawn"}, UnknownName, "known: rendered, resized"),
        ({"teacher": "b5"}, UnknownName, "unknown model 'b5'"),
        ({"teacher": "i"}, UsageError, "is of network rt, not i"),
        ({"share": 1.0}, UsageError, "share is 1.0"),
        ({"share": float("nan")}, UsageError, "share is nan"),
        ({"cache_gib": -1.0}, UsageError, "bound is -1.0"),
        ({"gate": 1.5}, UsageError, "confidence is 1.5"),
        ({"gate": 0.1, "targets": "resized"}, UsageError, "have no gate"),
        ({"labelled_share": 1.0}, UsageError, "leaves no place"),
        ({"labelled_share": 0.5, "loss": "teacher-only"}, UsageError, "no effect with --loss teacher-only"),
        ({"teacher": "movenet"}, UsageError, "is of network rt, not movenet"),
        ({"teacher_epochs": 3}, UsageError, "trained first"),
        ({"student": {"model": "rt-light"}}, UnknownName, "unknown model"),
        ({"student": {"resolution": 65}}, UsageError, "resolution of 65"),
        ({"weights": "missing.safetensors"}, BadModel, "missing.safetensors"),
        ({"weights": "missing.tflite"}, BadModel, "missing.tflite"),
        ({"weights": "weights.h5"}, BadModel, "weights.h5"),
        ({"student": {"init": Path("none.safetensors")}}, BadCheckpoint, "none.safetensors"),
    ],
)
def test_what_can_never_work_is_refused_before_a_run_begins(
    changes: dict[str, Any], error: type[UserError], told: str, data: Path, weights: Path, tmp_path: Path
) -> None:
    student = changes.pop("student", {}) if isinstance(changes.get("student"), dict) else {}
    path = tmp_path / changes["weights"] if "weights" in changes else weights
    changed = {k: v for k, v in changes.items() if k != "weights"}
    with pytest.raises(error, match=told):
        distill(asked(data, tmp_path / "run", path, student, **changed))
    assert not (tmp_path / "run").exists()


def test_unlabelled_pictures_need_a_teacher_no_crop_and_to_be_others(
    data: Path, weights: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="without a teacher"):
        asked(data, tmp_path, weights, unlabelled=data, loss="ground-truth").check()
    cropped = {"data": DataRequest(str(data), validation_split="none", crop="person")}
    with pytest.raises(UsageError, match="no person box"):
        asked(data, tmp_path, weights, cropped, unlabelled=data).check()
    with pytest.raises(BadDataset, match="10 images that are among"):
        asked(data, tmp_path, weights, unlabelled=data).training_data()


def test_damaged_teachers_are_refused(data: Path, weights: Path, tmp_path: Path) -> None:
    for name in ("cut.safetensors", "alone.tflite"):
        (tmp_path / name).write_bytes(weights.read_bytes()[:100])
        with pytest.raises(UserError, match=name):
            distill(asked(data, tmp_path / "run", tmp_path / name))
    assert not (tmp_path / "run").exists()


def test_a_teacher_with_other_keypoints_is_mapped_or_refused_with_the_list(
    data: Path, tmp_path: Path
) -> None:
    other = make_teacher(tmp_path / "mpii.safetensors", MPII_16.key)
    said: list[str] = []
    distill(asked(data, tmp_path / "run", other), Listener(say=said.append))
    assert any("lacks keypoints of in-motion-19: nose" in s and "labels alone" in s for s in said)
    with pytest.raises(UsageError, match="lacks keypoints of in-motion-19: nose, right_ear"):
        distill(asked(data, tmp_path / "alone", other, loss="teacher-only"))
    nearer = {"data": DataRequest(str(data), validation_split="none", partial=True, near=True)}
    distill(asked(data, tmp_path / "partial", other, nearer, loss="teacher-only"))


def test_without_labelled_frames_only_the_teacher_can_teach(weights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    folder.mkdir()
    for i in range(2):
        Image.fromarray(np.full((64, 64, 3), i, np.uint8)).save(folder / f"v_{i}.png")
    with pytest.raises(BadDataset, match="has no frame in split 'train' with a keypoint"):
        distill(asked(Path(f"images:{folder}"), tmp_path / "run", weights))


def test_a_resumed_run_is_held_to_its_teacher_and_its_loss(
    whole: Path, data: Path, weights: Path, tmp_path: Path
) -> None:
    request = asked(data, whole, weights)
    with pytest.raises(OtherJob, match=r"distillation\.loss: was 'fpd', now 'teacher-only'"):
        distill(replace(request, loss="teacher-only"))
    with pytest.raises(OtherJob, match=r"distillation\.share: was 0.5, now 0.7"):
        distill(replace(request, share=0.7))
    keras().utils.set_random_seed(8)
    info = CheckpointInfo("rt", POINTS.key, None, 96, "another")
    save_checkpoint(tmp_path / "other.safetensors", weights_of(tiny(info)), info)
    with pytest.raises(OtherJob, match=r"distillation\.teacher_sha256: was"):
        distill(replace(request, weights=tmp_path / "other.safetensors"))


# --- the command and the built-in infants ----------------------------------------------------------


def test_the_built_in_infants_are_made_in_the_users_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made: list[Any] = []
    monkeypatch.setattr(builtin, "synthesise", lambda *args, **named: made.append((args, named)))
    said: list[str] = []
    name = builtin.built_in_infants(builtin.SMOKE, said.append, lambda *done: None)
    folder = builtin.SMOKE.folder
    assert name == f"in-motion:{folder}" and folder.is_relative_to(tmp_path / "edgepose")
    assert made[0][0] == (folder, 12, 2) and made[0][1]["size"] == (120, 160)
    assert str(folder) in said[0] and "24 frames" in said[0]
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert builtin.FULL.folder.is_relative_to(tmp_path / "home" / ".cache" / "edgepose")


def test_built_in_sets_have_names_and_folders_of_their_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert builtin.built_in("built-in:infants") is builtin.FULL
    home = builtin.built_in("built-in:infants-home")
    assert home.variety == "home"
    assert builtin.FULL.folder.name == "infants2-100x20-640x480"  # as it always was
    assert home.folder.name == "infants-home-1-400x5-320x320"
    postures = builtin.built_in("infants-home-postures")
    assert postures.variety == "home-postures" and "home-postures" in postures.folder.name
    with pytest.raises(UnknownName, match="known: infants, infants-home, infants-home-postures"):
        builtin.built_in("built-in:infants-hospital")


def test_distill_draws_the_named_infants_in_miniature(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from edgepose.cli.distill import command

    app = typer.Typer()
    app.command()(command)
    drawn: list[builtin.BuiltIn] = []

    def draw(chosen: builtin.BuiltIn, *_: Any) -> str:
        drawn.append(chosen)
        raise UsageError("drawn", "stop here")

    monkeypatch.setattr(builtin, "built_in_infants", draw)
    options = ["--teacher", "rt", "--student", "rt-lite", "--out", str(tmp_path / "run"), "--smoke"]
    done = CliRunner().invoke(app, [*options, "--data", "built-in:infants-home"])
    assert isinstance(done.exception, UsageError)
    assert [(b.variety, b.videos, b.size) for b in drawn] == [("home", 12, (120, 160))]


def test_the_command_in_miniature(
    monkeypatch: pytest.MonkeyPatch, data: Path, weights: Path, tmp_path: Path
) -> None:
    from edgepose.cli.distill import command

    app = typer.Typer()
    app.command()(command)
    monkeypatch.setattr(builtin, "built_in_infants", lambda *_: str(data))
    options = ["--teacher", "rt", "--student", "rt-lite", "--out", str(tmp_path / "run"), "--smoke", "--json"]
    done = CliRunner().invoke(app, [*options, "--teacher-weights", str(weights)])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["checkpoint"] == str(tmp_path / "run" / "best.safetensors")
    assert told["epochs"][0]["step"] == 3 and "pckh@0.1" in told["epochs"][0]


def test_a_request_that_cannot_work_draws_no_infants(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from edgepose.cli.distill import command

    app = typer.Typer()
    app.command()(command)
    drawn: list[Any] = []
    monkeypatch.setattr(builtin, "built_in_infants", lambda *_: drawn.append(1))
    options = ["--teacher", "rt", "--student", "rt-lite", "--out", str(tmp_path / "run"), "--loss", "none"]
    done = CliRunner().invoke(app, options)
    assert isinstance(done.exception, UnknownName) and not drawn


def test_framing_is_shared_with_the_student() -> None:
    """A person crop is drawn on both canvases from the same box."""
    record = PoseRecord("0", Path("0.png"), np.array([[10.0, 20.0], [90.0, 70.0]]), "0", "train")
    framing = Framing("person", 0.2)
    theirs, ours = (framing.letterbox(record, (100, 120), size) for size in (TEACHER, STUDENT))
    moved = between(theirs, STUDENT).apply(theirs.to_canvas.apply(record.keypoints_px))
    np.testing.assert_allclose(moved, ours.to_canvas.apply(record.keypoints_px), atol=1e-9)
