"""Writes a whole synthetic data set, on several processes, and goes on where it was cut off.

    OUT/processed/{train,val,test}/images_1024x1024/VIDEO_FRAME.jpg
    OUT/processed/{train,val,test}/points/VIDEO_FRAME.txt
    OUT/videos.csv, OUT/raters.csv, OUT/dataset.json

That is In-Motion's processed layout, folder names included: 1024x1024 is a name there, the files have
their own sizes. A frame is done when its picture is there, which is written last and lands whole.
"""

from __future__ import annotations

import csv
import multiprocessing
import os
import platform
import re
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import scipy
from PIL import Image

import edgepose
from edgeio import Progress, UserError, cores, jobs, read_json, replacing, write_json
from edgepose.data.records import SPLITS
from edgepose.errors import BadDataset, UsageError
from edgepose.keypoints import IN_MOTION_19
from edgepose.synthetic.raters import IMAGES, RATERS, write_raters
from edgepose.synthetic.variety import CLINIC
from edgepose.synthetic.variety import variety as variety_of
from edgepose.synthetic.video import (
    FRAME_SECONDS,
    Draw,
    SyntheticFrame,
    SyntheticVideo,
    stream,
    video,
    video_split,
)

IMAGES_FOLDER = "images_1024x1024"
FINISHED, UNFINISHED = "dataset.json", "unfinished.json"
_SIDES = (64, 4096)
_CHUNK = 25  # frames that one worker makes in a row

FrameSize = tuple[int, int] | int | None


@dataclass(frozen=True)
class Spec:
    """All that the bytes depend on, beside the versions of NumPy, SciPy and Pillow.

    Attributes:
        size: height, width in px; one number is the longest side of each recording setup's own shapes; None
            lets every setup have its own sizes.
        variety: a name of `variety.VARIETIES`.
        generator: that variety's.
    """

    seed: int
    videos: int
    frames: int
    size: FrameSize
    variety: str
    generator: int

    def json(self) -> dict[str, Any]:
        return {**asdict(self), "size": list(self.size) if isinstance(self.size, tuple) else self.size}


def parse_size(text: str) -> tuple[int, int] | int:
    """(height, width) of "640x480", which is width x height; of "320", the longest side.

    Raises:
        UsageError: neither one nor two whole numbers.
    """
    if re.fullmatch(r"\s*\d{1,5}\s*", text):
        return int(text)
    match = re.fullmatch(r"\s*(\d{1,5})\s*[xX×]\s*(\d{1,5})\s*", text)
    if match is None:
        raise UsageError(
            f"size '{text}' is not WIDTHxHEIGHT", "give it like 640x480, or 320 for the longest side"
        )
    return int(match[2]), int(match[1])


def synthesise(
    out: Path,
    videos: int,
    frames: int,
    seed: int = 0,
    size: FrameSize = None,
    workers: int | None = None,
    progress: Progress | None = None,
    variety: str = CLINIC,
    overwrite: bool = False,
) -> Path:
    """Make synthetic infants in In-Motion's processed layout, annotated exactly.

    The same arguments give the same bytes, whatever the number of workers. A set that was cut off is
    finished; a finished one of the same arguments is left as it is. Every video and frame is the same in a
    set with more of them.

    Args:
        out: folder, new or empty, or an unfinished set of the same arguments.
        videos: number of videos, one infant each.
        frames: frames of each video, `FRAME_SECONDS` apart.
        seed: 0 or more.
        size: height, width in px of every frame; one number for the longest side of each recording setup's
            own shapes; None for each setup's own sizes.
        workers: processes; None for as many as there are CPU cores to use.
        progress: called with frames done and frames in all.
        variety: what the videos are drawn from, a name of `variety.VARIETIES`.
        overwrite: replace a set of other arguments.

    Returns:
        `out`.

    Raises:
        UnknownName: there is no such variety.
        UsageError: a number out of range, or `out` holds something else than a set.
        OtherJob: `out` holds a set of other arguments, or is being written.
        UserError: a worker was killed.
        OSError: `out` cannot be written to; run again to go on.
    """
    spec = _checked(Spec(seed, videos, frames, size, variety, variety_of(variety).generator), workers)
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file", "choose a folder")
    with jobs.locked(out):
        if _finished(out, spec, overwrite):
            return out
        write_json(out / UNFINISHED, spec.json())
        for split in SPLITS:
            (out / "processed" / split / "points").mkdir(parents=True, exist_ok=True)
            (out / "processed" / split / IMAGES_FOLDER).mkdir(exist_ok=True)
        _remove_leftovers(out)
        _make_frames(out, spec, workers or cores(), progress or (lambda done, total: None))
        _finish(out, spec)
    return out


