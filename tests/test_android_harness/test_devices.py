"""Making devices: profiles, sysroots that are whole or made anew, locks, and what is missing."""

from __future__ import annotations

import multiprocessing
import stat
import time
import zipfile
from pathlib import Path

import pytest
from java_runner import make_runner

from android_harness import counting, doctor, downloads, emulator, sysroot
from android_harness.downloads import Apt, download_wheels
from android_harness.emulator import create_device, list_devices, open_device, remove_device
from android_harness.errors import HarnessError
from android_harness.profiles import DEFAULT_PROFILE, PROFILES
from android_harness.runner_build import runner_folder
from android_harness.runtimes import DEFAULT_RUNTIME, RUNTIMES, GuestRuntime, Wheel
from edgeio import UnknownName, sha256_file


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache in which sysroots are made of two small files, and qemu is taken as installed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(emulator, "find_qemu", lambda: ("qemu-aarch64", "7.2.0"))

    class Fetched(Apt):
        def update(self) -> None:
            pass

        def python_version(self) -> str:
            return "3.11"

        def download(self, packages):
            return []

    def wheels(runtime: GuestRuntime, python: str, folder: Path) -> list[Path]:
        path = folder / "toy-1-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("toy/__init__.py", "")
        return [path]

    monkeypatch.setattr(sysroot, "Apt", Fetched)
    monkeypatch.setattr(sysroot, "download_wheels", wheels)
    monkeypatch.setattr(sysroot, "_first_start", lambda root, python, module: None)
    return tmp_path / "edgepose" / "devices"


def test_the_tables_are_sound() -> None:
    assert DEFAULT_PROFILE in PROFILES and DEFAULT_RUNTIME in RUNTIMES
    assert {"cortex-a53", "cortex-a72", "cortex-a76"} <= set(PROFILES)
    assert len({p.part for p in PROFILES.values()}) == len(PROFILES)
    for runtime in RUNTIMES.values():
        assert runtime.pythons
        hashes = [sha for wheel in runtime.wheels for sha in wheel.sha256.values()]
        assert all(len(sha) == 64 and set(sha) <= set("0123456789abcdef") for sha in hashes)


def test_a_profile_tells_xnnpack_its_processor(tmp_path: Path) -> None:
    PROFILES["cortex-a53"].write(tmp_path)
    said = (tmp_path / "proc/cpuinfo").read_text(encoding="ascii")
    assert "CPU part\t: 0xd03\n" in said and "asimddp" not in said
    assert (tmp_path / "sys/devices/system/cpu/possible").read_text(encoding="ascii") == "0\n"
    PROFILES["cortex-a76"].write(tmp_path)
    assert "asimddp" in (tmp_path / "proc/cpuinfo").read_text(encoding="ascii")


def test_devices_are_made_listed_and_removed(cache: Path) -> None:
    steps: list[str] = []
    first = create_device("cortex-a53", "litert", steps.append)
    assert steps and first.target == "emulated:cortex-a53"
    assert (first.root / "opt/site/toy/__init__.py").exists()
    assert "0xd03" in (first.root / "proc/cpuinfo").read_text(encoding="ascii")
    steps.clear()
    create_device("cortex-a76", "litert", steps.append)
    assert steps == []  # the sysroot is shared
    assert list_devices() == ["cortex-a53", "cortex-a76"]
    remove_device("cortex-a53")
    assert open_device("").name == "cortex-a76"
    remove_device("cortex-a76")
    assert not list((cache / "sysroots").iterdir())
    with pytest.raises(HarnessError, match="edgepose device list"):
        remove_device("cortex-a76")


def test_a_device_that_is_whole_stays_and_one_that_is_not_is_made_anew(cache: Path) -> None:
    device = create_device("cortex-a53", "litert")
    born = device.root.stat().st_ino
    assert create_device("cortex-a53", "litert").root.stat().st_ino == born
    (device.root / "proc/cpuinfo").write_text("CPU part\t: 0xd0b\n", encoding="ascii")
    with pytest.raises(HarnessError, match="run: edgepose device create --cpu cortex-a53"):
        open_device("cortex-a53")
    assert "0xd03" in (create_device("cortex-a53", "litert").root / "proc/cpuinfo").read_text(
        encoding="ascii"
    )


