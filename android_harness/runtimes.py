"""The runtimes that an emulated device may carry, with the hashes of their wheels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Wheel:
    """A package for arm64 Linux.

    Attributes:
        sha256: of its wheel, by the Python tag that it is built for.
    """

    name: str
    version: str
    sha256: Mapping[str, str]


@dataclass(frozen=True)
class GuestRuntime:
    """A TFLite runtime, and what it needs beside the guest's Python.

    Attributes:
        module: what imports it.
        drop: globs, from the packages' folder, of what inference does not need.
    """

    key: str
    module: str
    wheels: tuple[Wheel, ...]
    drop: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        return self.wheels[0].version

    @property
    def pythons(self) -> tuple[str, ...]:
        """Tags that every wheel is pinned for, such as cp311."""
        return tuple(tag for tag in self.wheels[0].sha256 if all(tag in w.sha256 for w in self.wheels))


_NUMPY_DROP = ("numpy/**/tests", "numpy/f2py", "numpy/**/*.pyi", "numpy/**/*.a", "numpy/_core/include")

RUNTIMES = {
    r.key: r
    for r in (
        GuestRuntime(
            "litert",
            "ai_edge_litert.interpreter",
            (
                Wheel(
                    "ai-edge-litert",
                    "2.3.0",
                    {
                        "cp311": "853fc608f96da87bd5f3458465dfb9abbf18d5ae6b94eceacead407146f175ae",
                        "cp312": "9891611b23a87cc2ace60e4b5ee9a2ee6f0fb7f395f009470961ae6e6310e1b8",
                        "cp313": "2ab71e4f5dfa65b3882634b42755f455f3e7415630d720200bd792733e15e257",
                    },
                ),
                Wheel(
                    "numpy",
                    "2.2.6",
                    {
                        "cp311": "b64d8d4d17135e00c8e346e0a738deb17e754230d7e0810ac5012750bbd85a5a",
                        "cp312": "f2618db89be1b4e05f7a1a847a9c1c0abd63e63a1607d892dd54668dd92faf87",
                        "cp313": "f92729c95468a2f4f15e9bb94c432a9229d0d50de67304399627a943201baa2f",
                    },
                ),
            ),
            (
                *_NUMPY_DROP,
                "ai_edge_litert/libLiteRtWebGpuAccelerator.so",
                "ai_edge_litert/aot",
                "ai_edge_litert/tools",
            ),
        ),
        # The last of its line, which deployed apps still carry.
        GuestRuntime(
            "tflite-runtime",
            "tflite_runtime.interpreter",
            (
                Wheel(
                    "tflite-runtime",
                    "2.14.0",
                    {"cp311": "ce9fa5d770a9725c746dcbf6f59f3178233b3759f09982e8b2db8d2234c333b0"},
                ),
                Wheel(
                    "numpy",
                    "1.26.4",
                    {"cp311": "7ab55401287bfec946ced39700c053796e7cc0e3acbef09993a9ad2adba6ca6e"},
                ),
            ),
            _NUMPY_DROP,
        ),
    )
}
DEFAULT_RUNTIME = "litert"
