"""`edgepose device`: what it prints, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from android_harness import doctor
from android_harness.doctor import Finding
from edgepose.cli.device import app

GOOD = Finding("emulator", True, True, "qemu 7.2.0")
LESS = Finding("instruction counter", False, False, "no C compiler", "run: sudo apt-get install gcc")
BAD = Finding("pip", False, True, "not in this Python", "run: python -m ensurepip")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("findings", "code", "said"),
    [
        ([GOOD], 0, "ok       emulator: qemu 7.2.0\n"),
        ([LESS], 0, "without  instruction counter: no C compiler; run: sudo apt-get install gcc\n"),
        ([GOOD, BAD], 1, "MISSING  pip: not in this Python; run: python -m ensurepip\n"),
    ],
)
def test_the_doctors_word_and_exit_code(monkeypatch, findings, code: int, said: str) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: findings)
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == code
    assert said in done.stdout
    plain = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    assert [row["name"] for row in plain] == [finding.name for finding in findings]


def test_no_devices_are_an_empty_list() -> None:
    assert json.loads(CliRunner().invoke(app, ["list", "--json"]).stdout) == []
    assert CliRunner().invoke(app, ["list"]).exit_code == 0


def test_a_device_that_is_not_whole_is_told_of_and_hides_no_other(tmp_path: Path) -> None:
    folder = tmp_path / "edgepose" / "devices" / "emulated" / "cortex-a53"
    folder.mkdir(parents=True)
    (folder / "device.json").write_text("{}")
    done = CliRunner().invoke(app, ["list"])
    assert done.exit_code == 0 and not done.stdout
    assert "'cortex-a53' is not whole" in done.stderr
    assert "edgepose device create --cpu cortex-a53" in done.stderr