def test_a_device_that_is_not_made_names_the_command(cache: Path) -> None:
    with pytest.raises(
        HarnessError, match="run: edgepose device create --cpu cortex-a53 --runtime tflite-runtime"
    ):
        open_device("cortex-a53-tflite-runtime")
    with pytest.raises(UnknownName, match="did you mean 'cortex-a7"):
        open_device("cortex-a71")


def test_a_sysroot_that_was_touched_is_found_out_and_made_anew(cache: Path) -> None:
    device = create_device("cortex-a76", "litert")
    (device.root / "opt/site/toy/__init__.py").write_text("changed", encoding="ascii")
    with pytest.raises(HarnessError, match="is not as it was made"):
        sysroot.verify(device.sysroot)
    again = create_device("cortex-a76", "litert")
    sysroot.verify(again.sysroot)
    assert (again.root / "opt/site/toy/__init__.py").read_text(encoding="ascii") == ""


def test_what_a_kill_left_half_made_is_made_anew(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half = cache / "sysroots" / f".litert-{RUNTIMES['litert'].version}.partial"
    (half / "root").mkdir(parents=True)
    (half / "root" / "left").touch()
    device = create_device("cortex-a76", "litert")
    assert not half.exists() and not (device.sysroot.root / "left").exists()

    def fails(root: Path, python: str, module: str) -> None:
        raise HarnessError("no", "network")

    remove_device("cortex-a76")
    monkeypatch.setattr(sysroot, "_first_start", fails)
    with pytest.raises(HarnessError):
        create_device("cortex-a76", "litert")
    assert not list((cache / "sysroots").glob("[!.]*")) and not half.exists()


def test_a_sysroot_of_other_pins_is_made_anew(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_device("cortex-a76", "litert")
    monkeypatch.setattr(sysroot, "LIBRARIES", ("libc6",))
    with pytest.raises(HarnessError, match="not whole, or of another version"):
        open_device("cortex-a76")
    steps: list[str] = []
    create_device("cortex-a76", "litert", steps.append)
    assert steps


def _hold(cache: Path, held, release) -> None:
    with sysroot.locked(cache):
        held.set()
        release.wait(20)


def test_two_makers_take_turns(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path, held, release))
    other.start()
    assert held.wait(20)
    start = time.monotonic()
    release_later = context.Process(target=lambda: (time.sleep(0.3), release.set()))
    release_later.start()
    with sysroot.locked(tmp_path):
        assert time.monotonic() - start > 0.2
    other.join()
    release_later.join()


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HarnessError, match="XDG_CACHE_HOME"), sysroot.locked(tmp_path / "file" / "cache"):
        pass


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert sysroot.cache_folder() == tmp_path / "edgepose" / "devices"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert sysroot.cache_folder() == Path.home() / ".cache" / "edgepose" / "devices"


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="ascii")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_without_a_network_the_sources_complaint_is_shown(tmp_path: Path, monkeypatch) -> None:
    program(tmp_path, "apt-get", 'echo "W: Failed to fetch the list: no route to host"')
    program(tmp_path, "apt-cache", "exit 0")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    apt = Apt(tmp_path / "work")
    apt.update()
    with pytest.raises(HarnessError, match=r"no route to host.*--mirror 'deb URL SUITE main'"):
        apt.python_version()


def test_apt_is_pointed_at_a_state_of_its_own(tmp_path: Path, monkeypatch) -> None:
    program(tmp_path, "apt-cache", 'echo "Depends: python3.12-minimal (>= 3.12.1)" ; echo "$@" > args')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert Apt(tmp_path / "work", mirror="deb file:/here stable main").python_version() == "3.12"
    said = (tmp_path / "work" / "args").read_text(encoding="ascii")
    assert f"Dir::State={tmp_path / 'work' / 'state'}" in said and "APT::Architecture=arm64" in said
    listed = (tmp_path / "work" / "sources.list").read_text(encoding="ascii")
    assert listed == "deb file:/here stable main\n"


