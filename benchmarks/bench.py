"""All benchmarks in one run: a table, and JSON beside it. `make bench` runs it.

    python benchmarks/bench.py --out reports/bench [--against CHECKOUT] [--shared DIR] [--mediapipe PYTHON]

What is compared takes turns, so that a busy machine slows both:

- `steps`: one 720p picture of a made-up infant to its pose on one thread, by the recipe of RT Lite, and by
  the networks of others in SHARED/reference/peers with their own pre- and post-processing; and our letterbox,
  network and decoding alone.
- `predict`: a 720p video from file to outputs, in a process of its own (`predict_speed.py`), with and without
  `--crop auto`; of another commit's CHECKOUT and of the peers too, and by MediaPipe's own Python solution
  where PYTHON has it (`mediapipe_pose.py`).
- `training`: a step beside a bare Keras loop's, and its input pipeline (`training_step.py`, `pipeline.py`).
- `drawing` and `evaluate`: made-up infants a second, and how long images take to be scored.

What is not there is skipped, and the table says so. Milliseconds are this machine's; where others use it,
only ratios and processor time mean anything. `--work` keeps exported models and the video for the next run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import av
import numpy as np
import predict_speed

from edgeio import replacing, write_json
from edgepose.evaluation.speed import processor
from edgepose.geometry import letterbox
from edgepose.inference.estimator import Clock, Estimator
from edgepose.inference.runners import open_runner
from edgepose.synthetic import synthesise

_HERE = Path(__file__).parent
_ROOT = _HERE.parent
_NETWORK = "rt-lite"
_OURS = f"{_NETWORK}-int8-ptq-maps"
_RECIPES = ("fp32", "fp16", "dynamic", "weights-int8")
_WARM_UP = 3
# Files of SHARED/reference/peers, and what `import-tflite` is told of them.
_PEERS = {
    "movenet": ("movenet_singlepose_lightning_int8_4.tflite", ("--output", "movenet")),
    "blazepose": (
        "pose_landmark_lite.tflite",
        ("--output", "blazepose", "--detector", "pose_detection.tflite"),
    ),
    "blazepose-alone": ("pose_landmark_lite.tflite", ("--output", "blazepose", "--detector", "none")),
}


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        ratio: of `value` to that of the row that the part is compared with; None where there is none.
    """

    part: str
    what: str
    value: float
    unit: str
    ratio: float | None = None


@dataclass(frozen=True)
class Skipped:
    part: str
    what: str
    why: str


Found = Iterator[Row | Skipped]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("reports/bench"))
    parser.add_argument("--work", type=Path, default=Path("runs/bench"))
    parser.add_argument("--shared", type=Path, default=_ROOT.parent / "shared")
    parser.add_argument("--against", type=Path, help="a checkout of another commit, for `predict`")
    parser.add_argument("--mediapipe", type=Path, help="a Python that has MediaPipe 0.10.14")
    parser.add_argument("--seconds", type=int, default=60, help="of video")
    parser.add_argument(
        "--rounds", type=int, default=3, help="of each command; ten times as many of each step"
    )
    parser.add_argument("--recipes", nargs="*", choices=_RECIPES, default=_RECIPES, help="beside int8")
    parser.add_argument("--parts", nargs="+", choices=list(_PARTS), default=list(_PARTS))
    chosen = parser.parse_args()
    load = os.getloadavg()[0]
    found: list[Row | Skipped] = []
    for name in chosen.parts:
        _say(f"{name}: begun")
        for each in _PARTS[name](chosen):
            found.append(each)
            _say(_line(each))
    facts = {"processor": processor(), "load_average": [round(load, 1), round(os.getloadavg()[0], 1)]}
    rows = [asdict(each) for each in found if isinstance(each, Row)]
    skipped = [asdict(each) for each in found if isinstance(each, Skipped)]
    write_json(
        chosen.out / "bench.json", {**facts, "rounds": chosen.rounds, "rows": rows, "skipped": skipped}
    )
    with replacing(chosen.out / "bench.md") as temporary:
        temporary.write_text(_table(found, facts), encoding="utf-8")
    print(_table(found, facts), end="")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _line(each: Row | Skipped) -> str:
    if isinstance(each, Skipped):
        return f"  {each.what}: skipped, {each.why}"
    ratio = "" if each.ratio is None else f" ({each.ratio:.2f} x)"
    return f"  {each.what}: {each.value:.4g} {each.unit}{ratio}"


