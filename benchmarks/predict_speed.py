"""How fast `edgepose predict` is from a 720p video file to its outputs, and where the time goes.

    python benchmarks/predict_speed.py --model rt-lite-int8-maps.tflite --out reports/predict-speed/speed.json

Draws a video of the built-in infants once (H.264, 1280 x 720, 30 frames a second; frames of a few infants,
shown in turn), then predicts it as a user would, in a process of its own, `--rounds` times. The figure is
the median of frames a second from the file to the last output; the bar is the paper's for the clinic, a
3-minute video in less than 3 minutes, that is 25 frames a second. Run it on a quiet machine: cores that
others use are missing here. `cpu_per_wall` says how many of them the process had.

With `--against CHECKOUT`, another commit's working tree (`git worktree add CHECKOUT COMMIT`) predicts the
same video with the same model in turn with this one, and `ratios` are this one's frames a second over the
other's, round by round: on a machine that others use, these say more than the frames a second. The tables of
both must be the same to the byte.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import av
import numpy as np
from PIL import Image

from edgeio import read_json, write_json
from edgepose.evaluation.speed import processor
from edgepose.synthetic import synthesise

BAR = 25.0  # frames a second
_HERE = Path(__file__).parents[1]
_HEIGHT, _WIDTH, _RATE = 720, 1280, 30


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=int, default=60, help="of video")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--crop", default="none")
    parser.add_argument("--overlay", action="store_true")
    parser.add_argument("--clip", type=Path, help="a video of that size, instead of drawing one")
    parser.add_argument("--against", type=Path, help="a checkout of another commit, to be run in turn")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        video = chosen.clip or draw(Path(folder), chosen.seconds)
        rounds, others = [], []
        for i in range(chosen.rounds):
            rounds.append(predict(video, Path(folder) / f"out{i}", chosen, _HERE))
            if chosen.against:
                others.append(predict(video, Path(folder) / f"other{i}", chosen, chosen.against))
                same = (Path(folder) / f"{kind}{i}/{video.stem}.csv" for kind in ("out", "other"))
                assert len({path.read_bytes() for path in same}) == 1, "the two commits find other keypoints"
        size = video.stat().st_size
    best = sorted(rounds, key=lambda r: r["frames_per_s"])[len(rounds) // 2]
    rate = median(r["frames_per_s"] for r in rounds)
    result = {
        "model": chosen.model.name,
        "model_sha256": best.pop("model_sha256"),
        "video": {
            "width": _WIDTH,
            "height": _HEIGHT,
            "seconds": round(best["frames"] / _RATE, 2),
            "rate": _RATE,
            "bytes": size,
        },
        "crop": chosen.crop,
        "overlay": chosen.overlay,
        "frames_per_s": rate,
        "bar_frames_per_s": BAR,
        "over_the_bar": round(rate / BAR, 2),
        "three_minutes_take_s": round(180 * _RATE / rate, 1),
        "rounds_frames_per_s": [r["frames_per_s"] for r in rounds],
        "median_round": best,
        **_beside(rounds, others),
        "processor": processor(),
        "load_average": os.getloadavg()[0],
    }
    write_json(chosen.out, result)
    print(json.dumps(result, indent=1))


def _beside(rounds: list[dict[str, Any]], others: list[dict[str, Any]]) -> dict[str, Any]:
    """The other commit's figures and the ratios, if there is one."""
    if not others:
        return {}
    ratios = [a["frames_per_s"] / b["frames_per_s"] for a, b in zip(rounds, others, strict=True)]
    return {
        "other_rounds_frames_per_s": [r["frames_per_s"] for r in others],
        "other_median_round": sorted(others, key=lambda r: r["frames_per_s"])[len(others) // 2],
        "ratios": [round(ratio, 2) for ratio in ratios],
        "median_ratio": round(median(ratios), 2),
    }


def draw(folder: Path, seconds: int) -> Path:
    """The video: four infants of six frames, each shown until the next is due."""
    synthesise(folder / "infants", 4, 6, 0, (480, 640), None)
    files = sorted((folder / "infants").rglob("*.jpg"))
    path = folder / "infants.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=_RATE, options={"preset": "veryfast", "crf": "20"})
        stream.height, stream.width, stream.pix_fmt = _HEIGHT, _WIDTH, "yuv420p"
        pictures = [_framed(file) for file in files]
        for i in range(seconds * _RATE):
            picture = pictures[i // 3 % len(pictures)]
            frame = av.VideoFrame.from_ndarray(np.roll(picture, i % 3, axis=1), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, _RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _framed(file: Path) -> np.ndarray:
    """An infant's 4:3 picture in the middle of a wide frame, its borders drawn out."""
    inner = np.asarray(Image.open(file).convert("RGB").resize((_HEIGHT * 4 // 3, _HEIGHT)))
    left = (_WIDTH - inner.shape[1]) // 2
    return np.pad(inner, ((0, 0), (left, _WIDTH - inner.shape[1] - left), (0, 0)), mode="edge")


def predict(video: Path, out: Path, chosen: argparse.Namespace, root: Path) -> dict[str, Any]:
    """One run of a checkout's command: its own figures, and what the whole process took."""
    model = str(chosen.model.resolve())
    command = [sys.executable, "-m", "edgepose", "predict", str(video.resolve()), "--model", model]
    command += ["--out", str(out), "--crop", chosen.crop, *(["--overlay"] if chosen.overlay else [])]
    environment = {**os.environ, "PYTHONPATH": str(root.resolve())}
    before, started = _cpu_s(), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, cwd=root, env=environment)
    wall = time.perf_counter() - started
    summary = read_json(out / f"{video.stem}.json", "predict wrote no summary")
    return {
        "model_sha256": summary["model"]["sha256"],
        "runtime": summary["model"]["runtime"],
        "frames": summary["frames"]["predicted"],
        "frames_per_s": round(summary["frames"]["predicted"] / wall, 2),
        "process_s": round(wall, 2),
        "cpu_per_wall": round((_cpu_s() - before) / wall, 2),
        "cpu_ms_per_frame": round(1000 * (_cpu_s() - before) / summary["frames"]["predicted"], 2),
        "stages_s": summary["speed"]["stages_s"],
        "predict_s": summary["speed"]["wall_s"],
        "threads": summary["speed"]["threads"],
        "workers": summary["speed"].get("workers", 1),
    }


def _cpu_s() -> float:
    """Processor time of all finished children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
