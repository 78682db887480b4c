"""Ours and the networks that one would pick instead, side by side on emulated cores: instructions of one
inference by one thread, the model's memory, and milliseconds where the fit allows them.

A network's inference alone: what it needs before (a crop, a detector) and after (decoding) is not counted.
Each file is counted once on each core; the JSON is written entry by entry, and what stands there is kept,
so the script can be stopped and resumed. The estimates are made anew each time.

    edgepose quantize default:rt-lite --data infants --count 48 --out int8     (and default:rt)
    python benchmarks/peers_on_device.py NAME=FORMAT:FILE.tflite ... [--cpus cortex-a53 cortex-a76]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from android_harness.cost import estimates
from android_harness.counting import measure
from android_harness.emulator import create_device
from android_harness.published_latencies import FORMATS
from edgeio import sha256_file, write_json

CPUS = ("cortex-a76", "cortex-a53", "cortex-a55", "cortex-a73", "cortex-x1")
OUT = Path(__file__).parents[1] / "reports/on-device/peers.json"


def counted(model: Path, cpu: str, folder: Path) -> dict[str, Any]:
    """What one inference of a file costs on a core."""
    found = measure(create_device(cpu, "litert", print), model, folder, runs=1, warm_up=1)
    if found.instructions is None:
        raise SystemExit(f"error: not counted: {found.not_counted}")
    return {
        "runtime": f"{found.hello.runtime} {found.hello.runtime_version}",
        "instructions": found.instructions.per_inference,
        "classes": dict(found.instructions.classes),
        "model_memory_bytes": found.model_memory_bytes,
    }


def with_estimates(entry: dict[str, Any], cpu: str, row: dict[str, Any]) -> dict[str, Any]:
    """A core's entry with milliseconds as today's fits have them."""
    found = estimates(cpu, entry["instructions"], row["size_bytes"], row["format"])
    return {**entry, "estimates": [asdict(estimate) for estimate in found]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="*", help="NAME=FORMAT:FILE; FORMAT is fp32 or int8, as it computes")
    parser.add_argument("--cpus", nargs="+", default=CPUS)
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    rows = json.loads(given.out.read_text(encoding="utf-8"))["models"] if given.out.exists() else {}
    files: dict[str, Path] = {}
    for text in given.models:
        name, _, place = text.partition("=")
        form, _, file = place.partition(":")
        path = Path(file)
        if form not in FORMATS or not path.is_file():
            raise SystemExit(f"error: {text} is not NAME=FORMAT:FILE with a format of {', '.join(FORMATS)}")
        facts = {"format": form, "size_bytes": path.stat().st_size, "sha256": sha256_file(path)}
        if rows.get(name, {}).get("sha256") != facts["sha256"]:
            rows[name] = {**facts, "cpus": {}}
        files[name] = path
    command = "benchmarks/peers_on_device.py"
    with tempfile.TemporaryDirectory() as folder:
        for cpu in given.cpus:
            for name, path in files.items():
                if cpu not in rows[name]["cpus"]:
                    rows[name]["cpus"][cpu] = counted(path, cpu, Path(folder) / "job")
                    write_json(given.out, {"command": command, "models": rows})
                    print(cpu, name, f"{rows[name]['cpus'][cpu]['instructions']:,}", flush=True)
    for row in rows.values():
        row["cpus"] = {cpu: with_estimates(entry, cpu, row) for cpu, entry in row["cpus"].items()}
    write_json(given.out, {"command": command, "models": rows})


if __name__ == "__main__":
    main()
