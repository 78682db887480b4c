"""Clustered bootstrap intervals against a slow, literal bootstrap on the same draws."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from edgepose.data.human_spread import HumanSpread
from edgepose.errors import BadResults
from edgepose.evaluation.bootstrap import bootstrap_scores, draws, paired_difference
from edgepose.evaluation.metrics import score

NAN = math.nan
NAMES = ("nose", "left_ear", "right_ear")
HUMAN = HumanSpread(("nose", "right_ear"), (0.1, 0.1), (0.2, 0.3), "test")
KEYS = ("pckh@1.0", "pckh@0.5", "pckh@0.3", "pckh@0.2", "pckh@0.1", "auc", "me", "pckh@human95")


def sample(seed: int, n: int = 60, n_videos: int = 9) -> tuple[np.ndarray, list[str]]:
    """Distances with a video effect, gaps, an image and a keypoint-video without labels."""
    rng = np.random.default_rng(seed)
    video = rng.integers(0, n_videos, size=n)
    d = np.abs(0.2 * rng.normal(size=(n, 3)) + 0.2 * rng.normal(size=n_videos)[video, None])
    d[rng.random(size=d.shape) < 0.2] = NAN
    d[0] = NAN
    d[video == 2, 1] = NAN
    return d, [f"v{v}" for v in video]


def slow_replicates(d: np.ndarray, videos: list[str], replicates: int, seed: int) -> list[np.ndarray]:
    """Literally gather the rows of the drawn videos, for each replicate: row indices into `d`."""
    rows = {v: [i for i in range(len(d)) if videos[i] == v] for v in sorted(set(videos))}
    counts = np.concatenate(list(draws(len(rows), replicates, seed)))
    return [
        np.concatenate([np.repeat(np.array(r), int(c)) for r, c in zip(rows.values(), row, strict=True)])
        for row in counts
    ]


def test_equals_a_literal_bootstrap_on_the_same_draws() -> None:
    d, videos = sample(3)
    found = bootstrap_scores(d, videos, NAMES, HUMAN, replicates=300, seed=5)
    assert tuple(found.overall) == tuple(found.per_keypoint) == KEYS
    whole = score(d, NAMES, HUMAN)
    slow = [score(d[rows], NAMES, HUMAN) for rows in slow_replicates(d, videos, 300, 5)]
    for key in KEYS:
        cells = [(found.overall[key], whole.figures[key].overall, [s.figures[key].overall for s in slow])]
        for k in range(3):
            figures = [s.figures[key].per_keypoint[k] for s in slow]
            cells.append((found.per_keypoint[key][k], whole.figures[key].per_keypoint[k], figures))
        for estimate, value, replicated in cells:
            if np.isnan(value):
                assert np.isnan(estimate.value)
                assert estimate.interval.reason == "nothing is scored"
                continue
            assert estimate.value == pytest.approx(value, abs=1e-12)
            expected = np.nanquantile(replicated, [0.025, 0.975])
            assert estimate.interval.bounds == pytest.approx(tuple(expected), abs=1e-12)


def test_differences_equal_a_literal_paired_bootstrap() -> None:
    a, videos = sample(4)
    b = 1.1 * a + 0.02
    found = paired_difference(a, b, videos, NAMES, HUMAN, replicates=200, seed=6)
    slow = [
        (score(a[rows], NAMES, HUMAN).figures, score(b[rows], NAMES, HUMAN).figures)
        for rows in slow_replicates(a, videos, 200, 6)
    ]
    for key in KEYS:
        replicated = [x[key].overall - y[key].overall for x, y in slow]
        expected = np.quantile(replicated, [0.025, 0.975])
        assert found.overall[key].interval.bounds == pytest.approx(tuple(expected), abs=1e-12)
    assert found.overall["me"].value == pytest.approx(
        score(a, NAMES).figures["me"].overall - score(b, NAMES).figures["me"].overall
    )


def test_a_video_for_each_image_is_the_ordinary_bootstrap() -> None:
    """The standard error of a mean of n independent images, from theory."""
    d = np.random.default_rng(7).gamma(4.0, 0.05, size=(400, 1))
    found = bootstrap_scores(d, [str(i) for i in range(400)], ("nose",), seed=1)
    low, high = found.overall["me"].interval.bounds
    expected = 2 * 1.96 * d.std() / np.sqrt(400)
    assert high - low == pytest.approx(expected, rel=0.06)
    assert low < d.mean() < high
    assert found.n_videos == 400


def test_clustering_widens_the_interval() -> None:
    rng = np.random.default_rng(8)
    video = np.repeat(np.arange(30), 20)
    d = np.abs(0.3 + 0.1 * rng.normal(size=30)[video] + 0.02 * rng.normal(size=600))[:, None]
    clustered = bootstrap_scores(d, video.astype(str).tolist(), ("nose",)).overall["me"].interval.bounds
    ordinary = bootstrap_scores(d, [str(i) for i in range(600)], ("nose",)).overall["me"].interval.bounds
    assert clustered[1] - clustered[0] > 3 * (ordinary[1] - ordinary[0])


def test_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(9)
    covered = 0
    for trial in range(200):
        video = np.repeat(np.arange(40), 5)
        d = (1.0 + 0.2 * rng.normal(size=40)[video] + 0.2 * rng.normal(size=200))[:, None]
        found = bootstrap_scores(d, video.astype(str).tolist(), ("nose",), replicates=300, seed=trial)
        low, high = found.overall["me"].interval.bounds
        covered += low <= 1.0 <= high
    assert 0.89 <= covered / 200 <= 0.99


def test_pairing_removes_what_both_models_share() -> None:
    d, videos = sample(10, n=300, n_videos=40)
    worse = d + 0.01
    low, high = paired_difference(d, worse, videos, NAMES).overall["me"].interval.bounds
    assert low == pytest.approx(-0.01)
    assert high == pytest.approx(-0.01)
    alone = bootstrap_scores(d, videos, NAMES).overall["me"].interval.bounds
    assert alone[1] - alone[0] > 0.01


def test_difference_has_the_sign_of_first_minus_baseline() -> None:
    d, videos = sample(11)
    there = paired_difference(d, 2 * d, videos, NAMES, seed=2).overall["pckh@0.2"]
    back = paired_difference(2 * d, d, videos, NAMES, seed=2).overall["pckh@0.2"]
    assert there.value > 0
    assert there.value == -back.value
    assert there.interval.bounds == pytest.approx(tuple(-x for x in reversed(back.interval.bounds)))


def test_same_seed_same_interval_other_seed_another() -> None:
    d, videos = sample(12)
    one, same, other = (bootstrap_scores(d, videos, NAMES, seed=s).overall["me"] for s in (0, 0, 1))
    assert one == same
    assert one.interval != other.interval
    assert one.value == other.value


def test_the_order_of_images_does_not_matter() -> None:
    d, videos = sample(13)
    order = np.random.default_rng(0).permutation(len(d))
    one = bootstrap_scores(d, videos, NAMES)
    two = bootstrap_scores(d[order], [videos[i] for i in order], NAMES)
    assert one.overall["auc"].interval.bounds == pytest.approx(two.overall["auc"].interval.bounds)


def test_one_video_has_a_value_and_no_interval() -> None:
    found = bootstrap_scores(np.array([[0.1], [0.3]]), ["a", "a"], ("nose",))
    assert found.overall["me"].value == pytest.approx(0.2)
    assert found.overall["me"].interval.bounds is None
    assert found.overall["me"].interval.reason == "one video: nothing to resample"
    assert found.n_videos == 1


def test_a_keypoint_labelled_in_one_video_only_has_no_interval() -> None:
    d = np.array([[0.1, 0.1], [0.3, NAN], [0.2, NAN]])
    found = bootstrap_scores(d, ["a", "b", "c"], ("nose", "left_ear"))
    assert found.per_keypoint["me"][0].interval.bounds is not None
    assert found.per_keypoint["me"][1].interval.reason == "one video: nothing to resample"
    assert found.overall["me"].interval.bounds is not None


def test_images_without_a_score_are_not_drawn() -> None:
    d, videos = sample(14)
    padded = np.vstack([d, np.full((50, 3), NAN)])
    found = bootstrap_scores(padded, videos + [f"empty{i}" for i in range(50)], NAMES)
    without = bootstrap_scores(d, videos, NAMES)
    for key in ("pckh@0.2", "me"):
        assert found.overall[key] == without.overall[key]
        assert found.per_keypoint[key] == without.per_keypoint[key]
    assert found.n_videos == len({v for v, row in zip(videos, d, strict=True) if not np.isnan(row).all()})


def test_nothing_scored() -> None:
    found = bootstrap_scores(np.full((2, 1), NAN), ["a", "b"], ("nose",))
    assert np.isnan(found.overall["pckh@0.5"].value)
    assert found.overall["pckh@0.5"].interval.reason == "nothing is scored"
    assert found.n_videos == 0


def test_a_missing_prediction_unbounds_the_error_but_not_the_shares() -> None:
    d = np.array([[0.1, 0.1], [math.inf, 0.1], [0.3, 0.2], [0.1, 0.4]])
    found = bootstrap_scores(d, ["a", "b", "c", "d"], ("nose", "left_ear"))
    assert found.overall["me"].interval.reason == "unbounded: a prediction is missing"
    assert found.per_keypoint["me"][0].interval.bounds is None
    assert found.per_keypoint["me"][1].interval.bounds is not None
    assert found.overall["pckh@0.5"].value == 7 / 8
    assert found.overall["auc"].interval.bounds is not None


def test_results_on_other_keypoints_do_not_pair() -> None:
    a = np.array([[0.1, 0.2], [0.1, 0.2]])
    b = np.array([[0.1, NAN], [0.1, 0.2]])
    with pytest.raises(BadResults, match="same keypoints"):
        paired_difference(a, b, ["a", "b"], ("nose", "left_ear"))
    with pytest.raises(BadResults, match="same keypoints"):
        paired_difference(a, a[:1], ["a", "b"], ("nose", "left_ear"))


def test_every_image_needs_its_video() -> None:
    with pytest.raises(ValueError, match="one video for each"):
        bootstrap_scores(np.zeros((3, 1)), ["a", "b"], ("nose",))


def test_draws_are_whole_and_even() -> None:
    weights = np.concatenate(list(draws(7, 600, 0)))
    assert weights.shape == (600, 7)
    assert (weights.sum(axis=1) == 7).all()
    np.testing.assert_allclose(weights.mean(axis=0), 1.0, atol=0.12)


def test_arguments_are_not_written_to() -> None:
    d, videos = sample(15)
    d.setflags(write=False)
    paired_difference(d, d, videos, NAMES, HUMAN, replicates=10)


def test_the_papers_test_split_takes_seconds() -> None:
    """4024 images of 19 keypoints, each its own video: the largest case that we expect."""
    d = np.random.default_rng(0).gamma(2.0, 0.05, size=(4024, 19))
    start = time.process_time()
    bootstrap_scores(d, [str(i) for i in range(4024)], [f"k{k}" for k in range(19)], replicates=500)
    assert time.process_time() - start < 15
