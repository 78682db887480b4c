"""One rule for every long command: the same command again goes on, another one is refused by name.

A job is described by its settings as JSON, and by the code that does it. Its stamp, a JSON file, lies in the
job's folder from the first moment; what is done is beside it. A job that gives one file has its stamp beside
that file, as NAME.job.json, so that many of them share a folder.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeio.errors import UserError
from edgeio.files import read_json, write_json

PACKAGES = ("android_harness", "edgeio", "edgepose", "export")
CODE = "code_sha256"
OTHERS = "give the old settings, add --overwrite to begin anew, or choose another --out"


class OtherJob(UserError):
    """A folder holds another job than the one asked for, or is being worked in."""

    exit_code = 2


@functools.cache
def code_sha256() -> str:
    """SHA-256 of the sources of the installed packages: a finished job of other code is not this code's."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def claim(
    stamp: Path,
    job: Mapping[str, Any],
    overwrite: bool = False,
    clear: Callable[[], None] = lambda: None,
    facts: Mapping[str, Any] | None = None,
    results: Sequence[Path] = (),
) -> bool:
    """Begin a job, or find that it was begun before.

    Args:
        stamp: the JSON file that describes the job.
        job: all that the result depends on, as JSON; the code's hash is added.
        overwrite: begin anew, whatever is there.
        clear: removes what an earlier job left; called before a new stamp is written.
        facts: what else a reader of the stamp wants to know; not compared.
        results: files that are not to be there without a stamp: nobody knows what they are of.

    Returns:
        whether the same job was begun before.

    Raises:
        OtherJob: another job was begun there; names each setting that differs. Or a result has no stamp.
    """
    job = {**json.loads(json.dumps(job)), CODE: code_sha256()}
    if stamp.exists() and not overwrite:
        check_same(stamp.parent, read_json(stamp, OTHERS), job)
        return True
    unknown = next((path for path in results if path.exists()), None)
    if unknown is not None and not overwrite:
        raise OtherJob(f"{unknown} exists, and {stamp.name} beside it does not", OTHERS)
    stamp.unlink(missing_ok=True)
    clear()
    write_json(stamp, {**job, **({} if facts is None else {"facts": facts})})
    return False


def check_same(where: Path, before: Any, job: Mapping[str, Any]) -> None:
    """Raise OtherJob where the job that was done before differs from this one; names what differs."""
    then = before if isinstance(before, Mapping) else {}
    was, now = _flat({k: v for k, v in then.items() if k != "facts"}), _flat(json.loads(json.dumps(job)))
    changed = [name for name in sorted({*was, *now} - {CODE}) if was.get(name) != now.get(name)]
    if changed:
        told = "; ".join(f"{name}: was {was.get(name)!r}, now {now.get(name)!r}" for name in changed)
        raise OtherJob(f"{where} holds a job of other settings: {told}", OTHERS)
    if was.get(CODE) != now.get(CODE):
        told = f"{str(was.get(CODE))[:12]}, now {str(now.get(CODE))[:12]}"
        raise OtherJob(
            f"{where} holds a job of another code version: was {told}",
            "add --overwrite to begin anew, or choose another --out",
        )


@contextmanager
def locked(folder: Path, name: str = "") -> Iterator[None]:
    """Keep other processes out of a folder; the system frees it even after a kill.

    Leaves nothing behind, not even a folder that was made for this and stayed empty.

    Args:
        name: keep them out of what has this name in the folder only.

    Raises:
        OtherJob: another process works there.
    """
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    path = lock_path(folder, name)
    try:
        while True:
            with path.open("a") as handle:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    where = folder / name if name else folder
                    raise OtherJob(
                        f"another command works in {where}", "wait for it, or choose another --out"
                    ) from None
                if not _is_at(path, handle.fileno()):
                    continue  # whoever held it removed it between our opening and locking it
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return
    finally:
        if made:
            with suppress(OSError):
                folder.rmdir()


def lock_path(folder: Path, name: str = "") -> Path:
    """The file that is there as long as `locked` holds."""
    return folder / (f".{name}.lock" if name else ".lock")


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether an open file is the one that the path names."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


@dataclass(frozen=True)
class FileJob:
    """A job that gives one file, in hand.

    Attributes:
        stamp: the JSON file that describes it, beside what it gives.
        before: what `finish` was told by the same job, which is finished; None where it is to be done.
    """

    stamp: Path
    before: Mapping[str, Any] | None

    def finish(self, **facts: Any) -> None:
        """The file is there; `facts` are what the same command is to tell of it again."""
        write_json(self.stamp, {**read_json(self.stamp, OTHERS), "facts": facts})


@contextmanager
def one_file(
    path: Path, job: Mapping[str, Any], overwrite: bool = False, others: Sequence[Path] = ()
) -> Iterator[FileJob]:
    """Begin a job that gives one file, or find that it is finished; other processes are kept out of it.

    No part of such a job is kept, so as long as its file is not there another job may take its place, and a
    job that fails leaves nothing.

    Args:
        path: the file.
        others: further files of the job, which is not finished without them.

    Raises:
        OtherJob: the file is there by another job, by an unknown one, or is being made.
    """
    stamp = path.with_name(f"{path.stem}.job.json")
    with locked(path.parent, path.name):
        again = claim(stamp, job, overwrite or not path.exists(), results=[path])
        whole = again and all(each.exists() for each in (path, *others))
        try:
            yield FileJob(stamp, read_json(stamp, OTHERS).get("facts") if whole else None)
        except BaseException:
            if not path.exists():
                stamp.unlink(missing_ok=True)
            raise


def said_before(path: Path) -> str:
    """What a command says where the same job had made a file."""
    return f"{path} was made before by the same job; --overwrite makes it anew"


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Nested mappings as dotted names."""
    if not isinstance(value, Mapping):
        return {name: value}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        found |= _flat(inner, f"{name}.{key}" if name else str(key))
    return found
