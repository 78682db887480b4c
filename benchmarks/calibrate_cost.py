"""Count the MobileNets whose single-threaded latencies are published, for `android_harness.cost`.

The networks have random weights: neither the latency nor the count depends on them. Needs the `train` extra
and `edgepose device create` for the processors below; writes android_harness/calibration.json, entry by
entry, so it can be stopped and resumed.

    python benchmarks/calibrate_cost.py
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from android_harness.cost import CALIBRATION, LATENCIES, NETWORKS, PHONES, read_calibration
from android_harness.counting import measure
from android_harness.emulator import create_device
from edgeio import write_json

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


def export(network: str, path: Path) -> None:
    """One MobileNet, 224 px, width 1, as fp32 .tflite."""
    if path.exists():
        return
    import tensorflow as tf
    from tensorflow import keras

    build = {
        "mobilenet-v1": keras.applications.MobileNet,
        "mobilenet-v2": keras.applications.MobileNetV2,
        "mobilenet-v3-large": keras.applications.MobileNetV3Large,
        "mobilenet-v3-small": keras.applications.MobileNetV3Small,
    }[network]
    model = build(weights=None, input_shape=(224, 224, 3))
    call = tf.function(lambda x: model(x, training=False))
    concrete = call.get_concrete_function(tf.TensorSpec((1, 224, 224, 3)))
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert())


def main() -> None:
    known = read_calibration()
    counts = {profile: dict(row) for profile, row in known.instructions.items()}
    sizes = dict(known.size_bytes)
    folder = Path(tempfile.gettempdir()) / "edgepose-calibrate"
    folder.mkdir(exist_ok=True)
    for profile in dict.fromkeys(phone.profile for phone in PHONES if phone.key in LATENCIES):
        device = create_device(profile, "litert", print)
        for network in NETWORKS:
            if network in counts.get(profile, {}):
                continue
            model = folder / f"{network}.tflite"
            export(network, model)
            measured = measure(device, model, folder / "job", runs=1, warm_up=0)
            if measured.instructions is None:
                raise SystemExit(f"error: not counted: {measured.not_counted}")
            counts.setdefault(profile, {})[network] = measured.instructions.per_inference
            runtime = f"{measured.hello.runtime} {measured.hello.runtime_version}"
            sizes[network] = model.stat().st_size
            write_json(CALIBRATION, {"runtime": runtime, "size_bytes": sizes, "instructions": counts})
            print(profile, network, f"{measured.instructions.per_inference:,}", flush=True)


if __name__ == "__main__":
    main()
