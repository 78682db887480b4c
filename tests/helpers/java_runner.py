"""The phones' runner on this machine's Java: TensorFlow Lite's Java API over a desktop native library.

No build of 2.16.1's native library for desktops is published, so the sources are compiled against 2.6, the
last one that is.
"""

from __future__ import annotations

import platform
import shutil
import zipfile
from pathlib import Path

import pytest

from android_harness import protocol
from android_harness.artifacts import Artifact, fetch
from android_harness.errors import HarnessError
from android_harness.runner_build import (
    MAIN_CLASS,
    QUICK_JAVA,
    compile_java,
    java_sources,
    runner_folder,
    sources_sha256,
)
from edgeio import sha256_file, write_json

LIBRARY = "libtensorflowlite_jni.so"
_API = Artifact(
    "org.tensorflow",
    "tensorflow-lite",
    "2.6.0",
    "aar",
    "f7dcd32a48dc348ee2eea2bed37044354a21e43dfdf507b6a73b40b05d5793ea",
)
_NATIVE = Artifact(
    "ai.djl.tflite",
    "tflite-native-cpu",
    "2.6.2",
    "jar",
    "aa8ae00d9b39489d03aa76f388019da6a086eee99a22f7d7a31e4b5a09003c8e",
    "linux-x86_64",
)
_FETCH_S = 180


def need_java() -> None:
    """Skip without a JDK."""
    for name in ("java", "javac"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed: apt-get install default-jdk-headless")


def desktop_runner(folder: Path) -> tuple[list[str], Path]:
    """The command that runs Main on this machine, and its native library; skips where that cannot be."""
    need_java()
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        pytest.skip("the desktop's native library is for Linux on x86_64")
    try:
        api = desktop_library(folder)
    except HarnessError as error:
        pytest.skip(f"TensorFlow Lite for desktop Java cannot be fetched: {error}")
    compile_java(java_sources(), [api], folder / "classes")
    return ["java", *QUICK_JAVA, "-cp", f"{folder / 'classes'}:{api}", MAIN_CLASS], folder / LIBRARY


def desktop_library(folder: Path) -> Path:
    """Put the native library into a folder; returns the jar of its Java API. Raises HarnessError."""
    fetched = fetch((_API, _NATIVE), _FETCH_S)
    with zipfile.ZipFile(fetched / _NATIVE.file_name) as archive:
        (folder / LIBRARY).write_bytes(archive.read(f"native/lib/{LIBRARY}"))
    return _API.classes(fetched)


def make_runner(abi: str = "arm64-v8a", library: bytes = b"library") -> None:
    """A folder as `make android-runner` leaves it, for phones of one kind; its jar is none."""
    folder = runner_folder()
    files = {"runner.jar": b"jar", f"{abi}/libtensorflowlite_jni.so": library}
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    manifest = {
        "protocol": protocol.VERSION,
        "runtime_version": "2.16.1",
        "sources_sha256": sources_sha256(),
        "files": {name: sha256_file(folder / name) for name in files},
    }
    write_json(folder / "runner.json", manifest)
