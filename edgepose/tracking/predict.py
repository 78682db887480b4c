"""One input from start to end: decoding on one thread, letterbox and network on as many as there are cores.

Frames stay in order, and a frame's pose does not depend on how many threads there are. Each thread has an
interpreter of one thread: two threads in one interpreter take 3.0 ms of processor time for a frame of RT Lite
int8 where one takes 2.6, and letterbox and maps would still wait for each other. Queues are bounded in
bytes, so that memory does not grow with the length of a video: at most `_QUEUE_BYTES` of decoded frames wait
for a thread, and as many are under way; one frame each where a single one is larger. With --crop auto the
network looks where the infant was some frames before, so that these are several at once
(`edgepose/tracking/tracking.py`). Images know nothing of each other.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path

import numpy as np

from edgeio import Progress
from edgeio.ahead import ahead, side_by_side
from edgepose.data.images import decode_parallel, image_size, other_pages, page_count
from edgepose.errors import BadImage, UsageError
from edgepose.inference.estimator import Clock, Estimator, Placed, Pose
from edgepose.inference.finding import Turn, find, find_turn, is_found, with_second
from edgepose.tracking.clock import ASSUMED_RATE
from edgepose.tracking.confidence import Confidence
from edgepose.tracking.pictures import Thumbnail, Thumbnails
from edgepose.tracking.quality import QualityWarning, quality_warnings, warn_of_turns
from edgepose.tracking.smoothing import Smoothing
from edgepose.tracking.sources import Source
from edgepose.tracking.track import FramePose, Track, make_track
from edgepose.tracking.tracking import AUTO, NONE, Crop, Look, Sight, Tracker, box_inside
from edgepose.tracking.video import Fingerprint, Frame, Skipped, Video, VideoFacts

_QUEUE_BYTES = 96_000_000  # of decoded frames that wait, and of those under way
_DEEPEST = 8
_IMAGE_BYTES, _LEAST_DECODING = 400_000_000, 2  # of photographs decoded ahead, by the first one's size
_LOOKED_AT = (0, 12, 24)  # frames of a video that its turn is found on


@dataclass(frozen=True)
class PredictSettings:
    """How poses are made of pictures, and tracks of poses.

    Attributes:
        turn: right angles by which pictures are turned clockwise; None finds it, once a video.
        confidence: a model's curves; None takes the peaks as they are.
        abstain_below: keypoints of less confidence are left out of the smoothed track.
        workers: threads that predict frames, each with an interpreter of its own, and that decode images.
        fps: frames a second of the videos, instead of their own times; None takes those.
        stride: from one predicted frame of a video to the next.
        sample_rate: frames a second to predict, by the nearest stride; None takes `stride`.
    """

    crop: Crop = field(default_factory=lambda: Crop(NONE))
    turn: int | None = 0
    smoothing: Smoothing = field(default_factory=Smoothing)
    confidence: Confidence | None = None
    abstain_below: float = 0.0
    workers: int = 2
    fps: float | None = None
    stride: int = 1
    sample_rate: float | None = None

    def stride_of(self, rate: float | None) -> int:
        """The stride for a video of `rate` frames a second; None where its header does not say."""
        if self.sample_rate is None:
            return self.stride
        return max(round((self.fps or rate or ASSUMED_RATE) / self.sample_rate), 1)


@dataclass(frozen=True)
class Prediction:
    """One input's track, and what there is to say about it.

    Attributes:
        skipped: frames and images without a pose, and what the file lost.
        warnings: what a person should know before trusting the track.
        video: of the header; None for images.
        times_s: when each of the video's frames was shown, skipped ones too, by their index; None for images.
        seconds: by stage; stages overlap, so they add up to more than `wall_s`.
        wall_s: from opening the input to the last pose.
        tracked: of --crop auto: pictures on which the infant was "lost", and "whole" ones.
        turns: how each looked-for turn came out; empty where none was looked for.
        stride: from one predicted frame of the video to the next.
        workers: threads that predicted frames at the same time.
    """

    name: str
    track: Track
    skipped: tuple[Skipped, ...]
    warnings: tuple[QualityWarning, ...]
    video: VideoFacts | None
    times_s: np.ndarray | None
    seconds: dict[str, float]
    wall_s: float
    tracked: dict[str, int]
    turns: tuple[Turn, ...]
    thumbnails: list[Thumbnail]
    stride: int = 1
    workers: int = 1


def predict_source(
    estimator: Estimator,
    source: Source,
    settings: PredictSettings,
    progress: Progress,
    known: Fingerprint | None = None,
) -> Prediction:
    """Predict every frame of an input.

    Args:
        known: a video's fingerprint from when the caller first saw it.

    Raises:
        BadVideo, BadImage: nothing in it can be used, or it changed while it was read.
        UsageError: a crop outside the picture.
    """
    work = _Work(estimator, settings, progress)
    if source.kind == "video":
        with Video(source.paths[0], known, settings.fps) as video:
            bytes_each = 3 * video.facts.width * video.facts.height
            depth = min(max(_QUEUE_BYTES // max(bytes_each, 1), 1), _DEEPEST)
            video.stride = settings.stride_of(video.facts.rate)
            expected = video.expected_frames
            work.all(video.frames(), depth, expected and -(-expected // video.stride), video.stride)
        return work.prediction(source.name, video.skipped, video.warnings, video)
    skipped: list[Skipped] = []
    work.images(_images(source, settings.workers, skipped), len(source.paths))
    if not work.frame_poses:
        raise BadImage(
            f"no image of {source.name} can be used ({skipped[0].reason})", "copy or export it again"
        )
    return work.prediction(source.name, skipped)


def predict_array(estimator: Estimator, image: np.ndarray, settings: PredictSettings) -> Prediction:
    """Predict one picture in memory.

    Args:
        image: (H, W, 3) uint8 RGB.

    Raises:
        UsageError: another shape or type, or a crop outside the picture.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise UsageError(
            f"an array of shape {image.shape} and type {image.dtype}", "give (H, W, 3) uint8 RGB"
        )
    work = _Work(estimator, settings, lambda done, total: None)
    work.images([Frame(0, image, "array")], 1)
    return work.prediction("array", [])


