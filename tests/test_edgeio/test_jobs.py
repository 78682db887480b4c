"""One rule for every long job."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgeio import jobs
from edgeio.jobs import OtherJob


def test_the_same_job_goes_on_and_another_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamp, job = tmp_path / "job.json", {"settings": {"batch": 4, "size": (1, 2)}}
    assert not jobs.claim(stamp, job, facts={"machine": "a"})
    assert jobs.claim(stamp, job, facts={"machine": "b"})
    with pytest.raises(OtherJob, match=r"settings\.batch: was 4, now 2; .*--overwrite") as caught:
        jobs.claim(stamp, {"settings": {"batch": 2, "size": (1, 2)}})
    assert caught.value.exit_code == 2 and "size" not in str(caught.value)
    monkeypatch.setattr(jobs, "code_sha256", lambda: "f" * 64)
    with pytest.raises(OtherJob, match="another code version"):
        jobs.claim(stamp, job)
    cleared: list[int] = []
    assert not jobs.claim(stamp, {"settings": {}}, overwrite=True, clear=lambda: cleared.append(1))
    assert cleared == [1] and jobs.claim(stamp, {"settings": {}})


def test_a_result_without_a_stamp_is_not_replaced(tmp_path: Path) -> None:
    result = tmp_path / "results.json"
    result.touch()
    with pytest.raises(OtherJob, match=r"job\.json beside it does not"):
        jobs.claim(tmp_path / "job.json", {}, results=[result])
    assert result.exists()


def test_a_job_of_one_file_is_done_once(tmp_path: Path) -> None:
    path = tmp_path / "out" / "a.b.tflite"
    with pytest.raises(ZeroDivisionError), jobs.one_file(path, {"size": 1}):
        raise ZeroDivisionError
    assert not path.parent.exists(), "a job that fails leaves nothing"
    with jobs.one_file(path, {"size": 1}) as job:
        assert job.before is None
        path.touch()
        job.finish(score=2)
    assert sorted(p.name for p in path.parent.iterdir()) == ["a.b.job.json", "a.b.tflite"]
    with jobs.one_file(path, {"size": 1}) as job:
        assert job.before == {"score": 2}
    with jobs.one_file(path, {"size": 1}, others=[tmp_path / "lost"]) as job:
        assert job.before is None
    with (
        pytest.raises(OtherJob, match=r"size: was 1, now 3; .*--overwrite"),
        jobs.one_file(path, {"size": 3}),
    ):
        pass
    with jobs.one_file(path, {"size": 3}, overwrite=True) as job:
        assert job.before is None
    with jobs.one_file(path, {"size": 3}) as job:
        assert job.before is None, "it was begun, and not finished"
    job.stamp.unlink()
    with (
        pytest.raises(OtherJob, match=r"a\.b\.job\.json beside it does not"),
        jobs.one_file(path, {"size": 3}),
    ):
        pass


def test_where_no_file_is_another_job_may_begin(tmp_path: Path) -> None:
    path = tmp_path / "a.tflite"
    jobs.claim(tmp_path / "a.job.json", {"size": 1})  # and then it was killed
    with jobs.one_file(path, {"size": 2}) as job:
        assert job.before is None


def test_files_of_one_folder_are_made_side_by_side(tmp_path: Path) -> None:
    with jobs.one_file(tmp_path / "a.tflite", {}):
        with (
            pytest.raises(OtherJob, match="another command works in"),
            jobs.one_file(tmp_path / "a.tflite", {}),
        ):
            pass
        with jobs.one_file(tmp_path / "b.tflite", {}):
            pass
    assert not list(tmp_path.glob(".*.lock"))


def test_the_code_is_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "edgeio" / "jobs.py"
    source.parent.mkdir()
    source.write_text("a = 1")
    monkeypatch.setattr(jobs, "__file__", str(source))
    first = jobs.code_sha256.__wrapped__()
    source.write_text("a = 2")
    assert jobs.code_sha256.__wrapped__() != first


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, signal, sys\nfrom edgeio import jobs\n"
        "with jobs.locked(pathlib.Path(sys.argv[1])):\n os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(jobs.__file__).parents[1]
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=root, check=False)
    with (
        jobs.locked(tmp_path),
        pytest.raises(OtherJob, match="another command works in"),
        jobs.locked(tmp_path),
    ):
        pass