def test_apts_failure_is_told_in_its_words(tmp_path: Path, monkeypatch) -> None:
    program(tmp_path, "apt-get", 'echo "Get:1 x"; echo "E: Unable to locate package libc6"; exit 100')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(HarnessError, match=r"apt-get download failed \(E: Unable to locate package libc6"):
        Apt(tmp_path / "work").download(["libc6"])


TOY = GuestRuntime("toy", "toy", (Wheel("toy", "1", {"cp311": "0" * 64}),))


def test_a_wheel_with_other_bytes_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(downloads, "_run", lambda *_: "")
    wheel = tmp_path / "toy-1-py3-none-any.whl"
    wheel.write_bytes(b"other")
    with pytest.raises(HarnessError, match="not the pinned 0000"):
        download_wheels(TOY, "3.11", tmp_path)
    good = GuestRuntime("toy", "toy", (Wheel("toy", "1", {"cp311": sha256_file(wheel)}),))
    assert download_wheels(good, "3.11", tmp_path) == [wheel]


def test_a_python_without_pinned_wheels_is_named(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"pinned for Python 3\.11, and this system has 3\.9"):
        download_wheels(TOY, "3.9", tmp_path)


def test_the_doctor_names_each_lack_and_its_hint(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    found = {f.name: f for f in doctor.examine(tmp_path / "cache")}
    assert not found["emulator"].ok and "apt-get install qemu-user" in found["emulator"].hint
    assert not found["packages"].ok and found["packages"].needed
    assert not found["instruction counter"].ok and not found["instruction counter"].needed
    assert "apt-get install gcc" in found["instruction counter"].hint
    assert found["cache"].ok


def test_the_doctor_sees_what_phones_lack(tmp_path: Path, monkeypatch) -> None:
    for name in ("ANDROID_HOME", "ANDROID_SDK_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def looked() -> dict[str, doctor.Finding]:
        return {f.name: f for f in doctor.examine()}

    program(tmp_path, "java", "")
    found = looked()
    assert (found["adb"].ok, found["adb"].needed) == (False, False)
    assert "apt-get install adb" in found["adb"].hint
    assert found["runner for phones"].hint == "run: make android-runner"
    assert not found["runner for phones"].ok and not found["runner for phones"].needed
    assert found["tools to build it"].found == "javac, mvn missing"
    assert "apt-get install maven" in found["tools to build it"].hint
    for name in ("adb", "javac", "mvn"):
        program(tmp_path, name, "")
    assert looked()["adb"].ok and looked()["tools to build it"].ok
    make_runner()
    found = looked()
    assert found["runner for phones"].ok and "tools to build it" not in found
    (runner_folder() / "runner.jar").write_bytes(b"other")
    assert "missing or damaged" in looked()["runner for phones"].found


def test_the_doctor_sees_a_device_that_is_not_whole(cache: Path, monkeypatch) -> None:
    device = create_device("cortex-a76", "litert")
    (device.root / "opt/site/toy/__init__.py").unlink()
    finding = doctor.examine()[-1]
    assert finding.name == "device cortex-a76" and not finding.ok
    assert finding.hint == "run: edgepose device create --runtime litert"


def test_without_a_compiler_nothing_is_counted(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(counting.NotCounted, match="no C compiler"):
        counting.build_plugin(tmp_path)
    program(tmp_path, "cc", 'echo "count.c:1: bad" >&2; exit 1')
    with pytest.raises(counting.NotCounted, match=r"does not compile the counter \(count.c:1: bad\)"):
        counting.build_plugin(tmp_path)
    assert not list((tmp_path / "plugins").glob("*"))
