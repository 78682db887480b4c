"""Compiles android_harness/app with Kotlin's own compiler: the library, the sample and the library's tests.

Neither Android's Gradle plugin nor its SDK is on Maven Central. Robolectric's android-all holds the classes
of Android 14, and TensorFlow Lite's artifacts hold the Interpreter, so that what an app calls is checked all
the same.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from android_harness.artifacts import TENSORFLOW_LITE, Artifact, fetch, tool
from android_harness.errors import HarnessError
from android_harness.runner_build import QUICK_JAVA

APP = Path(__file__).parents[2] / "android_harness" / "app"
LIBRARY_SOURCES = APP / "edgepose-pose/src/main/kotlin"
TEST_SOURCES = APP / "edgepose-pose/src/test/kotlin"
SAMPLE_SOURCES = APP / "sample/src/main/kotlin"
DOCS = APP.parents[1] / "docs"
# What docs/bundle leaves out at the top of its Kotlin, which is written to be read.
_IMPORTS = """
import android.graphics.*
import java.io.File
import java.nio.*
import java.security.MessageDigest
import java.util.zip.ZipFile
import kotlin.math.ln
import org.json.*
import org.tensorflow.lite.Interpreter
"""
TESTS = ("BadInputTest", "ParityTest", "ReplayTest", "TrackerTest")

_KOTLIN = "2.0.21"
_JETBRAINS = "org.jetbrains.kotlin"
STANDARD_LIBRARY = Artifact(
    _JETBRAINS,
    "kotlin-stdlib",
    _KOTLIN,
    "jar",
    "f31cc53f105a7e48c093683bbd5437561d1233920513774b470805641bedbc09",
)
COMPILER = (
    Artifact(
        _JETBRAINS,
        "kotlin-compiler-embeddable",
        _KOTLIN,
        "jar",
        "9fa8cdd1de0dccffe154c997d423ec6b5f53cd6d9177e3a77a9b0de03fb1bc81",
    ),
    Artifact(
        _JETBRAINS,
        "kotlin-script-runtime",
        _KOTLIN,
        "jar",
        "9c111f8d08ade455566272d561921adc2b2cb6b7a4ccee38d9829c5e3a1ca6a3",
    ),
    Artifact(
        _JETBRAINS,
        "kotlin-daemon-embeddable",
        _KOTLIN,
        "jar",
        "b1a0a73c5022f8dd05a638c6b76b2bd7361818a1f3860ff2644133b1dd2bdb03",
    ),
    Artifact(
        _JETBRAINS,
        "kotlin-reflect",
        "1.6.10",
        "jar",
        "3277ac102ae17aad10a55abec75ff5696c8d109790396434b496e75087854203",
    ),
    Artifact(
        "org.jetbrains.kotlinx",
        "kotlinx-coroutines-core-jvm",
        "1.6.4",
        "jar",
        "c24c8bb27bb320c4a93871501a7e5e0c61607638907b197aef675513d4c820be",
    ),
    Artifact(
        "org.jetbrains.intellij.deps",
        "trove4j",
        "1.0.20200330",
        "jar",
        "c5fd725bffab51846bf3c77db1383c60aaaebfe1b7fe2f00d23fe1b7df0a439d",
    ),
    Artifact(
        "org.jetbrains",
        "annotations",
        "13.0",
        "jar",
        "ace2a10dc8e2d5fd34925ecac03e4988b2c0f851650c94b8cef49ba1bd111478",
    ),
    STANDARD_LIBRARY,
)
JUNIT = (
    Artifact(
        "junit", "junit", "4.13.2", "jar", "8e495b634469d64fb8acfa3495a065cbacc8a0fff55ce1e31007be4c16dc57d3"
    ),
    Artifact(
        "org.hamcrest",
        "hamcrest-core",
        "1.3",
        "jar",
        "66fdef91e9739348df7a096aa384a5685f4e875584cce89386a7a47251c4d8e9",
    ),
)
ANDROID_14 = Artifact(
    "org.robolectric",
    "android-all",
    "14-robolectric-10818077",
    "jar",
    "6be2218c6a53fe3c57bc22ebdc723edcb7270a8a6f187545708aa5c0ed813977",
)
# The oldest Android that the app and the phones' runner are for.
ANDROID_8 = Artifact(
    "org.robolectric",
    "android-all",
    "8.0.0_r4-robolectric-r1",
    "jar",
    "3707dc100381e3bbcc57b85255fd313ae20875fc65cf3130c47e86f044ad77f0",
)
_FETCH_S = 900
_COMPILE_S = 1200


@dataclass(frozen=True)
class App:
    """The compiled classes, a folder each, and the jars that they run against."""

    library: Path
    sample: Path
    tests: Path
    fetched: Path

    def classpath(self) -> list[Path]:
        """To run the tests with: the app's classes, Kotlin's and JUnit's, and Android's last."""
        used = [self.fetched / artifact.file_name for artifact in (STANDARD_LIBRARY, *JUNIT)]
        return [self.tests, self.library, *used, self.fetched / ANDROID_14.file_name]


def build_app(folder: Path) -> App:
    """Compile all of the app that can be compiled here; every warning is an error.

    Raises:
        HarnessError: a tool or the network is missing, or the compiler refuses a source.
    """
    fetched = fetch((*TENSORFLOW_LITE, *COMPILER, *JUNIT, ANDROID_14), _FETCH_S)
    app = App(folder / "library", folder / "sample", folder / "tests", fetched)
    platform = [
        fetched / ANDROID_14.file_name,
        *(artifact.classes(fetched) for artifact in TENSORFLOW_LITE),
        fetched / STANDARD_LIBRARY.file_name,
    ]
    junit = [fetched / artifact.file_name for artifact in JUNIT]
    _compile(fetched, [LIBRARY_SOURCES], platform, app.library, "1.8")
    documented = _documented(folder / "documented")
    _compile(fetched, [SAMPLE_SOURCES, documented], [app.library, *platform], app.sample, "1.8")
    _compile(fetched, [TEST_SOURCES], [app.library, *platform, *junit], app.tests, "11", friend=app.library)
    return app


def build_engine(app: App, api: Path, out: Path) -> Path:
    """The library's engine against another version's classes, of which some are no interfaces yet."""
    classpath = [app.library, api, app.fetched / STANDARD_LIBRARY.file_name]
    source = LIBRARY_SOURCES / "edgepose/pose/InterpreterEngine.kt"
    _compile(app.fetched, [source], classpath, out, "1.8", friend=app.library)
    return out


def _documented(folder: Path) -> Path:
    """The documentation's Kotlin, as files."""
    folder.mkdir()
    snippets = [(DOCS / "bundle" / f"{name}.kt").read_text(encoding="utf-8") for name in ("Taylor", "Pose")]
    (folder / "Bundle.kt").write_text(_IMPORTS + "\n".join(snippets), encoding="utf-8")
    page = (DOCS / "app.md").read_text(encoding="utf-8")
    (folder / "App.kt").write_text(page.partition("```kotlin\n")[2].partition("```")[0], encoding="utf-8")
    return folder


def _compile(
    fetched: Path,
    sources: Sequence[Path],
    classpath: Sequence[Path],
    out: Path,
    release: str,
    friend: Path | None = None,
) -> None:
    """Compile sources; `friend`: classes whose internals it may use, as a module's tests may."""
    compiler = os.pathsep.join(str(fetched / artifact.file_name) for artifact in COMPILER)
    command = [tool("java"), *QUICK_JAVA, "-Xmx1500m", "-cp", compiler]
    command += ["org.jetbrains.kotlin.cli.jvm.K2JVMCompiler", "-no-stdlib", "-no-reflect", "-Werror"]
    command += ["-jvm-target", release, f"-Xjdk-release={release.removeprefix('1.')}", "-d", str(out)]
    if friend is not None:
        command.append(f"-Xfriend-paths={friend}")
    command += ["-cp", os.pathsep.join(map(str, classpath)), *map(str, sources)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_COMPILE_S, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if "error:" in line or "warning:" in line]
        raise HarnessError(
            f"Kotlin refuses {sources[0]}: {'; '.join(said) or done.stderr}", "correct the source"
        )
