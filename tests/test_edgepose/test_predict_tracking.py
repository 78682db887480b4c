"""Two-stage tracking on a disc that moves, whose place is known exactly."""

from __future__ import annotations

import numpy as np
import pytest
from blob_videos import BlobFinder, disc, truth

from edgeio.ahead import side_by_side
from edgepose.errors import UsageError
from edgepose.inference.estimator import Clock, Estimator, Pose, second_peaks
from edgepose.inference.finding import square
from edgepose.tracking.tracking import BEHIND, RECHECK, Sight, Tracker, box_inside, parse_crop

SIZE = (240, 480)


def path(count: int) -> list[tuple[float, float, float]]:
    """A disc that crosses the picture and comes nearer."""
    t = np.linspace(0, 1, count)
    return [(60 + 120 * a, 120 + 30 * np.sin(4 * a), 20 + 8 * a) for a in t]


def follow(
    discs: list[tuple[float, float, float] | None], least: float = 6.0
) -> tuple[list, Tracker, BlobFinder]:
    runner = BlobFinder(least=least)
    poses, tracker = followed(runner, [disc(SIZE, [] if d is None else [d]) for d in discs])
    return poses, tracker, runner


def followed(runner: BlobFinder, pictures: list[np.ndarray]) -> tuple[list[Pose], Tracker]:
    tracker, estimator, clock = Tracker(), Estimator(runner), Clock()
    asked = ((tracker.look(), picture) for picture in pictures)
    poses = []
    for sight in side_by_side(asked, [lambda each: each[0].at(estimator, each[1], clock)], tracker.behind):
        tracker.tell(sight)
        poses.append(sight.pose)
    return poses, tracker


def test_it_follows_and_is_finer_than_the_whole_picture() -> None:
    discs = path(150)  # slow, so that the square holds all of the disc, which reaches beyond its keypoints
    poses, tracker, runner = follow(discs)
    errors = [
        np.linalg.norm(p.points_px - truth(*d), axis=1).mean() for p, d in zip(poses, discs, strict=True)
    ]
    estimator, clock = Estimator(BlobFinder()), Clock()
    wide = []
    for d in discs:
        pose = estimator.pose(estimator.place(disc(SIZE, [d]), None, clock), True, clock)
        wide.append(np.linalg.norm(pose.points_px - truth(*d), axis=1).mean())
    assert np.mean(errors) < 0.6 * np.mean(wide) and max(errors) < 1.5
    assert not tracker.lost and not tracker.whole
    assert all(not p.whole for p in poses)
    assert min(p.cells_per_px for p in poses) > 1.3 * pose.cells_per_px
    assert len(discs) < runner.calls < 1.3 * len(discs), "one look a picture, as a rule"


def test_an_infant_that_leaps_is_lost_and_found_on_the_same_picture() -> None:
    discs = [(60.0, 60.0, 18.0)] * 3 + [(420.0, 180.0, 18.0)] * 3
    poses, tracker, _ = follow(list(discs))
    assert tracker.lost == 1 and tracker.whole == 0
    for pose, d in zip(poses, discs, strict=True):
        assert np.linalg.norm(pose.points_px - truth(*d), axis=1).max() < 2


def test_the_square_is_the_same_however_early_it_is_told_of_the_pictures() -> None:
    """Early as one thread is done, late as four threads are."""
    rng = np.random.default_rng(3)
    pose = Pose(np.zeros((19, 2)), np.ones(19), 1.0, np.nan, False)
    sights = [Sight(pose, laid=(0.0, 0.0, 9.0, 9.0))]
    for _ in range(40):
        x, y = rng.uniform(0, 50, 2)
        box = (x, y, x + 60, y + 60)
        missed = rng.random() < 0.2
        sights.append(Sight(pose, laid=box if missed else None, aim=None if missed else box, missed=missed))
    early, late = Tracker(), Tracker()
    told = 0
    for number, sight in enumerate(sights):
        while told <= number - late.behind():
            late.tell(sights[told])
            told += 1
        assert early.look() == late.look(), number
        early.tell(sight)
    assert late.behind() == BEHIND > number - told > 0


def test_fewer_frames_of_the_file_are_waited_for_with_a_stride() -> None:
    for stride, behind in ((1, BEHIND), (2, BEHIND // 2), (BEHIND, 1), (50, 1)):
        tracker = Tracker(stride=stride)
        tracker.look()
        tracker.tell(Sight(Pose(np.zeros((19, 2)), np.ones(19), 1.0, np.nan, False), laid=(0, 0, 9, 9)))
        tracker.look()
        assert tracker.behind() == behind


def test_an_empty_picture_is_predicted_whole() -> None:
    poses, tracker, _ = follow([(60.0, 60.0, 18.0), None, None, (60.0, 60.0, 18.0)])
    assert [p.whole for p in poses] == [False, True, True, False]
    assert tracker.lost == 1 and tracker.whole == 2
    assert poses[1].peaks.max() == 0


def test_the_square_lies_inside_and_keeps_the_infant() -> None:
    poses, _, _ = follow([(20.0, 20.0, 18.0)])
    x0, y0, x1, y1 = square(poses[0], SIZE)
    assert x0 >= 0 and y0 >= 0 and x1 <= SIZE[1] and y1 <= SIZE[0]
    points = truth(20, 20, 18)
    assert ((points > (x0, y0)) & (points < (x1, y1))).all()


def test_a_near_infant_gets_the_whole_picture() -> None:
    poses, _, _ = follow([(240.0, 120.0, 110.0)])
    x0, y0, x1, y1 = square(poses[0], SIZE)
    assert (y0, y1) == (0, 240) and x1 - x0 > 300
    tall = disc((300, 300), [(150, 150, 140)])
    estimator, clock = Estimator(BlobFinder()), Clock()
    assert square(estimator.pose(estimator.place(tall, None, clock), True, clock), (300, 300)) == (
        0,
        0,
        300,
        300,
    )


def test_a_second_infant_is_looked_for_in_the_whole_picture() -> None:
    both = disc(SIZE, [(80, 120, 20), (380, 120, 20)])
    one = disc(SIZE, [(80, 120, 20)])
    poses, _ = followed(BlobFinder(), [one] + [both] * RECHECK)
    doubles = [pose.doubles for pose in poses]
    assert doubles[0] == 0 and np.isnan(doubles[1:-1]).all() and doubles[-1] == 1.0


def test_second_peaks_need_strength_and_distance() -> None:
    maps = np.zeros((28, 28, 4), np.float32)
    maps[5, 5] = 0.8
    maps[5, 8, 0] = 0.7  # the same hill
    maps[5, 20, 1] = 0.15  # weak
    maps[20, 5, 2] = 0.5
    assert second_peaks(maps) == 0.25
    assert second_peaks(np.full((28, 28, 3), 0.01)) == 0, "an empty map has no peaks at all"


@pytest.mark.parametrize(
    "text", ["", "box", "1,2,3", "1,2,3,4,5", "a,b,c,d", "0,0,0,10", "-1,0,5,5", "nan,0,5,5", "0,0,inf,5"]
)
def test_crops_that_cannot_be(text: str) -> None:
    with pytest.raises(UsageError, match="--crop"):
        parse_crop(text)


def test_crops() -> None:
    assert parse_crop("auto").mode == "auto" and parse_crop("none").box is None
    box = parse_crop("10,20,30,40").box
    assert box == (10, 20, 40, 60)
    box_inside(box, (60, 40))
    with pytest.raises(UsageError, match="outside the picture of 40 x 59"):
        box_inside(box, (59, 40))
