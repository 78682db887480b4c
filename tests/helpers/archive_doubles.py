"""What processes of an archive do in tests: inputs misbehave by their names, and a log says what they did.

The processes import this by its name, on a Ray cluster too, where nothing that a test replaces is seen.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import time
from pathlib import Path

import numpy as np
from blob_videos import BlobFinder

from edgepose.tracking import batch
from edgepose.tracking.batch import Bars, InputOutcome, PredictRequest, Run
from edgepose.tracking.sources import Source

NO_SPACE = "no space"  # a file beside the outputs: the disk is full as long as it is there
DOOMED = "doomed"  # a file beside the outputs that names a Ray node: inputs named "stuck-" never end there


def open_run(model: Path, request: PredictRequest, out: Path, overwrite: bool, bars: Bars) -> Run:
    """No model but the finder of discs, and no figures."""
    import scipy.ndimage  # noqa: F401 -- it takes long, and would be a frame's delay later

    batch.open_runner = lambda path, threads: BlobFinder(path)
    batch.draw_confidence = lambda *arguments: arguments[-1].write_bytes(b"figure")
    return batch.open_run(model, request, out, overwrite, bars)


def predict_input(run: Run, source: Source) -> InputOutcome:
    """Predict, after what the input's name says has happened; `log` in OUT tells of it."""
    kind = source.name.split("-")[0]
    _log(run.out, f"begun {source.name}")
    if kind in HAPPENINGS:
        with run.bars(source.name, "frames"):
            HAPPENINGS[kind](run.out, source.name)
    outcome = batch.predict_input(run, source)
    if outcome.summary is not None and not outcome.before:
        _log(run.out, f"done {source.name}")
    return outcome


def _log(out: Path, line: str) -> None:
    with (out / "log").open("a") as handle:  # one short write: lines of several processes do not mix
        handle.write(f"{line} {_node()}\n")


def _node() -> str:
    """The process of this Ray node."""
    return os.environ.get("RAY_RAYLET_PID", "")


def log(out: Path, what: str) -> list[str]:
    """The names of inputs that were begun, done or stuck, in that order."""
    path = out / "log"
    words = [line.split(" ") for line in path.read_text().splitlines()] if path.exists() else []
    return [name for kind, name, _ in words if kind == what]


def _killed(out: Path, name: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _killed_once(out: Path, name: str) -> None:
    mark = out / "killed once"
    if not mark.exists():
        mark.touch()
        _killed(out, name)


def _eats_memory(out: Path, name: str) -> None:
    now = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, now[1]))
    try:
        np.zeros(2**30, np.uint8)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, now)


def _fills_the_disk(out: Path, name: str) -> None:
    if (out.parent / NO_SPACE).exists():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(out / "x.csv"))


def _stuck(out: Path, name: str) -> None:
    if len(log(out, "done")) >= 3 and _node() == (out.parent / DOOMED).read_text():
        _log(out, f"stuck {name}")
        time.sleep(600)


HAPPENINGS = {
    "hangs": lambda out, name: time.sleep(600),
    "stuck": _stuck,
    "killed": _killed,
    "once": _killed_once,
    "eats": _eats_memory,
    "full": _fills_the_disk,
}
