"""When each command that takes long says its first word, and how soon it stops when it is asked to.

Every command is started as a script starts one in the background, SIGINT ignored, on a few made-up infants.
The clock runs from the start of its process to its first line on stderr. `--stop-after` seconds later it gets
SIGINT, and a second clock runs to its end; a command that ends by itself before that has no `stop_s`.

    python benchmarks/first_word.py [--only train,qat] [--json OUT]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from edgepose.models.pretrained import FOLDER

_BACKGROUND = 'trap "" INT; exec "$0" "$@"'
_TFLITE = FOLDER / "rt-lite.tflite"
_DATA = "--data infants --out runs"
_SLOW = "--batch 4 --memory 1"
# By name: its words; they run in a folder that holds `infants`, twelve frames, and results.
COMMANDS = {
    "data synth": "data synth --videos 500 --out drawn",
    "data convert": "data convert infants --to coco --out coco",
    "models": "models",
    "train": f"train --model rt {_DATA}/train --epochs 500 {_SLOW}",
    "distill": f"distill --teacher i --student rt-lite {_DATA}/distill --epochs 500 {_SLOW}",
    "qat": f"qat default:rt {_DATA}/qat --steps 5000 --count 8 {_SLOW}",
    "prune": f"prune default:rt {_DATA}/prune --steps 5000 {_SLOW}",
    "cluster": f"cluster default:rt {_DATA}/cluster --steps 5000 {_SLOW}",
    "quantize": "quantize default:rt --data infants --count 8 --out models",
    "export": "export default:i --out models --recipe fp32 --recipe fp16",
    "evaluate": "evaluate default:rt --data infants --split all --out runs/evaluate",
    "evaluate, .tflite": f"evaluate {_TFLITE} --data infants --split all --out runs/evaluate",
    "calibrate-confidence": "calibrate-confidence default:rt --data infants --out confidence.json",
    "predict": "predict infants/processed/test --model default:rt --out runs/predict",
    "compare": "compare results --out runs/compare",
    "raters": "raters infants/raters.csv --out raters",
    "bundle": f"bundle {_TFLITE} --report results --out app.zip",
    "paper": "paper table2 --out paper",
}


@dataclass(frozen=True)
class Row:
    """What a command did.

    Attributes:
        first_s: from its start to its first line on stderr; None where it ended without one.
        first_cpu_s: of the processor, it took until then, which a busy machine leaves as it is.
        line: that line.
        seconds: to its end.
        stop_s: from SIGINT to its end; None where it had ended before.
        exit_code: 130 where it was stopped, or -2, which a shell calls 130 too.
    """

    first_s: float | None
    first_cpu_s: float | None
    line: str
    seconds: float
    stop_s: float | None
    exit_code: int


def measure(words: list[str], folder: Path, stop_after: float) -> Row:
    """Run a command in a folder, and stop it."""
    command = ["sh", "-c", _BACKGROUND, sys.executable, "-m", "edgepose", *words]
    began = time.monotonic()
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        line = process.stderr.readline().strip()
        first, cpu = time.monotonic() - began, _cpu_s(process.pid)
        rest = threading.Thread(target=process.stderr.read, daemon=True)
        rest.start()
        stopped = None
        try:
            process.wait(stop_after)
        except subprocess.TimeoutExpired:
            stopped = time.monotonic()
            process.send_signal(signal.SIGINT)
            process.wait()
        ended = time.monotonic()
        rest.join()
    return Row(
        round(first, 2) if line else None,
        cpu if line else None,
        line,
        round(ended - began, 1),
        None if stopped is None else round(ended - stopped, 1),
        process.returncode,
    )


def _cpu_s(pid: int) -> float | None:
    """Processor seconds that a process has taken so far; None where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return None
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def prepare(folder: Path) -> None:
    """Infants, and the results of a model on them."""
    for words in (
        "data synth --videos 12 --frames 1 --size 160x120 --out infants",
        f"evaluate {_TFLITE} --data infants --split all --no-speed --out results",
    ):
        subprocess.run([sys.executable, "-m", "edgepose", *words.split()], cwd=folder, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", help="names of commands, separated by commas")
    parser.add_argument("--stop-after", type=float, default=12.0, help="seconds behind the first line")
    parser.add_argument("--json", type=Path, help="also write it to this file")
    given = parser.parse_args()
    names = given.only.split(",") if given.only else list(COMMANDS)
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        rows = {name: measure(COMMANDS[name].split(), Path(folder), given.stop_after) for name in names}
    text = json.dumps({name: asdict(row) for name, row in rows.items()}, indent=1)
    print(text)
    if given.json:
        given.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
