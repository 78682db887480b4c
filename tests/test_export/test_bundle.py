"""Bundles as archives: the same bytes every time, and no byte that can change unseen."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from export.archive import MANIFEST, read_bundle, write_bundle
from export.errors import ExportError

PARTS = {"model.tflite": b"\x00model\xff" * 9, "golden/0/input.bin": bytes(range(64)), "card.md": b"# card\n"}
SAYS = {"name": "m", "text": "ä"}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "app.zip", PARTS, SAYS)
    return tmp_path / "app.zip"


def entries(path: Path) -> list[tuple[zipfile.ZipInfo, bytes]]:
    with zipfile.ZipFile(path) as archive:
        return [(info, archive.read(info)) for info in archive.infolist()]


def repacked(path: Path, change: Callable[[list[tuple[zipfile.ZipInfo, bytes]]], None]) -> Path:
    held = entries(path)
    change(held)
    with zipfile.ZipFile(path, "w") as archive:
        for info, content in held:
            archive.writestr(info, content)
    return path


def refused(path: Path) -> str:
    with pytest.raises(ExportError) as caught:
        read_bundle(path)
    said = str(caught.value)
    assert said.startswith(str(path))
    assert "\n" not in said
    return said


def rewritten(path: Path, **changes: object) -> Path:
    """The manifest with other fields; None removes one."""

    def change(held: list[tuple[zipfile.ZipInfo, bytes]]) -> None:
        plain = {**json.loads(held[0][1]), **changes}
        kept = {k: v for k, v in plain.items() if v is not None}
        held[0] = (held[0][0], (json.dumps(kept, indent=1, ensure_ascii=False) + "\n").encode())

    return repacked(path, change)


def test_a_bundle_is_read_back_whole(bundle: Path) -> None:
    found = read_bundle(bundle)
    assert found.parts == PARTS
    assert found.manifest["text"] == "ä"
    assert list(found.manifest["parts"]) == sorted(PARTS)
    assert found.manifest["parts"]["card.md"]["bytes"] == 7
    names = [info.filename for info, _ in entries(bundle)]
    assert names == [MANIFEST, *sorted(PARTS)]


def test_the_same_parts_give_the_same_bytes(bundle: Path, tmp_path: Path) -> None:
    again = write_bundle(tmp_path / "again.zip", dict(reversed(PARTS.items())), SAYS)
    assert (tmp_path / "again.zip").read_bytes() == bundle.read_bytes()
    assert again.sha256 == read_bundle(bundle).sha256
    assert b"1980" not in bundle.read_bytes()


def test_no_byte_can_change_unseen(bundle: Path) -> None:
    data = bundle.read_bytes()
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 0x5A
        bundle.write_bytes(changed)
        refused(bundle)
    for cut in (data[:-1], data[:100], data + b"\x00", b"\x00" + data, b""):
        bundle.write_bytes(cut)
        refused(bundle)


def test_a_changed_part_is_named(bundle: Path) -> None:
    def change(held: list[tuple[zipfile.ZipInfo, bytes]]) -> None:
        held[1] = (held[1][0], b"# Card\n")

    assert "card.md has changed (SHA-256 differs)" in refused(repacked(bundle, change))


def test_missing_and_extra_parts_are_named(bundle: Path) -> None:
    data = bundle.read_bytes()
    assert "card.md is missing" in refused(repacked(bundle, lambda held: held.pop(1) and None))
    bundle.write_bytes(data)
    extra = zipfile.ZipInfo("extra.txt", (1980, 1, 1, 0, 0, 0))
    extra.external_attr = 0o100644 << 16
    assert "extra.txt is in no manifest" in refused(repacked(bundle, lambda held: held.append((extra, b"x"))))
    bundle.write_bytes(data)
    assert f"has no {MANIFEST}" in refused(repacked(bundle, lambda held: held.pop(0) and None))


@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt",
        "a/../../evil.txt",
        "/etc/evil.txt",
        "C:/evil.txt",
        "a\\evil.txt",
        "folder/",
        ".hidden",
        "Evil.txt",
        "a//b",
        "evil\n.txt",
        "böse.txt",
    ],
)
def test_names_that_might_lead_out_are_refused(bundle: Path, name: str, tmp_path: Path) -> None:
    info = zipfile.ZipInfo("x", (1980, 1, 1, 0, 0, 0))
    info.external_attr = 0o100644 << 16
    info.filename = name
    said = refused(repacked(bundle, lambda held: held.append((info, b"x"))))
    assert "no name for a part" in said
    assert not list(tmp_path.parent.glob("evil.txt"))
    with pytest.raises(ValueError, match="cannot be a part's name"):
        write_bundle(tmp_path / "new.zip", {name: b""}, {})


@pytest.mark.parametrize("mode", [stat.S_IFLNK | 0o777, stat.S_IFDIR | 0o755, stat.S_IFIFO | 0o600, 0])
def test_what_is_no_plain_file_is_refused(bundle: Path, mode: int) -> None:
    def change(held: list[tuple[zipfile.ZipInfo, bytes]]) -> None:
        held[1][0].external_attr = mode << 16

    assert "card.md is no plain file" in refused(repacked(bundle, change))


def test_compressed_parts_are_refused_unread(bundle: Path) -> None:
    """A zip bomb is compressed, and what is compressed is not unpacked."""

    def change(held: list[tuple[zipfile.ZipInfo, bytes]]) -> None:
        held[1][0].compress_type = zipfile.ZIP_DEFLATED
        held[1] = (held[1][0], bytes(50_000_000))

    assert "card.md is compressed" in refused(repacked(bundle, change))
    assert bundle.stat().st_size < 100_000


def test_encrypted_and_doubled_parts_are_refused(bundle: Path) -> None:
    data = bytearray(bundle.read_bytes())
    central = data.rindex(b"PK\x01\x02")
    data[central + 8] |= 1
    bundle.write_bytes(data)
    assert "is encrypted" in refused(bundle)
    write_bundle(bundle, PARTS, SAYS)
    with pytest.warns(UserWarning, match="Duplicate name"):
        repacked(bundle, lambda held: held.append(held[1]))
    assert "card.md stands twice" in refused(bundle)


def test_sizes_that_the_archive_cannot_hold_are_refused(bundle: Path) -> None:
    data = bytearray(bundle.read_bytes())
    central = data.rindex(b"PK\x01\x02")
    data[central + 20 : central + 28] = (2**31).to_bytes(4, "little") * 2
    bundle.write_bytes(data)
    assert "larger than the archive" in refused(bundle)


def test_archives_with_too_much_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "many.zip"
    write_bundle(path, {f"p{i}": b"" for i in range(300)}, {})
    assert "301 parts" in refused(path)
    monkeypatch.setattr("export.archive._MOST_BYTES", 1000)
    assert "so it is no bundle" in refused(path)


def test_repacking_with_other_dates_is_refused(bundle: Path) -> None:
    def change(held: list[tuple[zipfile.ZipInfo, bytes]]) -> None:
        held[1][0].date_time = (2024, 1, 1, 0, 0, 0)

    assert "packed again" in refused(repacked(bundle, change))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema_version": 2}, "schema version 2 and this edgepose reads 1; upgrade edgepose"),
        ({"schema_version": "1"}, "schema version '1'"),
        ({"schema_version": True}, "schema version True"),
        ({"schema_version": None}, "no schema_version"),
        ({"parts": None}, "parts is missing"),
        ({"parts": {"card.md": "x"}}, "parts.card.md is 'x', not an object"),
        ({"parts": {"card.md": {"sha256": 1, "bytes": 7}}}, "parts.card.md.sha256 is 1, not text"),
    ],
)
def test_bad_manifests_are_refused(bundle: Path, changes: dict[str, object], said: str) -> None:
    assert said in refused(rewritten(bundle, **changes))


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_manifests_that_are_no_object_are_refused(bundle: Path, text: bytes) -> None:
    def change(held: list[tuple[zipfile.ZipInfo, bytes]]) -> None:
        held[0] = (held[0][0], text)

    assert MANIFEST in refused(repacked(bundle, change))


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="does not exist"):
        read_bundle(tmp_path / "none.zip")
    with pytest.raises(ExportError, match="not a file"):
        read_bundle(tmp_path)
    rng = np.random.default_rng(0)
    for content in (b"", b"PK", rng.bytes(4000), b"PK\x05\x06" + bytes(18)):
        path = tmp_path / "x.zip"
        path.write_bytes(content)
        refused(path)


def test_random_damage_never_escapes_as_another_error(bundle: Path) -> None:
    data, rng = bundle.read_bytes(), np.random.default_rng(1)
    for _ in range(300):
        changed = bytearray(data)
        start = int(rng.integers(len(data)))
        changed[start : start + int(rng.integers(1, 40))] = rng.bytes(int(rng.integers(0, 40)))
        if bytes(changed) == data:
            continue
        bundle.write_bytes(changed)
        refused(bundle)


def test_nothing_is_left_behind_when_writing_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_bundle(tmp_path / "app.zip", PARTS, {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_zip_tool_lists_it(bundle: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(bundle.read_bytes())) as archive:
        assert archive.testzip() is None
