"""What several tests of devices want: a data set, a model, an emulated device, and phones on the loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_phone import PYTHON_RUNNER, FakePhone
from java_runner import make_runner
from PIL import Image
from tiny_tflite import tiny_tflite

from android_harness.emulator import EmulatedDevice, create_device
from android_harness.errors import HarnessError
from edgepose.inference.metadata import PoseMetadata
from edgepose.keypoints import IN_MOTION_19
from export.sidecar import describe, write_sidecar


@pytest.fixture(scope="session")
def a76() -> EmulatedDevice:
    """Made once, in the user's cache; or a skip with the reason."""
    try:
        return create_device("cortex-a76", "litert")
    except HarnessError as error:
        pytest.skip(f"no emulated device here: {error}")


@pytest.fixture
def infants(tmp_path: Path) -> Path:
    """Five frames of noise in In-Motion's processed layout."""
    rng = np.random.default_rng(0)
    images, points = (tmp_path / "data/processed/test" / name for name in ("images_64x64", "points"))
    images.mkdir(parents=True)
    points.mkdir()
    for i in range(5):
        Image.fromarray(rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)).save(images / f"v{i // 2}_{i}.png")
        np.savetxt(points / f"v{i // 2}_{i}.txt", rng.uniform(0.1, 0.9, (len(IN_MOTION_19), 2)), fmt="%.6f")
    return tmp_path / "data"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny-fp32-maps.tflite"
    path.write_bytes(tiny_tflite())
    pose = PoseMetadata("rt", "in-motion-19", "maps", 0, "taylor", None, None)
    write_sidecar(path, describe(path, "fp32", pose.to_json("0.1.0")))
    return path


@pytest.fixture(scope="module")
def adb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of an adb server of our own, on the loopback, with keys of its own."""
    if shutil.which("adb") is None:
        pytest.skip("adb is not installed: apt-get install adb")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    added = {"ANDROID_ADB_SERVER_PORT": str(port), "HOME": str(tmp_path_factory.mktemp("home"))}
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": True}
    subprocess.run(["adb", "start-server"], env=os.environ | added, timeout=60, **quiet)
    yield added
    subprocess.run(["adb", "kill-server"], env=os.environ | added, timeout=60, **quiet)


@pytest.fixture
def connect(
    adb_server: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., FakePhone]]:
    """Plugs phones in."""
    for name, value in adb_server.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    plugged: list[FakePhone] = []

    def plug_in(folder: str = "phone", app_process: list[str] = PYTHON_RUNNER, **settings: Any) -> FakePhone:
        phone = FakePhone(tmp_path / folder, app_process, **settings)
        plugged.append(phone)
        subprocess.run(["adb", "connect", phone.serial], capture_output=True, timeout=60, check=True)
        return phone

    yield plug_in
    for phone in plugged:
        phone.unplug()
        subprocess.run(["adb", "disconnect", phone.serial], capture_output=True, timeout=60, check=False)


@pytest.fixture
def built(connect: Callable[..., FakePhone]) -> None:
    """A runner as `make android-runner` leaves it; what the double starts is not in it."""
    make_runner()
