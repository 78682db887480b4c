"""What a command tells whoever watches, by a clock of the test's own."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from edgepose.cli import _purpose, progress
from edgepose.cli.progress import Pace, announced


def told(seconds: float, parts: int, total: int) -> list[str]:
    said: list[str] = []
    clock = [0.0]
    pace = Pace("scoring rt", "images", said.append, lambda: clock[0])
    for done in range(parts + 1):
        pace.update(done, total)
        clock[0] += seconds
    return said


def test_a_step_tells_once_how_long_it_takes() -> None:
    assert told(2.0, 40, 40) == ["scoring rt: 3 of 40 images, about 74 seconds to come"]


@pytest.mark.parametrize(("seconds", "total"), [(0.1, 60), (3.0, 6), (9.0, 2)])
def test_a_short_step_tells_nothing(seconds: float, total: int) -> None:
    assert told(seconds, total, total) == []


def test_another_total_begins_anew() -> None:
    said: list[str] = []
    clock = [0.0]
    pace = Pace("a", "parts", said.append, lambda: clock[0])
    for done, total, now in ((0, 9, 0.0), (2, 9, 4.0), (2, 100, 100.0), (5, 100, 106.0)):
        clock[0] = now
        pace.update(done, total)
    assert said == ["a: 5 of 100 parts, about 3 minutes to come"]


def test_the_first_sentence_of_a_command_s_help_announces_it() -> None:
    assert _purpose(["data", "synth", "--out", "x"]).startswith("edgepose data synth: Make synthetic infants")
    assert _purpose(["quantize", "a"]).startswith("edgepose quantize: Quantize a network to full int8")
    assert _purpose(["nothing"]) == _purpose(["--version"]) == ""


def test_a_command_is_announced_unless_it_is_done_or_serves(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = threading.Event()

    def purpose(words: object) -> str:
        asked.set()
        return "it works"

    monkeypatch.setattr(progress, "_QUIET_S", 0.0)
    with announced(["evaluate"], purpose):
        assert asked.wait(60)
        for thread in threading.enumerate():
            if thread.name == "announcement":
                thread.join()
    captured = capsys.readouterr()
    assert captured.err == "it works\n" and not captured.out
    asked.clear()
    with announced(["view"], purpose):
        assert not [thread for thread in threading.enumerate() if thread.name == "announcement"]


_IMPORTS = """
import importlib, sys
from edgeio.quiet import captured_stderr
from edgepose.cli import progress

progress._QUIET_S, progress._HEAVY = 1e6, ("no_such_framework",)
before = list(sys.meta_path)
with progress.announced(["evaluate"], lambda words: "it works"), captured_stderr():
    for _ in range(2):
        try:
            importlib.import_module("no_such_framework")
        except ModuleNotFoundError:
            print("its noise", file=sys.stderr)
assert sys.meta_path == before
"""


def test_a_command_is_announced_before_an_import_that_takes_seconds() -> None:
    """Where whoever imports keeps its noise off stderr, as `edgepose.frameworks` does."""
    done = subprocess.run([sys.executable, "-c", _IMPORTS], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "it works\n")
