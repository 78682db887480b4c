"""Milliseconds that others have published: one thread, batch 1, 224 px where a network's name says no other.

Each table is of one core, one number format and one runtime; `android_harness.cost` fits the core's
instructions per cycle to it. Only the networks that can be counted here are listed (benchmarks/calibrate_cost.py).
Nobody seems to have published such figures of one thread on a Cortex-X1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import starmap

FP32, INT8 = FORMATS = ("fp32", "int8")
XNNPACK = "XNNPACK"
MOBILENETS = ("mobilenet-v1", "mobilenet-v2", "mobilenet-v3-large", "mobilenet-v3-small")
SMALL_MOBILENET, MOVENET = "mobilenet-v1-0.25-128", "movenet-lightning"


@dataclass(frozen=True)
class ReferencePhone:
    """A core of a phone or board.

    Attributes:
        profile: the emulated processor whose instructions it runs, or the nearest.
        ghz: the clock that the source gives, else the core's highest.
    """

    key: str
    name: str
    core: str
    ghz: float
    profile: str


PHONES = {
    p.key: p
    for p in (
        ReferencePhone("pixel", "Pixel", "Kryo, Snapdragon 821", 2.15, "cortex-a72"),
        ReferencePhone("pixel-2", "Pixel 2", "Cortex-A73 (Kryo 280), Snapdragon 835", 2.35, "cortex-a73"),
        ReferencePhone("pixel-2-little", "Pixel 2", "Cortex-A53, Snapdragon 835", 1.9008, "cortex-a53"),
        ReferencePhone("pixel-3a", "Pixel 3a", "Cortex-A75 (Kryo 360), Snapdragon 670", 2.0, "cortex-a75"),
        ReferencePhone("pixel-4", "Pixel 4", "Cortex-A76 (Kryo 485), Snapdragon 855", 2.84, "cortex-a76"),
        ReferencePhone("redmi-6-pro", "Redmi 6 Pro", "Cortex-A53, Snapdragon 625", 1.8, "cortex-a53"),
        ReferencePhone("rk3399", "RK3399 board", "Cortex-A72", 1.8, "cortex-a72"),
        ReferencePhone("mi-6", "Mi 6", "Cortex-A73 (Kryo 280), Snapdragon 835", 2.45, "cortex-a73"),
        ReferencePhone("mi-8", "Mi 8", "Cortex-A75 (Kryo 385), Snapdragon 845", 2.8, "cortex-a75"),
        ReferencePhone("mi-9", "Mi 9", "Cortex-A76 (Kryo 485), Snapdragon 855", 2.84, "cortex-a76"),
        ReferencePhone("mate-20", "Mate 20", "Cortex-A76, Kirin 980", 2.6, "cortex-a76"),
        ReferencePhone("mate-30", "Mate 30", "Cortex-A76, Kirin 990", 2.86, "cortex-a76"),
        ReferencePhone("uno-q", "Arduino UNO Q", "Cortex-A53, QRB2210", 2.0, "cortex-a53"),
        ReferencePhone("imx8mp", "i.MX 8M Plus board", "Cortex-A53", 1.8, "cortex-a53"),
        ReferencePhone("imx93", "i.MX 93 board", "Cortex-A55", 1.7, "cortex-a55"),
    )
}


@dataclass(frozen=True)
class LatencyTable:
    """One source's milliseconds of one core.

    Attributes:
        phone: key of PHONES.
        form: the number format, of FORMATS.
        runtime: what ran the networks there.
        ms: by network.
        source: where the figures stand.
    """

    phone: str
    form: str
    runtime: str
    ms: Mapping[str, float]
    source: str


_README = "google/XNNPACK README.md, March 27, 2020, end2end_bench, random weights"
_PADDLE, _PADDLE_PAGE = (
    "Paddle-Lite 2.11",
    "PaddlePaddle/Paddle-Lite docs/performance/benchmark.md@07b851a839da",
)
_NXP, _TFLITE = "NXP/eiq-model-zoo tasks/vision@386e32f46cb7, README.md of each network", "TFLite 2.10"
_NCNN, _NCNN_PAGE = "ncnn", "Tencent/ncnn benchmark/README.md@a4d2ea1d4422"


def _mobilenets(phone: str, form: str, runtime: str, source: str, *ms: float) -> LatencyTable:
    """Of MOBILENETS, in their order."""
    return LatencyTable(phone, form, runtime, dict(zip(MOBILENETS, ms, strict=True)), source)


TABLES = (
    _mobilenets("pixel", FP32, XNNPACK, _README, 82.0, 49.0, 39.0, 12.0),
    _mobilenets("pixel-2", FP32, XNNPACK, _README, 86.0, 53.0, 42.0, 14.0),
    _mobilenets("pixel-3a", FP32, XNNPACK, _README, 88.0, 55.0, 44.0, 14.0),
    _mobilenets(
        "pixel-4", FP32, XNNPACK, "tensorflow/tensorflow#37890, label_image", 29.95, 19.13, 15.69, 5.58
    ),
    LatencyTable(
        "pixel-2-little", INT8, XNNPACK, {"mobilenet-v2": 73.8}, "google/XNNPACK@ede6756f4202, commit message"
    ),
    *starmap(
        lambda phone, form, *ms: _mobilenets(phone, form, _PADDLE, _PADDLE_PAGE, *ms),
        (
            ("redmi-6-pro", FP32, 143.64, 106.17, 96.11, 39.08),
            ("redmi-6-pro", INT8, 117.41, 83.47, 66.76, 22.83),
            ("rk3399", FP32, 103.39, 73.37, 63.34, 21.67),
            ("rk3399", INT8, 77.60, 56.66, 46.66, 15.83),
            ("mi-6", FP32, 82.48, 53.47, 41.74, 13.45),
            ("mi-6", INT8, 55.57, 40.78, 30.57, 10.86),
            ("mi-8", FP32, 58.70, 37.61, 29.55, 9.76),
            ("mi-8", INT8, 44.12, 33.45, 24.32, 8.41),
            ("mi-9", FP32, 29.04, 19.37, 15.59, 5.39),
            ("mi-9", INT8, 11.86, 11.38, 8.88, 3.29),
            ("mate-30", FP32, 38.22, 24.93, 19.38, 6.41),
            ("mate-30", INT8, 14.75, 14.14, 10.41, 4.23),
            ("mate-20", FP32, 32.50, 22.07, 17.46, 5.85),
            ("mate-20", INT8, 13.58, 12.94, 9.57, 3.90),
        ),
    ),
    LatencyTable(
        "uno-q",
        FP32,
        _NCNN,
        {"mobilenet-v1": 153.61, "mobilenet-v2": 103.90, "mobilenet-v3-large": 96.41},
        _NCNN_PAGE,
    ),
    LatencyTable(
        "imx8mp", INT8, _TFLITE, {SMALL_MOBILENET: 6.53, "mobilenet-v2": 123.31, MOVENET: 129.5}, _NXP
    ),
    LatencyTable("imx93", INT8, _TFLITE, {SMALL_MOBILENET: 3.63, "mobilenet-v2": 62.51, MOVENET: 70.5}, _NXP),
)