def _bytes_of(frame: Frame) -> int:
    return frame.image.nbytes


def _bytes_of_first(asked: tuple[Frame, Look]) -> int:
    return _bytes_of(asked[0])


def _decoding_threads(source: Source, workers: int) -> int:
    """As many as workers, but fewer for large photographs: each thread has two decoded ahead."""
    try:
        height, width = image_size(source.paths[0])
    except BadImage:
        return min(workers, _LEAST_DECODING)
    return min(workers, max(_IMAGE_BYTES // (6 * height * width), _LEAST_DECODING))


def _images(source: Source, workers: int, skipped: list[Skipped]) -> Iterator[Frame]:
    """An input's images; the index of one that cannot be used is left out, and listed."""
    for index, (path, image) in enumerate(decode_parallel(source.paths, _decoding_threads(source, workers))):
        name = source.file_name(path)
        if isinstance(image, BadImage):
            skipped.append(Skipped(index, None, image.what.replace(str(path), name), name))
            continue
        if (pages := _pages(path)) > 1:
            skipped.append(Skipped(None, None, other_pages(pages), name))
        yield Frame(index, image, name)


def _pages(path: Path) -> int:
    try:
        return page_count(path)
    except BadImage:  # gone since it was read
        return 1


def _warn_of_framing(settings: PredictSettings) -> list[QualityWarning]:
    """Where the confidence was calibrated on pictures that the network saw otherwise."""
    if settings.confidence is None:
        return []
    cropped = settings.confidence.data.get("crop") == "person"
    if cropped == (settings.crop.mode != NONE):
        return []
    seen = "the infant's region" if cropped else "whole pictures"
    hint = "--crop auto" if cropped else "`edgepose calibrate-confidence --crop person --margin 0.35`"
    text = f"the confidence was calibrated on {seen}, and here the network sees something else: use {hint}"
    return [QualityWarning("confidence-framing", None, text)]


class _Work:
    """The pictures of one input on their way to poses."""

    def __init__(self, estimator: Estimator, settings: PredictSettings, progress: Progress) -> None:
        self._estimator, self._crop, self._progress = estimator, settings.crop, progress
        self.clock, self.thumbnails = Clock(), Thumbnails()
        self.frame_poses: list[FramePose] = []
        self._settings, self._started = settings, time.perf_counter()
        self.tracked: dict[str, int] = {}
        self.turns: list[Turn] = []
        self.workers, self._stride = 1, 1

    def images(self, frames: Iterable[Frame], expected: int) -> None:
        """Predict images, which know nothing of each other; results are in `frame_poses`."""
        estimators = self._estimator.replicas(self._settings.workers)
        self.workers = len(estimators)
        each = [partial(self._image, estimator) for estimator in estimators]
        with closing(ahead(self._timed(frames), 2)) as decoded:
            found = side_by_side(decoded, each, 2 * len(each), _bytes_of, _QUEUE_BYTES)
            with closing(found):
                for frame, pose, turn in found:
                    self.thumbnails.see(frame)
                    self.turns += [] if turn is None else [turn]
                    self.frame_poses.append(FramePose.of(frame, pose))
                    if self._crop.mode == AUTO:
                        self.tracked = {"lost": 0, "whole": self.tracked.get("whole", 0) + pose.whole}
                    self._progress(len(self.frame_poses), max(expected, len(self.frame_poses)))

    def _image(self, estimator: Estimator, frame: Frame) -> tuple[Frame, Pose, Turn | None]:
        quarters = self._settings.turn
        if self._crop.mode == AUTO:
            pose, turn = find(estimator, frame.image, True, quarters, self.clock)
            return frame, self._against_whole(estimator, frame, pose, quarters, turn), turn
        turn = None
        if quarters is None:
            turn = find_turn([estimator], [frame.image], self.clock)
            quarters = turn.quarters
        return frame, self._framed_pose(estimator, frame, quarters), turn

    def _against_whole(
        self, estimator: Estimator, frame: Frame, pose: Pose, quarters: int | None, turn: Turn | None
    ) -> Pose:
        """The pose with the word of the rest of the picture on second infants; or the whole picture's own
        pose, where the region shows nobody."""
        if pose.whole:
            return pose
        turned = turn.quarters if turn is not None else quarters or 0
        if is_found(pose):
            return with_second(estimator, frame.image, pose, turned, self.clock)
        return estimator.pose(estimator.place(frame.image, None, self.clock, turned), True, self.clock)

    def all(self, frames: Iterable[Frame], depth: int, expected: int | None, stride: int) -> None:
        """Predict a video's frames, one in `stride`; results are in `frame_poses`."""
        follow, self._stride = self._crop.mode == AUTO, stride
        with closing(ahead(self._timed(frames), depth)) as decoded:
            if self._settings.turn is None:
                poses = self._turned(decoded, follow, depth)
            else:
                poses = self._posed(decoded, follow, depth, self._settings.turn)
            with closing(poses):
                for entry in poses:
                    self.frame_poses.append(entry)
                    self._progress(len(self.frame_poses), max(expected or 0, len(self.frame_poses)))

    def prediction(
        self,
        name: str,
        skipped: Sequence[Skipped],
        said: Sequence[str] = (),
        video: Video | None = None,
    ) -> Prediction:
        """What came of it; `said` are the file's own warnings."""
        chosen = self._settings
        times_s = None if video is None else video.times_s
        stride = 1 if video is None else video.stride
        track = make_track(
            self.frame_poses,
            self._estimator.spec.keypoints,
            chosen.confidence,
            chosen.abstain_below,
            chosen.smoothing,
            times_s,
            stride,
        )
        return Prediction(
            name=name,
            track=track,
            skipped=tuple(skipped),
            warnings=(
                *(QualityWarning("file", None, text) for text in said),
                *_warn_of_framing(chosen),
                *warn_of_turns(self.turns),
                *quality_warnings(track),
            ),
            video=None if video is None else video.facts,
            times_s=times_s,
            seconds=self.clock.seconds,
            wall_s=time.perf_counter() - self._started,
            tracked=self.tracked,
            turns=tuple(self.turns),
            thumbnails=self.thumbnails.chosen(),
            stride=stride,
            workers=self.workers,
        )

    def _timed(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        each = iter(frames)
        while True:
            with self.clock.stage("decode"):
                frame = next(each, None)
            if frame is None:
                return
            yield frame

    def _turned(self, frames: Iterator[Frame], follow: bool, depth: int) -> Generator[FramePose, None, None]:
        """A video's turn is found on its first frames."""
        first = next(frames, None)
        if first is None:
            return
        most = min(max(_QUEUE_BYTES // first.image.nbytes, 1), _LOOKED_AT[-1] + 1)
        begin = [first, *islice(frames, most - 1)]
        looked_at = [begin[i].image for i in _LOOKED_AT if i < len(begin)]
        turn = find_turn(self._estimator.replicas(self._settings.workers), looked_at, self.clock)
        self.turns.append(turn)
        yield from self._posed(chain(begin, frames), follow, depth, turn.quarters)

    def _posed(
        self, frames: Iterator[Frame], follow: bool, depth: int, turns: int
    ) -> Generator[FramePose, None, None]:
        return self._followed(frames, turns) if follow else self._framed(frames, depth, turns)

    def _framed(self, frames: Iterator[Frame], depth: int, turns: int) -> Generator[FramePose, None, None]:
        """The whole picture or a fixed box, on several threads; on one, letterboxed ahead of the network."""
        box = self._crop.box
        estimators = self._estimator.replicas(self._settings.workers)
        self.workers = len(estimators)

        def pose(estimator: Estimator, frame: Frame) -> tuple[Frame, Pose]:
            return frame, self._framed_pose(estimator, frame, turns)

        def in_turn() -> Iterator[tuple[Frame, Pose]]:
            placed = ((frame, self._placed(self._estimator, frame, turns)) for frame in frames)
            with closing(ahead(placed, depth)) as ready:
                for frame, where in ready:
                    yield frame, self._estimator.pose(where, box is None, self.clock)

        if len(estimators) == 1:
            poses: Generator[tuple[Frame, Pose]] | Iterator[tuple[Frame, Pose]] = in_turn()
        else:
            each = [partial(pose, estimator) for estimator in estimators]
            poses = side_by_side(frames, each, 2 * len(estimators), _bytes_of, _QUEUE_BYTES)
        for frame, found in poses:
            self.thumbnails.see(frame)
            yield FramePose.of(frame, found)

    def _placed(self, estimator: Estimator, frame: Frame, turns: int) -> Placed:
        box = self._crop.box
        if box is not None:
            box_inside(box, (frame.image.shape[0], frame.image.shape[1]))
        return estimator.place(frame.image, box, self.clock, turns)

    def _framed_pose(self, estimator: Estimator, frame: Frame, turns: int) -> Pose:
        return estimator.pose(self._placed(estimator, frame, turns), self._crop.box is None, self.clock)

    def _followed(self, frames: Iterator[Frame], turns: int) -> Generator[FramePose, None, None]:
        """Where the network looks depends on the poses some frames before."""
        tracker = Tracker(turns, self._stride)
        estimators = self._estimator.replicas(self._settings.workers)
        self.workers = len(estimators)

        def sight(estimator: Estimator, asked: tuple[Frame, Look]) -> tuple[Frame, Sight]:
            frame, look = asked
            return frame, look.at(estimator, frame.image, self.clock)

        asked = ((frame, tracker.look()) for frame in frames)
        each = [partial(sight, estimator) for estimator in estimators]
        for frame, seen in side_by_side(asked, each, tracker.behind, _bytes_of_first, _QUEUE_BYTES):
            tracker.tell(seen)
            self.tracked = {"lost": tracker.lost, "whole": tracker.whole}
            self.thumbnails.see(frame)
            yield FramePose.of(frame, seen.pose)
