"""The app: it compiles, Android has all that it calls, and its library gives a real bundle's keypoints.

`make app-test` runs this and takes no skip for an answer.
"""

from __future__ import annotations

import os
import platform
import struct
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import android_methods
import app_build
import app_cases
import app_engine
import java_runner
import pytest
from app_build import APP, App

from android_harness.artifacts import BUILD_TOOLS, DEXER, TENSORFLOW_LITE, fetch, tool
from android_harness.errors import HarnessError
from android_harness.runner_build import ABIS, JAR, QUICK_JAVA, build_runner
from edgepose.models.pretrained import FOLDER as WEIGHTS

pytestmark = pytest.mark.long

REQUIRED = "EDGEPOSE_APP_REQUIRED"  # set by `make app-test`
_RUN_S = 1800
_FETCH_S = 900
# Behind a check of the version: before Android 9 the sample shows a picture as the file has it.
_NEWER_IN_SAMPLE = "android/graphics/ImageDecoder"
HEAP_SIZE = android_methods.Member("android/os/Debug", "getNativeHeapAllocatedSize", "()J")


def absent(reason: str) -> NoReturn:
    if os.environ.get(REQUIRED):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    for name in BUILD_TOOLS:
        try:
            tool(name)
        except HarnessError as error:
            absent(str(error))
    try:
        fetch(
            (*TENSORFLOW_LITE, DEXER, *app_build.COMPILER, *app_build.JUNIT, app_build.ANDROID_14), _FETCH_S
        )
        fetch((app_build.ANDROID_8,), _FETCH_S)
    except HarnessError as error:
        absent(f"what the app is compiled with cannot be fetched: {error}")
    return app_build.build_app(tmp_path_factory.mktemp("app"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundles of RT Lite, in float and in 8 bits, that were scored; bad ones; and vectors."""
    folder = tmp_path_factory.mktemp("app-data")
    for name in ("bundles", "bad", "vectors"):
        (folder / name).mkdir()
    models = [folder / f"{name}.tflite" for name in ("rt-lite-fp16", "rt-lite-int8-ptq-maps")]
    for ending in (".tflite", ".json"):
        models[0].with_suffix(ending).write_bytes((WEIGHTS / f"rt-lite{ending}").read_bytes())
    infants, scored = folder / "infants", folder / "scored"
    edgepose(
        "data",
        "synth",
        "--out",
        infants,
        "--videos",
        "20",
        "--frames",
        "1",
        "--seed",
        "1",
        "--size",
        "320x240",
    )
    edgepose(
        "quantize",
        "default:rt-lite",
        "--data",
        infants,
        "--count",
        "4",
        "--ranges",
        "minmax",
        "--out",
        folder,
    )
    edgepose("evaluate", *models, "--data", infants, "--out", scored)
    bundles = [folder / "bundles" / f"{model.stem}.zip" for model in models]
    for model, bundle in zip(models, bundles, strict=True):
        edgepose("bundle", model, "--report", scored, "--out", bundle)
    app_cases.make_bad_bundles(bundles[1], bundles[0], folder / "bad")
    app_cases.make_vectors(folder / "vectors")
    return folder


def edgepose(*words: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgepose", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=_RUN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def run_tests(
    app: App, data: Path, jars: list[Path], tests: Sequence[str], settings: Sequence[str] = ()
) -> list[str]:
    """Run JUnit tests of the app's library, `jars` before its own classes; returns what they printed."""
    command = [tool("java"), *QUICK_JAVA, "-Xmx320m", f"-Dedgepose.tests={data}", *settings]
    command += [f"-Dedgepose.engine={sys.executable}\n{app_engine.__file__}"]
    command += ["-cp", os.pathsep.join(map(str, [*jars, *app.classpath()])), "org.junit.runner.JUnitCore"]
    command += [f"edgepose.pose.{name}" for name in tests]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_RUN_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    said = [line.lstrip(".") for line in done.stdout.splitlines()]  # JUnit's, one for each test
    assert any(line.startswith("OK (") for line in said)
    return said


def show(capsys: pytest.CaptureFixture[str], lines: list[str], beginnings: tuple[str, ...]) -> None:
    with capsys.disabled():
        print()
        for line in lines:
            if line.startswith(beginnings):
                print(line)


def test_the_library_gives_the_bundles_keypoints(
    app: App, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of the library's tests, with LiteRT of this machine's Python as the runtime."""
    interpreter = [artifact.classes(app.fetched) for artifact in TENSORFLOW_LITE]
    said = run_tests(app, data, interpreter, app_build.TESTS)
    show(capsys, said, ("replay:", "refused:", "OK ("))
    assert sum(line.startswith("replay:") for line in said) == 2
    assert sum(line.startswith("refused:") for line in said) == len(list((data / "bad").glob("*.zip")))


def test_tensorflow_lites_java_api_behind_the_library(
    app: App, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The Interpreter itself, of the last version with a native library for desktops."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        absent("the desktop's native library is for Linux on x86_64")
    try:
        api = java_runner.desktop_library(tmp_path)
    except HarnessError as error:
        absent(f"TensorFlow Lite for desktop Java cannot be fetched: {error}")
    engine = app_build.build_engine(app, api, tmp_path / "engine")
    settings = [f"-Djava.library.path={tmp_path}", "-Dedgepose.tflite=2.6"]
    said = run_tests(app, data, [engine, api], ["ReplayTest"], settings)
    show(capsys, said, ("replay:",))
    assert sum("on tflite-runtime 2.6" in line for line in said) >= 1


def test_android_has_all_that_is_called(app: App, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By signature: in Java 8, in Android 14 and in the oldest Android that they are for, or their own."""
    java = android_methods.java_8(Path(tool("javac")).resolve().parents[1])
    androids = [
        android_methods.jar(app.fetched / artifact.file_name)
        for artifact in (app_build.ANDROID_14, app_build.ANDROID_8)
    ]
    with zipfile.ZipFile(build_runner(tmp_path / "runner").folder / JAR) as archive:
        runner = android_methods.Dex(archive.read("classes.dex"))
    library, sample = android_methods.folder(app.library), android_methods.folder(app.sample)
    kotlin = android_methods.jar(app.fetched / app_build.STANDARD_LIBRARY.file_name)
    interpreter = [android_methods.jar(artifact.classes(app.fetched)) for artifact in TENSORFLOW_LITE]
    programs = {
        "the library": (android_methods.uses_of_classes(app.library), (library, kotlin, *interpreter)),
        "the sample": (
            android_methods.uses_of_classes(app.sample),
            (sample, library, kotlin, *interpreter),
        ),
        # By name, so that a desktop's Java runs it too.
        "runner.jar": (runner.uses | {HEAP_SIZE}, (runner.find,)),
    }
    for name, (uses, own) in programs.items():
        androids_own = sum(use.owner.startswith("android/") for use in uses)
        show(capsys, [f"{name} uses {len(uses)} methods and fields, {androids_own} of them Android's"], ("",))
        newest, oldest = (android_methods.Classes(*own, java, android) for android in androids)
        assert newest.missing(uses) == []
        assert [m for m in oldest.missing(uses) if not m.startswith(_NEWER_IN_SAMPLE)] == []
        other = replace(HEAP_SIZE, type="()I")
        assert newest.missing([other]) == [str(other)]


def test_tensorflow_lites_libraries_are_laid_out_for_pages_of_4_kb(app: App) -> None:
    """Why Gradle takes LiteRT's instead, as docs/app.md has it."""
    with zipfile.ZipFile(app.fetched / TENSORFLOW_LITE[0].file_name) as archive:
        names = [name for name in archive.namelist() if name.endswith(".so")]
        found = {Path(name).parent.name: page_sizes(archive.read(name)) for name in names}
    assert found == {abi: {4096} for abi in ABIS}


def page_sizes(library: bytes) -> set[int]:
    """The alignments of a native library's segments that are loaded (ELF, little endian)."""
    wide = library[4] == 2  # 64 bits
    (table,) = struct.unpack_from("<Q" if wide else "<I", library, 32 if wide else 28)
    size, count = struct.unpack_from("<HH", library, 54 if wide else 42)
    headers = [library[table + i * size : table + (i + 1) * size] for i in range(count)]
    loaded = [header for header in headers if struct.unpack_from("<I", header)[0] == 1]
    return {struct.unpack_from("<Q" if wide else "<I", header, 48 if wide else 28)[0] for header in loaded}


def test_every_source_is_compiled_or_said_not_to_be() -> None:
    known = (app_build.LIBRARY_SOURCES, app_build.TEST_SOURCES, app_build.SAMPLE_SOURCES)
    others = [p for p in APP.rglob("*.kt") if not any(p.is_relative_to(folder) for folder in known)]
    assert [p.name for p in others] == ["CompiledModelEngine.kt"]
    assert "CompiledModelEngine.kt" in (APP / "README.md").read_text(encoding="utf-8")


def test_without_a_jdk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(app_build, "fetch", lambda *_: tmp_path)
    monkeypatch.setattr(app_build.Artifact, "classes", lambda *_: tmp_path)
    with pytest.raises(HarnessError, match="java is not installed"):
        app_build.build_app(tmp_path)
