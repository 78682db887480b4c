"""adb for real: its client against a double of adbd, and captured text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fake_phone import FakePhone

from android_harness import adb
from android_harness.adb import Adb, Listed, PhoneFull, PhoneGone, RemoteFailed
from android_harness.errors import HarnessError

Connect = Callable[..., FakePhone]


def test_shell_has_exit_codes(connect: Connect) -> None:
    there = Adb(connect().serial)
    assert there.shell("echo one; echo two") == "one\ntwo\n"
    with pytest.raises(RemoteFailed, match="no such thing") as caught:
        there.shell("echo no such thing >&2; exit 7")
    assert caught.value.code == 7


def test_push_and_pull_keep_bytes(connect: Connect, tmp_path: Path) -> None:
    phone = connect()
    data = np.random.default_rng(0).bytes(700_001)
    for name, content in {"a.bin": data, "empty.bin": b""}.items():
        (tmp_path / name).write_bytes(content)
    there = Adb(phone.serial)
    there.push([tmp_path / "a.bin", tmp_path / "empty.bin"], "/data/local/tmp")
    assert (phone.place / "a.bin").read_bytes() == data
    (tmp_path / "back").mkdir()
    there.pull(["/data/local/tmp/a.bin", "/data/local/tmp/empty.bin"], tmp_path / "back")
    assert (tmp_path / "back" / "a.bin").read_bytes() == data
    assert (tmp_path / "back" / "empty.bin").read_bytes() == b""
    with pytest.raises(HarnessError, match="adb pull"):
        there.pull(["/data/local/tmp/none"], tmp_path / "back")


def test_push_to_a_full_phone(connect: Connect, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(5000))
    with pytest.raises(PhoneFull, match=r"storage of the phone .* is full"):
        Adb(connect(room=4999).serial).push([tmp_path / "a.bin"], "/data/local/tmp")


def test_a_pulled_cable_is_no_success(connect: Connect) -> None:
    phone = connect(unplug_on="sleep 5")  # adb itself ends with 0 then
    for _ in range(2):
        with pytest.raises(PhoneGone, match="no longer answers"):
            Adb(phone.serial).shell("sleep 5")


@pytest.mark.parametrize(
    ("text", "listed"),
    [
        ("List of devices attached\n\n", ()),
        ("* daemon not running; starting now at tcp:5037\n* daemon started successfully\n", ()),
        (
            "List of devices attached\n"
            "R58M\tdevice usb:1-2 product:a model:SM_A12 device:a12 transport_id:1\n"
            "R59N                   unauthorized usb:1-1 transport_id:3\n192.168.1.4:5555\toffline\n",
            (
                Listed("R58M", "device", "SM_A12"),
                Listed("R59N", "unauthorized"),
                Listed("192.168.1.4:5555", "offline"),
            ),
        ),
        (
            "List of devices attached\n"
            "0123  no permissions (missing udev rules? user is in the plugdev group); see [url] usb:3-1\n",
            (Listed("0123", "no permissions"),),
        ),
        (
            "List of devices attached\n"
            "My Phone 5G            device usb:1-2 product:a model:SM_A12 device:a12 transport_id:1\n"
            "adb-R58M (2)._adb-tls-connect._tcp device product:a model:Pixel_8 transport_id:2\n"
            "no device              offline usb:1-1 transport_id:3\n"
            "the offline device\tunauthorized\n"
            "model:x y              rescue\n"
            "odd                    dancing usb:1-3\n"
            "a b  no permissions (user in plugdev group; are your udev rules wrong?); see [url] usb:3-1\n",
            (
                Listed("My Phone 5G", "device", "SM_A12"),
                Listed("adb-R58M (2)._adb-tls-connect._tcp", "device", "Pixel_8"),
                Listed("no device", "offline"),
                Listed("the offline device", "unauthorized"),
                Listed("model:x y", "rescue"),
                Listed("odd", "dancing"),
                Listed("a b", "no permissions"),
            ),
        ),
    ],
)
def test_reads_what_adb_lists(text: str, listed: tuple[Listed, ...]) -> None:
    assert adb.parse_devices(text) == listed


@pytest.mark.parametrize(
    ("state", "hint"),
    [
        ("offline", "plug it in again"),
        ("no permissions", "android-sdk-platform-tools-common"),
        ("recovery", "start Android"),
        ("odd", "see: adb devices"),
    ],
)
def test_a_phone_in_another_state(state: str, hint: str) -> None:
    with pytest.raises(HarnessError, match=f"A1 is {state}; .*{hint}"):
        adb.choose([Listed("A1", state)], "")
