"""Errors that say the hint, and files that land whole."""

import errno
import hashlib
import pickle

import pytest

from edgeio import UnknownName, UserError, leftovers, lookup, read_json, replacing, sha256_file, write_json


def test_an_error_is_one_line_and_survives_a_process_boundary():
    error = UserError("a\nfile  is\tbad", "hint\nit")
    assert str(error) == "a file is bad; hint it"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    unknown = pickle.loads(pickle.dumps(UnknownName("network", "r", ["rt", "b4"])))
    assert (unknown.exit_code, str(unknown)) == (2, "unknown network 'r'; did you mean 'rt'? known: rt, b4")


def test_lookup():
    assert lookup({"a": 1}, "letter", "a") == 1
    with pytest.raises(UnknownName, match="unknown letter 'z'; known: a"):
        lookup({"a": 1}, "letter", "z")


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "new" / "x.json"
    write_json(target, {"old": 1})
    with pytest.raises(OSError), replacing(target) as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert read_json(target, "-") == {"old": 1}
    assert [p.name for p in target.parent.iterdir()] == ["x.json"]
    with pytest.raises(ValueError):
        write_json(target, float("nan"))
    assert read_json(target, "-") == {"old": 1}


def test_bad_json_names_the_file_and_the_hint(tmp_path):
    with pytest.raises(UserError, match=r"absent\.json does not exist; run it again"):
        read_json(tmp_path / "absent.json", "run it again")
    for hostile in ("{", "[" * 100_000):
        (tmp_path / "bad.json").write_text(hostile)
        with pytest.raises(UserError, match=r"bad\.json is not valid JSON"):
            read_json(tmp_path / "bad.json", "-")


def test_sha256(tmp_path):
    (tmp_path / "f").write_bytes(b"edge")
    assert sha256_file(tmp_path / "f") == hashlib.sha256(b"edge").hexdigest()


def test_what_killed_processes_left_is_found_by_its_whole_name(tmp_path):
    left = {".a.12.partial.csv", ".a-sheet.7.partial.png", ".a_json.3.partial"}
    others = {".a2.12.partial.csv", ".a-b.12.partial.csv", ".a.12.partial.h5", ".a.x.partial.csv", "a.csv"}
    for name in left | others:
        (tmp_path / name).touch()
    with replacing(tmp_path / "a.csv") as mine:  # named as `replacing` names them
        mine.touch()
        found = {path.name for path in leftovers(tmp_path, ["a.csv", "a-sheet.png", "a_json"])}
        assert found == left | {mine.name}
