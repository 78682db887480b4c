"""`make demo` in miniature: the same script and commands, small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import av
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
TEACHER, STUDENT = "i", "rt-lite"


@pytest.mark.long
def test_the_demo_ends_with_a_report_of_teacher_student_and_files(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {
        **os.environ,
        "DEMO_OUT": str(out),
        "PATH": path,
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    done = subprocess.run(
        ["./demo.sh", "--smoke"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr[-3000:]
    report = Path(done.stdout.strip().splitlines()[-1].removeprefix("Open "))
    assert report == out / "report" / "report.html"
    assert report.stat().st_size > 10_000
    scored = {path.parent.name: json.loads(path.read_text()) for path in out.glob("scored/*/results.json")}
    after = f"{STUDENT}-distilled"
    assert set(scored) == {TEACHER, STUDENT, f"{after}-fp16-maps", f"{after}-int8-maps"}
    with av.open(str(out / "beside.mp4")) as container:
        (stream,) = container.streams.video
        assert (stream.width, stream.height, stream.frames) == (320, 120, 4)
    with Image.open(out / "beside.png") as picture:
        assert picture.size == (480, 240), "three frames, the full network above the one for the phone"
    compared = json.loads((report.parent / "compare.json").read_text())
    assert compared["baseline"] == STUDENT