def _table(found: list[Row | Skipped], facts: dict[str, Any]) -> str:
    lines = ["| part | what | value | unit | ratio |", "| --- | --- | ---: | --- | ---: |"]
    for each in found:
        if isinstance(each, Row):
            ratio = "" if each.ratio is None else f"{each.ratio:.2f}"
            lines.append(f"| {each.part} | {each.what} | {each.value:.4g} | {each.unit} | {ratio} |")
        else:
            lines.append(f"| {each.part} | {each.what} | skipped | {each.why} | |")
    first, last = facts["load_average"]
    note = f"{facts['processor']}; load average {first} at the beginning, {last} at the end."
    return "\n".join([*lines, "", note, ""])


def _edgepose(*words: object) -> None:
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    command = [sys.executable, "-m", "edgepose", *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")


def _infants(chosen: Namespace) -> Path:
    folder = chosen.work / "infants"
    synthesise(folder, 20, 2, 1, (240, 320), None)
    return folder


def _models(chosen: Namespace) -> dict[str, Path]:
    """RT Lite by recipe; exported once."""
    folder = chosen.work / "models"
    made = {recipe: folder / f"{_NETWORK}-{recipe}-maps.tflite" for recipe in chosen.recipes}
    if not all(path.exists() for path in made.values()):
        recipes = [word for recipe in chosen.recipes for word in ("--recipe", recipe)]
        _edgepose("export", f"default:{_NETWORK}", *recipes, "--output", "maps", "--out", folder)
    return {**made, "int8": _int8(chosen)}


def _int8(chosen: Namespace) -> Path:
    """RT Lite, quantized; once."""
    path = chosen.work / "models" / f"{_OURS}.tflite"
    if not path.exists():
        data = ("--data", _infants(chosen), "--split", "all", "--count", 32)
        _edgepose("quantize", f"default:{_NETWORK}", *data, "--out", path.parent)
    return path


def _peers(chosen: Namespace, part: str) -> Iterator[tuple[str, Path] | Skipped]:
    """Others' networks, described in sidecars of their own."""
    for name, (file, words) in _PEERS.items():
        source, folder = chosen.shared / "reference/peers" / file, chosen.work / name
        if not source.is_file():
            yield Skipped(part, name, f"no {file} in SHARED/reference/peers")
            continue
        if not (found := sorted(folder.glob("*.tflite"))):
            told = [source.with_name(word) if word.endswith(".tflite") else word for word in words]
            _edgepose("import-tflite", source, *told, "--out", folder)
            found = sorted(folder.glob("*.tflite"))
        yield name, found[0]


def _clip(chosen: Namespace) -> Path:
    path = chosen.work / f"clip-{chosen.seconds}.mp4"
    if not path.exists():
        (chosen.work / "clip").mkdir(parents=True, exist_ok=True)
        predict_speed.draw(chosen.work / "clip", chosen.seconds).rename(path)
    return path


def _steps(chosen: Namespace) -> Found:
    """Milliseconds of processor time of a picture to its pose, and of our steps alone."""
    with av.open(str(_clip(chosen))) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
    paths: dict[str, Path] = {f"RT Lite {name}": path for name, path in _models(chosen).items()}
    for peer in _peers(chosen, "steps"):
        if isinstance(peer, Skipped):
            yield peer
        else:
            paths[peer[0]] = peer[1]
    clock, calls = Clock(), dict[str, Callable[[], object]]()
    for name, path in paths.items():
        estimator = Estimator(open_runner(path, 1))
        calls[name] = _to_pose(estimator, picture, clock)
    ours = Estimator(open_runner(paths["RT Lite int8"], 1))
    placed = ours.place(picture, None, clock)
    runner = open_runner(paths["RT Lite int8"], 1)
    inputs = ours.spec.normalisation.apply(placed.canvas[None])
    output, where = runner.run(inputs), letterbox(picture.shape[:2], ours.spec.input_size)
    calls["letterbox"] = lambda: where.draw(picture)
    calls["network, RT Lite int8"] = lambda: runner.run(inputs)
    calls["decoding"] = lambda: ours.decoder.in_image(output, where)
    times = {name: list[float]() for name in calls}
    for turn in range(_WARM_UP + 10 * chosen.rounds):
        for name, call in calls.items():
            started = time.thread_time()
            call()
            if turn >= _WARM_UP:
                times[name].append(1000 * (time.thread_time() - started))
    base = median(times["RT Lite int8"])
    for name, each in times.items():
        yield Row("steps", name, median(each), "ms of one core", median(each) / base)


def _to_pose(estimator: Estimator, picture: np.ndarray, clock: Clock) -> Callable[[], object]:
    return lambda: estimator.pose(estimator.place(picture, None, clock), True, clock)


def _predict(chosen: Namespace) -> Found:
    """Frames a second, each round of one beside one of every other."""
    clip, model = _clip(chosen), _int8(chosen)
    runs = {
        "RT Lite int8, --crop none": (model, "none", _ROOT),
        "RT Lite int8, --crop auto": (model, "auto", _ROOT),
    }
    if chosen.against:
        runs |= {f"{name}, the other commit": (*run[:2], chosen.against) for name, run in runs.items()}
    for each in _peers(chosen, "predict"):
        if isinstance(each, Skipped):
            yield each
        elif each[0] != "blazepose-alone":
            runs[f"{each[0]} in our pipeline"] = (each[1], "none", _ROOT)
    kinds = dict[str, int]()
    for complexity, kind in enumerate(("lite", "full")):
        if why := _missing(chosen, clip, complexity):
            yield Skipped("predict", f"MediaPipe's own, {kind}", why)
        else:
            kinds[kind] = complexity
    rounds: dict[str, list[dict[str, Any]]] = {}
    for turn in range(chosen.rounds):
        for number, (name, (path, crop, root)) in enumerate(runs.items()):
            out = chosen.work / f"predicted/{turn}-{number}-{time.time_ns()}"
            asked = Namespace(model=path, crop=crop, overlay=False)
            rounds.setdefault(name, []).append(predict_speed.predict(clip, out, asked, root))
        for kind, complexity in kinds.items():
            found = json.loads(_mediapipe(chosen, clip, complexity).stdout.splitlines()[-1])
            rounds.setdefault(f"MediaPipe's own, {kind}", []).append(found)
    yield from _of_predict(rounds)


def _missing(chosen: Namespace, clip: Path, complexity: int) -> str | None:
    """Why MediaPipe's own cannot run, tried on one frame before anything is timed; None where it can."""
    if not chosen.mediapipe:
        return "no --mediapipe"
    tried = _mediapipe(chosen, clip, complexity, "1")
    last = (tried.stderr.strip().splitlines() or ["it says nothing"])[-1]
    return f"MediaPipe failed: {last}" if tried.returncode else None


def _mediapipe(
    chosen: Namespace, clip: Path, complexity: int, *frames: str
) -> subprocess.CompletedProcess[str]:
    command = [chosen.mediapipe, _HERE / "mediapipe_pose.py", clip, str(complexity), *frames]
    return subprocess.run(command, capture_output=True, text=True, check=not frames)


def _of_predict(rounds: dict[str, list[dict[str, Any]]]) -> Found:
    """Ratios are medians over the rounds, to the first row's of the same round."""
    first = next(iter(rounds.values()))
    for key, unit in (("frames_per_s", "frames/s"), ("cpu_ms_per_frame", "ms of all cores a frame")):
        for name, each in rounds.items():
            ratio = median(a[key] / b[key] for a, b in zip(each, first, strict=True))
            yield Row("predict", name, median(one[key] for one in each), unit, ratio)


def _training(chosen: Namespace) -> Found:
    for script, keys in (("training_step", ("loop_ms", "ratio")), ("pipeline", ("host_ms", "share"))):
        command = [sys.executable, str(_HERE / f"{script}.py"), "--model", _NETWORK, "--batch", "8"]
        environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
        command += ["--turns", str(chosen.rounds)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        told = json.loads(done.stdout)
        value, ratio = (told[key] for key in keys)
        yield Row("training", f"{script}.py, RT Lite, batch 8", value, "ms", ratio)


def _drawing(chosen: Namespace) -> Found:
    for variety in ("clinic", "home"):
        rates = []
        for turn in range(chosen.rounds):
            folder = chosen.work / f"drawn/{variety}-{turn}-{time.time_ns()}"
            started = time.perf_counter()
            synthesise(folder, 4, 3, turn, (240, 320), 1, None, variety)
            rates.append(12 / (time.perf_counter() - started))
        yield Row("drawing", f"{variety}, 320 x 240, one process", median(rates), "frames/s")


def _evaluate(chosen: Namespace) -> Found:
    model, data = _int8(chosen), _infants(chosen)
    words = ("--data", data, "--split", "all", "--no-speed")
    took = []
    for turn in range(chosen.rounds):
        started = time.perf_counter()
        _edgepose("evaluate", model, *words, "--out", chosen.work / f"scored/{turn}-{time.time_ns()}")
        took.append(time.perf_counter() - started)
    yield Row("evaluate", "RT Lite int8, 40 images, from start to end", median(took), "s")


_PARTS: dict[str, Callable[[Namespace], Found]] = {
    "steps": _steps,
    "predict": _predict,
    "training": _training,
    "drawing": _drawing,
    "evaluate": _evaluate,
}


if __name__ == "__main__":
    main()
