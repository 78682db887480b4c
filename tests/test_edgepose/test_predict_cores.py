"""Many frames at once: the same numbers as one at a time, in order, in bounded memory; and fewer frames."""

from __future__ import annotations

import random
import threading
import time
import weakref
from pathlib import Path

import av
import numpy as np
import pytest
from blob_videos import MODEL, BlobFinder, K, disc, no_bar, write_video
from PIL import Image

from edgeio.ahead import side_by_side
from edgepose.errors import UsageError
from edgepose.inference.estimator import Estimator
from edgepose.tracking.batch import PredictRequest, settings_of
from edgepose.tracking.overlay import overlay_video
from edgepose.tracking.predict import Prediction, predict_source
from edgepose.tracking.sources import find_sources
from edgepose.tracking.video import Video, fingerprint

SIZE = (120, 160)


class ManyFinders(BlobFinder):
    """Several can run at once, and none takes as long as the one before."""

    def __init__(self, path: Path = MODEL) -> None:
        super().__init__(path)
        self._busy = threading.Lock()
        self.made: list[ManyFinders] = []

    def replica(self) -> ManyFinders:
        self.made.append(ManyFinders(self.spec.path))
        return self.made[-1]

    def run(self, inputs: np.ndarray) -> np.ndarray:
        assert self._busy.acquire(blocking=False), "one interpreter on two threads"
        try:
            time.sleep(random.uniform(0, 0.01))
            return super().run(inputs)
        finally:
            self._busy.release()


def moving(path: Path, count: int = 24, **changes) -> Path:
    return write_video(path, [disc(SIZE, [(50.0 + 2 * i, 55.0, 26.0)]) for i in range(count)], **changes)


def predicted(runner: BlobFinder, path: Path, **asked) -> Prediction:
    (source,) = find_sources([path]).found
    settings = settings_of(PredictRequest(**{"crop": "none", "turn": "0", **asked}))
    return predict_source(Estimator(runner), source, settings, lambda done, total: None)


def assert_identical(one: Prediction, many: Prediction) -> None:
    assert one.track.files == many.track.files and one.skipped == many.skipped
    for name in ("index", "raw_px", "smooth_px", "peak", "confidence", "cells_per_px", "doubles", "time_s"):
        assert getattr(one.track, name).tobytes() == getattr(many.track, name).tobytes(), name
    for a, b in zip(one.thumbnails, many.thumbnails, strict=True):
        assert a.index == b.index and a.canvas.tobytes() == b.canvas.tobytes()


@pytest.mark.parametrize("asked", [{}, {"crop": "10,0,140,120"}, {"turn": "auto"}, {"crop": "auto"}])
def test_many_workers_find_what_one_finds_to_the_bit(tmp_path: Path, asked: dict) -> None:
    path, finder = moving(tmp_path / "a.mp4"), ManyFinders()
    one = predicted(ManyFinders(), path, workers=1, **asked)
    many = predicted(finder, path, workers=3, **asked)
    assert_identical(one, many)
    assert one.tracked == many.tracked and one.turns == many.turns
    assert (one.workers, many.workers) == (1, 3) and len(finder.made) == 2
    assert all(each.calls for each in (finder, *finder.made)), "all of them work"


@pytest.mark.parametrize("asked", [{"crop": "none"}, {"crop": "auto"}, {"crop": "auto", "turn": "auto"}])
def test_a_folder_of_images_too(tmp_path: Path, asked: dict) -> None:
    (tmp_path / "photos").mkdir()
    for i in range(9):
        Image.fromarray(disc(SIZE, [(50.0 + 3 * i, 60.0, 25.0)])).save(tmp_path / f"photos/{i}.png")
    (tmp_path / "photos/4.png").write_bytes(b"no image")
    one = predicted(ManyFinders(), tmp_path / "photos", workers=1, **asked)
    many = predicted(ManyFinders(), tmp_path / "photos", workers=3, **asked)
    assert_identical(one, many)
    assert one.tracked == many.tracked and one.turns == many.turns
    assert len(many.track) == 8 and len(many.skipped) == 1 and many.workers == 3


def test_a_runner_that_cannot_be_replicated_stays_alone(tmp_path: Path) -> None:
    assert predicted(BlobFinder(), moving(tmp_path / "a.mp4", 4), workers=4).workers == 1


def test_a_crop_outside_the_picture_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="reaches outside"):
        predicted(ManyFinders(), moving(tmp_path / "a.mp4", 4), workers=3, crop="0,0,500,20")