def _checked(spec: Spec, workers: int | None) -> Spec:
    for name, value, least in (
        ("videos", spec.videos, 1),
        ("frames", spec.frames, 1),
        ("seed", spec.seed, 0),
    ):
        if value < least:
            raise UsageError(f"--{name} is {value}", f"give {least} or more")
    if workers is not None and workers < 1:
        raise UsageError(f"--workers is {workers}", "give 1 or more")
    sides = spec.size if isinstance(spec.size, tuple) else (spec.size or _SIDES[1],)
    least = (
        _SIDES[0] if isinstance(spec.size, tuple) else 2 * _SIDES[0]
    )  # the shorter side is half of it or more
    if not all(least <= side <= _SIDES[1] for side in sides):
        asked = "x".join(str(side) for side in reversed(sides))
        raise UsageError(f"--size is {asked}", f"give sides of {least} to {_SIDES[1]} pixels")
    return spec


def _finished(out: Path, spec: Spec, overwrite: bool) -> bool:
    """Whether the set is there already; refuses a folder that holds anything else than a part of it."""
    for name in (FINISHED, UNFINISHED):
        if (out / name).is_file():
            if overwrite:
                _clear(out)
                return False
            found = read_json(out / name, jobs.OTHERS)
            there = found.get("spec", found) if isinstance(found, dict) else None
            jobs.check_same(out, there, spec.json())  # the generator's number stands for the code's hash
            return name == FINISHED and not any(_tasks(out, spec))
    if any(path.name != ".lock" for path in out.iterdir()):
        raise UsageError(f"{out} is not empty", "choose a new folder, or empty this one")
    return False


def _clear(out: Path) -> None:
    """Remove what a set is made of, and nothing else."""
    for name in (FINISHED, UNFINISHED, "videos.csv", "raters.csv"):
        (out / name).unlink(missing_ok=True)
    for split in SPLITS:
        for name in ("points", IMAGES_FOLDER):
            shutil.rmtree(out / "processed" / split / name, ignore_errors=True)


def _remove_leftovers(out: Path) -> None:
    """Temporary files of a process that was killed."""
    for path in (out / "processed").glob("*/*/.*.partial.*"):
        path.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Task:
    """Some frames of one video."""

    out: Path
    seed: int
    number: int
    size: FrameSize
    variety: str
    frames: tuple[int, ...]


def _make_frames(out: Path, spec: Spec, workers: int, progress: Progress) -> None:
    tasks = list(_tasks(out, spec))
    total = spec.videos * spec.frames
    done = total - sum(len(task.frames) for task in tasks)
    progress(done, total)
    for count in _run(tasks, min(workers, len(tasks))):
        done += count
        progress(done, total)


def _tasks(out: Path, spec: Spec) -> Iterator[_Task]:
    """The frames that are still to be made."""
    there = {path.stem for path in (out / "processed").glob(f"*/{IMAGES_FOLDER}/*.jpg")}
    for number in range(spec.videos):
        todo = [i for i in range(spec.frames) if frame_name(number, i) not in there]
        for start in range(0, len(todo), _CHUNK):
            yield _Task(out, spec.seed, number, spec.size, spec.variety, tuple(todo[start : start + _CHUNK]))


def _run(tasks: list[_Task], workers: int) -> Iterator[int]:
    """Do the tasks; yields numbers of frames as they are done."""
    if workers <= 1:
        for task in tasks:
            for index in task.frames:
                _write_frame(task, index)
                yield 1
        return
    # Fresh processes: a fork of one that runs TensorFlow's threads may hang.
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    pool = ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(stop,))
    try:
        futures: list[Future[int]] = [pool.submit(_work, task) for task in tasks]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool:
        raise UserError(
            "a worker process was killed, perhaps for want of memory",
            "run the same command again with fewer --workers: it goes on where it stopped",
        ) from None
    finally:
        stop.set()  # after Ctrl-C or a full disk the others end with the frame they are at
        pool.shutdown(cancel_futures=True)


