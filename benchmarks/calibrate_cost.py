"""Count the networks whose single-threaded latencies are published, for `android_harness.cost`.

The networks have random weights: neither the latency nor the count depends on them; int8 is plain
quantization after training. MoveNet Lightning is Google's int8 file. Needs the `train` extra; writes
android_harness/calibration.json entry by entry, so it can be stopped and resumed, and then
reports/on-device/calibration.json: every published table, what was fitted to it, and how it errs on a
network that is left out.

    python benchmarks/calibrate_cost.py [--movenet movenet_singlepose_lightning_int8_4.tflite]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from android_harness.cost import (
    CALIBRATION,
    MOST_ERROR_PERCENT,
    CostCalibration,
    CountedNetwork,
    fit,
    read_calibration,
)
from android_harness.counting import measure
from android_harness.emulator import create_device
from android_harness.published_latencies import INT8, MOVENET, PHONES, SMALL_MOBILENET, TABLES
from edgeio import write_json
from edgeio.records import to_plain

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
REPORT = Path(__file__).parents[1] / "reports/on-device/calibration.json"


def export(network: str, form: str, path: Path) -> None:
    """One MobileNet as .tflite: 224 px and width 1, or 128 px and a quarter of the width."""
    if path.exists():
        return
    import numpy as np
    import tensorflow as tf
    from tensorflow import keras

    side, width = (128, 0.25) if network == SMALL_MOBILENET else (224, 1.0)
    build = {
        "mobilenet-v1": keras.applications.MobileNet,
        SMALL_MOBILENET: keras.applications.MobileNet,
        "mobilenet-v2": keras.applications.MobileNetV2,
        "mobilenet-v3-large": keras.applications.MobileNetV3Large,
        "mobilenet-v3-small": keras.applications.MobileNetV3Small,
    }[network]
    model = build(weights=None, input_shape=(side, side, 3), alpha=width)
    call = tf.function(lambda x: model(x, training=False))
    concrete = call.get_concrete_function(tf.TensorSpec((1, side, side, 3)))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    if form == INT8:
        noise = np.random.default_rng(0).uniform(-1, 1, (2, 1, side, side, 3)).astype(np.float32)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image] for image in noise)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    path.write_bytes(converter.convert())


def wanted() -> Iterator[tuple[str, str, str]]:
    """Profile, number format and network of every published figure."""
    for table in TABLES:
        for network in table.ms:
            yield PHONES[table.phone].profile, table.form, network


def with_count(known: CostCalibration, profile: str, form: str, network: str, model: Path) -> CostCalibration:
    """The calibration with one network counted on one core."""
    folder = model.parent / "job"
    measured = measure(create_device(profile, "litert", print), model, folder, runs=1, warm_up=1)
    if measured.instructions is None:
        raise SystemExit(f"error: not counted: {measured.not_counted}")
    count = measured.instructions.per_inference
    print(profile, form, network, f"{count:,}", flush=True)
    rows = {f: dict(networks) for f, networks in known.networks.items()}
    row = rows.setdefault(form, {}).get(network, CountedNetwork(model.stat().st_size, {}))
    rows[form][network] = replace(row, instructions={**row.instructions, profile: count})
    return CostCalibration(f"{measured.hello.runtime} {measured.hello.runtime_version}", rows)


def report(known: CostCalibration) -> dict[str, Any]:
    """Every table with its fit; a figure that stands alone is held against the fits of its core and format."""
    rows = []
    for table in TABLES:
        phone, fitted = PHONES[table.phone], fit(table, known)
        row = {
            **asdict(table),
            "phone": phone.name,
            "core": phone.core,
            "ghz": phone.ghz,
            "profile": phone.profile,
        }
        if fitted:
            row |= {
                "instructions_per_cycle": fitted.per_cycle,
                "left_out_errors_percent": dict(fitted.errors_percent),
                "error_percent": fitted.error_percent,
                "estimates": fitted.error_percent <= MOST_ERROR_PERCENT,
            }
        rows.append(row)
    return {
        "command": "benchmarks/calibrate_cost.py",
        "counted_with": known.runtime,
        "most_error_percent": MOST_ERROR_PERCENT,
        "tables": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--movenet", type=Path, help="MoveNet Lightning, int8; left out where it is not given"
    )
    given = parser.parse_args()
    folder = Path(tempfile.gettempdir()) / "edgepose-calibrate"
    folder.mkdir(exist_ok=True)
    known = read_calibration()
    for profile, form, network in dict.fromkeys(wanted()):
        counted = known.networks.get(form, {}).get(network)
        if counted is not None and profile in counted.instructions:
            continue
        model = folder / f"{network}-{form}.tflite"
        if network == MOVENET:
            if given.movenet is None:
                continue
            model.write_bytes(given.movenet.read_bytes())
        else:
            export(network, form, model)
        known = with_count(known, profile, form, network, model)
        write_json(CALIBRATION, to_plain(known))
    write_json(REPORT, report(known))


if __name__ == "__main__":
    main()