def test_a_depth_that_is_said_anew_holds_items_back() -> None:
    ended = [0]
    most = []

    def items():
        for i in range(20):
            most.append(i - ended[0])
            yield i

    for _ in side_by_side(items(), [lambda item: item] * 3, lambda: 1 if ended[0] < 10 else 4):
        ended[0] += 1
    assert ended[0] == 20 and set(most[:10]) == {0} and max(most[10:]) == 3


def test_items_come_in_order_and_no_more_are_under_way_than_allowed() -> None:
    started, ended = [0], [0]

    def items():
        for i in range(40):
            started[0] += 1
            assert started[0] - ended[0] <= 5
            yield i

    def worker(item: int) -> int:
        time.sleep(random.uniform(0, 0.003))
        return item

    for i, found in enumerate(side_by_side(items(), [worker] * 3, 5)):
        ended[0] += 1
        assert found == i
    assert ended[0] == 40


def test_no_more_bytes_are_under_way_than_allowed() -> None:
    sizes, held, most = [30, 30, 30, 200, 10, 90, 20], [0], [0]

    def worker(size: int) -> int:
        with lock:
            held[0] += size
            most[0] = max(most[0], held[0] if size < 100 else 0)
            assert size < 100 or held[0] == size, "a large one is alone"
        time.sleep(0.01)
        with lock:
            held[0] -= size
        return size

    lock = threading.Lock()
    assert list(side_by_side(sizes, [worker] * 3, 6, lambda size: size, 100)) == sizes
    assert 30 < most[0] <= 100


def test_no_more_frames_in_memory_than_are_waiting_and_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive, most, real = [0], [0], Video.frames

    def gone() -> None:
        alive[0] -= 1

    def frames(self: Video):
        for frame in real(self):
            alive[0] += 1
            most[0] = max(most[0], alive[0])
            weakref.finalize(frame, gone)
            yield frame

    monkeypatch.setattr(Video, "frames", frames)
    assert predicted(ManyFinders(), moving(tmp_path / "a.mp4", 60), workers=3).workers == 3
    assert 3 < most[0] <= 8 + 2 * 3 + 4


def test_a_workers_error_comes_in_its_items_place() -> None:
    def worker(item: int) -> int:
        if item == 3:
            raise ValueError("three")
        return item

    found = []
    with pytest.raises(ValueError, match="three"):
        found.extend(side_by_side(range(9), [worker] * 2, 4))
    assert found == [0, 1, 2]


# Fewer frames


@pytest.mark.parametrize(
    ("asked", "stride"),
    [
        ({"stride": 3}, 3),
        ({"sample_rate": 10}, 2),
        ({"sample_rate": 8.3}, 3),
        ({"sample_rate": 100}, 1),
        ({"sample_rate": 10, "fps": 50}, 5),
    ],
)
def test_fewer_frames_keep_their_true_times(tmp_path: Path, asked: dict, stride: int) -> None:
    path = moving(tmp_path / "a.mp4", 23)
    whole = predicted(BlobFinder(), path, smooth="median:3", **{k: v for k, v in asked.items() if k == "fps"})
    fewer = predicted(BlobFinder(), path, smooth="median:3", **asked)
    assert fewer.stride == stride and not fewer.skipped
    np.testing.assert_array_equal(fewer.track.index, whole.track.index[::stride])
    np.testing.assert_array_equal(fewer.track.time_s, whole.track.time_s[::stride])
    np.testing.assert_array_equal(fewer.track.raw_px, whole.track.raw_px[::stride])
    assert fewer.track.unsmoothed == 0, "a frame left out on purpose is no gap"


def test_the_overlay_shows_the_predicted_frames_at_their_times(tmp_path: Path) -> None:
    path = moving(tmp_path / "a.mp4", 10)
    found = predicted(BlobFinder(), path, stride=4)
    assert found.times_s is not None
    with no_bar("", "") as progress:
        out = tmp_path / "o.mp4"
        overlay_video(path, fingerprint(path), found.times_s, found.track, out, progress, found.stride)
    with av.open(str(out)) as drawn:
        times = [float(frame.time) for frame in drawn.decode(video=0)]
    np.testing.assert_allclose(times, [0, 0.16, 0.32], atol=1e-4)
    assert found.track.raw_px.shape == (3, K, 2)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"stride": 0}, "--stride 0 is no step"),
        ({"sample_rate": 0}, "--sample-rate 0 is no rate"),
        ({"sample_rate": float("nan")}, "--sample-rate nan is no rate"),
        ({"stride": 2, "sample_rate": 5}, "both say which frames"),
    ],
)
def test_steps_that_cannot_be(asked: dict, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        settings_of(PredictRequest(**asked))
