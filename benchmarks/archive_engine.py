"""An archive of short clips on a Ray cluster of two nodes, one of them killed half-way, and what Ray costs.

    python benchmarks/archive_engine.py --out reports/archive-engine/archive.json

Draws `--clips` clips of the built-in infants, then predicts them, a core for each of two videos at once:

- on two nodes of a CPU each, one of which is killed by SIGKILL as soon as a third of the clips is done;
- in processes of this machine, and on a Ray cluster of two such nodes, in turn, `--rounds` times: `ratios`
  are the seconds on Ray over those alone, from the first clip to the last, without the start of either. On a
  machine that others use, only these say something.

Each clip is counted: every summary that appears, or is replaced, in the outputs' folder is seen by its inode.
The tables of all runs must be the same to the byte. The nodes are processes of this machine, on the loopback
interface, by Ray's `cluster_utils.Cluster`; no storage but this machine's is tried.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import av
import numpy as np
from PIL import Image

from edgeio import cores, write_json
from edgepose.engines import Engine, own_ray, parse_engine
from edgepose.evaluation.speed import processor
from edgepose.synthetic import synthesise
from edgepose.tracking.archive import ArchiveRequest, counts, predict_archive
from edgepose.tracking.batch import InputOutcome, PredictRequest
from edgepose.tracking.sources import Source, find_sources

_MODEL = Path(__file__).parents[1] / "edgepose" / "weights" / "rt-lite.tflite"
_NODE = {
    "num_cpus": 1,
    "include_dashboard": False,
    "node_ip_address": "127.0.0.1",
    "object_store_memory": 80 * 2**20,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--frames", type=int, default=25, help="of each clip")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    own_ray()
    import ray
    from ray.cluster_utils import Cluster

    result: dict[str, Any] = {
        "clips": chosen.clips,
        "frames_per_clip": chosen.frames,
        "model": _MODEL.name,
        "ray": ray.__version__,
        "processor": processor(),
        "cores": cores(),
    }
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        sources = find_sources([draw(root, chosen.clips, chosen.frames)]).found
        cluster = patient(lambda: Cluster(initialize_head=True, head_node_args=_NODE))
        engine = parse_engine(f"ray:{cluster.address}")
        node = patient(lambda: cluster.add_node(**_NODE))
        lost = with_a_node_killed(sources, engine, root / "killed", lambda: cluster.remove_node(node, False))
        result |= {"node_killed": lost, "rounds": []}
        keep(result, chosen.out)  # a round may take long, and what is measured stays
        patient(lambda: cluster.add_node(**_NODE))
        for i in range(chosen.rounds):
            alone = timed(sources, Engine(), root / f"alone{i}")
            there = timed(sources, engine, root / f"ray{i}")
            ratio = round(there["clips_s"] / alone["clips_s"], 3)
            result["rounds"].append({"alone": alone, "ray": there, "ratio": ratio})
            keep(result, chosen.out)
        cluster.shutdown()
        tables = [{(root / run / f"{s.name}.csv").read_bytes() for run in runs(root)} for s in sources]
        assert {len(each) for each in tables} == {1}, "the runs differ in what they say"
    result |= {
        "median_ratio": median(r["ratio"] for r in result["rounds"]) if result["rounds"] else None,
        "tables_equal_to_the_byte": bool(result["rounds"]),
    }
    keep(result, chosen.out)
    print(json.dumps(result, indent=1))


def keep(result: dict[str, Any], out: Path) -> None:
    """Write what is known so far, and how busy the machine is."""
    result["load_average"] = round(os.getloadavg()[0], 1)
    write_json(out, result)


def patient(start: Callable[[], Any]) -> Any:
    """Start a node, again where Ray gives up: it waits half a minute, too short on a busy machine."""
    for _ in range(5):
        try:
            return start()
        except Exception as error:
            print(f"a node did not start: {error}", file=sys.stderr)
    return start()


def runs(root: Path) -> list[str]:
    """The folders of outputs."""
    return [path.name for path in root.iterdir() if (path / "archive.csv").exists()]


def draw(root: Path, clips: int, frames: int) -> Path:
    """Clips of made-up infants who move by a pixel now and then, 240 x 320."""
    synthesise(root / "infants", 4, 2, 0, (240, 320), None)
    pictures = [
        np.asarray(Image.open(file).convert("RGB")) for file in sorted((root / "infants").rglob("*.jpg"))
    ]
    folder = root / "clips"
    folder.mkdir()
    for number in range(clips):
        picture = pictures[number % len(pictures)]
        with av.open(str(folder / f"clip{number:02d}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"preset": "veryfast"})
            stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], "yuv420p"
            for i in range(frames):
                shifted = np.roll(picture, (number + i) // 4 % 5, axis=1)
                frame = av.VideoFrame.from_ndarray(shifted, format="rgb24")
                frame.pts, frame.time_base = i, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return folder


@dataclass
class Watched:
    """The summaries in a folder, as they appear.

    Attributes:
        inodes: of each clip's summary, those that were ever there: a clip that is done twice has two.
        first, last: when the first and the last clip was done, s.
    """

    inodes: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    first: float = 0.0
    last: float = 0.0


@contextmanager
def watched(out: Path) -> Iterator[Watched]:
    """Look at the folder all the time that the block runs."""
    seen, over = Watched(), threading.Event()

    def look() -> None:
        for path in out.glob("clip*.json"):
            inode = path.stat().st_ino
            if inode not in seen.inodes[path.stem]:
                seen.inodes[path.stem].add(inode)
                seen.last = time.perf_counter()
                seen.first = seen.first or seen.last

    def loop() -> None:
        while not over.wait(0.02):
            look()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
        look()


def predict(sources: tuple[Source, ...], engine: Engine, out: Path) -> list[InputOutcome]:
    """Two clips at once, each on one core; on a cluster two nodes have a CPU each."""
    asked = ArchiveRequest(processes=2 if engine.is_local else None, engine=engine)
    request = PredictRequest(crop="none", workers=1)
    return predict_archive(
        _MODEL, sources, request, asked, out, False, lambda *_: nullcontext(lambda *_: None)
    )


def with_a_node_killed(
    sources: tuple[Source, ...], engine: Engine, out: Path, kill: Callable[[], Any]
) -> dict[str, Any]:
    """The counts of a run that loses a node."""
    when: dict[str, int] = {}

    def killer(seen: Watched) -> None:
        while len(seen.inodes) < len(sources) // 3:
            time.sleep(0.02)
        when["done_before"] = len(seen.inodes)
        kill()

    with watched(out) as seen:
        thread = threading.Thread(target=killer, args=(seen,))
        thread.start()
        outcomes = predict(sources, engine, out)
        thread.join()
    return {
        **counts(outcomes),
        "done_when_the_node_was_killed": when["done_before"],
        "done_once": sum(len(inodes) == 1 for inodes in seen.inodes.values()),
        "done_more_than_once": sum(len(inodes) > 1 for inodes in seen.inodes.values()),
        "left_half_written": len(list(out.glob(".*"))),
    }


def timed(sources: tuple[Source, ...], engine: Engine, out: Path) -> dict[str, float]:
    """Seconds of a whole run, and from its first clip to its last."""
    started = time.perf_counter()
    with watched(out) as seen:
        outcomes = predict(sources, engine, out)
    assert counts(outcomes)["done"] == len(sources)
    return {
        "all_s": round(time.perf_counter() - started, 2),
        "clips_s": round(seen.last - seen.first, 2),
    }


if __name__ == "__main__":
    main()