_stop: Any = None


def _start_worker(stop: Any) -> None:
    global _stop
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent leaves its workers waiting for ever, unless they look."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(task: _Task) -> int:
    for done, index in enumerate(task.frames):
        if _stop.is_set():
            return done
        _write_frame(task, index)
    return len(task.frames)


def frame_name(number: int, index: int) -> str:
    """Stem of a frame's files: VIDEO_FRAME."""
    return f"synth{number:05d}_{index:06d}"


def _write_frame(task: _Task, index: int) -> None:
    clip = video(task.seed, task.number, task.size, task.variety)
    frame = clip.frame(index)
    folder = task.out / "processed" / clip.split
    name = frame_name(task.number, index)
    with replacing(folder / "points" / f"{name}.txt") as temporary:
        temporary.write_text(_points(frame), encoding="ascii")
    with replacing(folder / IMAGES_FOLDER / f"{name}.jpg") as temporary:
        Image.fromarray(frame.picture).save(temporary, quality=clip.quality)


def _points(frame: SyntheticFrame) -> str:
    height, width, _ = frame.picture.shape
    return "".join(f"{x:.10f} {y:.10f}\n" for x, y in frame.keypoints_px / (width, height))


def _finish(out: Path, spec: Spec) -> None:
    """The lists beside the frames, and last the file that says that all is there."""
    clips = [video(spec.seed, number, spec.size, spec.variety) for number in range(spec.videos)]
    _write_videos(out / "videos.csv", clips)
    images = _write_raters(out, spec)
    write_json(out / FINISHED, _description(spec, clips, images))
    (out / UNFINISHED).unlink(missing_ok=True)


def _write_videos(path: Path, clips: list[SyntheticVideo]) -> None:
    rows = [clip.columns() for clip in clips]
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _write_raters(out: Path, spec: Spec) -> int:
    """Ten raters on a hundred frames, of the test split as far as it goes; returns how many frames."""
    frames = [(number, i) for number in range(spec.videos) for i in range(spec.frames)]
    rng = stream(spec.seed, Draw.RATERS)
    order = [frames[i] for i in rng.permutation(len(frames))]
    order.sort(key=lambda f: SPLITS[::-1].index(video_split(f[0])))
    chosen = sorted(order[:IMAGES])
    names, points = [], []
    for number, index in chosen:
        split, name = video_split(number), frame_name(number, index)
        folder = out / "processed" / split
        with Image.open(folder / IMAGES_FOLDER / f"{name}.jpg") as picture:
            size = picture.size
        names.append(f"{split}/{name}.jpg")
        points.append(_read_points(folder / "points" / f"{name}.txt") * size)
    write_raters(out / "raters.csv", names, np.stack(points), rng)
    return len(chosen)


def _read_points(path: Path) -> np.ndarray:
    try:
        return np.array([line.split() for line in path.read_text().splitlines()], dtype=np.float64).reshape(
            19, 2
        )
    except (OSError, ValueError):
        raise BadDataset(f"{path} is missing or damaged", "delete its picture, then run again") from None


def _description(spec: Spec, clips: list[SyntheticVideo], rated: int) -> dict[str, Any]:
    counts = Counter(clip.split for clip in clips)
    return {
        "what": "synthetic infants in the layout of In-Motion Poses (processed), annotated exactly",
        "shows": variety_of(spec.variety).about,
        "spec": spec.json(),
        "keypoints": IN_MOTION_19.key,
        "frame_seconds": FRAME_SECONDS,
        "splits": {s: {"videos": counts[s], "frames": counts[s] * spec.frames} for s in SPLITS},
        "setups": dict(sorted(Counter(clip.setup.name for clip in clips).items())),
        "rare_videos": sum(clip.rare for clip in clips),
        "raters": {"raters": RATERS, "images": rated, "spread": "Groos et al. 2021, Table 2"},
        "versions": {
            "edgepose": edgepose.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "pillow": PIL.__version__,
        },
    }
