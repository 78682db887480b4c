"""From the counter's blocks to XNNPACK's operators, and the library's symbols that name them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from android_harness.counting import NotCounted
from android_harness.operators import Functions, read_split
from android_harness.symbols import Function, Library

CALLER, OPERATOR, KERNEL = 0x1000, 0x1010, 0x1020
NAMES = {"caller": CALLER, "$x": CALLER, "operator": OPERATOR, "xnn_gemm_ukernel": KERNEL}
BASE = 0x7F0000000000
MAPS = f"""{BASE:x}-{BASE + 0x2000:x} r-xp 00000000 08:01 42                     /a/b/library.so
{BASE + 0x9000:x}-{BASE + 0xA000:x} r-xp 00000000 08:01 43                     /lib/libc.so.6
{BASE + 0xB000:x}-{BASE + 0xC000:x} rw-p 00000000 00:00 0
"""


def bl(here: int, there: int) -> int:
    return 0x94000000 | ((there - here) // 4) & 0x3FFFFFF


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """An ELF file with a caller (which calls the kernel, then the operator), an operator and a kernel."""
    nop = 0xD503201F
    code = [nop, bl(CALLER + 4, KERNEL), bl(CALLER + 8, OPERATOR), nop, *[nop] * 4, bl(KERNEL, CALLER), nop]
    text = b"".join(struct.pack("<I", word) for word in code)
    names, symbols = b"\0", bytes(24)
    for name, address in NAMES.items():
        kind = 0 if name.startswith("$") else 2
        symbols += struct.pack("<IBBHQQ", len(names), kind, 0, 1, address, 16)
        names += name.encode() + b"\0"
    header, segment = 64, 56
    at = {"text": header + segment, "symbols": header + segment + len(text)}
    at["names"] = at["symbols"] + len(symbols)
    at["sections"] = at["names"] + len(names)
    sections = [
        (0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        (0, 2, 0, 0, at["symbols"], len(symbols), 2, 0, 8, 24),
        (0, 3, 0, 0, at["names"], len(names), 0, 0, 1, 0),
    ]
    data = b"\x7fELF\x02\x01".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 3, 183, 1, 0, header, at["sections"], 0, header, segment, 1, 64, len(sections), 0
    )
    data += struct.pack("<IIQQQQQQ", 1, 5, at["text"], CALLER, CALLER, len(text), len(text), 4)
    data += text + symbols + names + b"".join(struct.pack("<IIQQQQIIQQ", *row) for row in sections)
    path = tmp_path / "library.so"
    path.write_bytes(data)
    return Library(path)


def test_functions_are_found_by_name_and_by_address(library: Library) -> None:
    assert library.named("operator") == Function("operator", OPERATOR, 16)
    assert library.named("$x") is None and library.named("other") is None
    assert [library.at(a) for a in (CALLER - 4, CALLER, OPERATOR + 12, KERNEL)] == [
        None,
        "caller",
        "operator",
        "xnn_gemm_ukernel",
    ]


def test_a_call_comes_back_behind_itself_forwards_and_backwards(library: Library) -> None:
    caller, operator = Function("caller", CALLER, 16), Function("operator", OPERATOR, 16)
    kernel = Function("kernel", KERNEL, 8)
    assert library.returns(caller, operator) == (CALLER + 12,)
    assert library.returns(caller, kernel) == (CALLER + 8,)
    assert library.returns(kernel, caller) == (KERNEL + 4,)
    assert library.returns(operator, kernel) == ()


def test_what_is_no_library_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "library.so"
    path.write_bytes(b"\x7fELF\x01\x01" + bytes(64))
    with pytest.raises(ValueError, match="no 64-bit little-endian ELF"):
        Library(path)


def blocks(*rows: tuple[int, int]) -> str:
    return "".join(f"{BASE + address:x} {count}\n" for address, count in rows)


# The warm-up, then: 60 before, an operator of 900 and 20, 7 between, one of 5, 30 after.
SPLIT = (
    f"= 0 0\n{blocks((CALLER, 1))}= 0 1\n{blocks((OPERATOR, 99999))}= 0 -1\n"
    f"= 1 0\n{blocks((0x9000, 40), (CALLER, 20))}= 1 1\n{blocks((OPERATOR, 20), (KERNEL, 500), (KERNEL, 400))}"
    f"= 1 0\n{blocks((CALLER + 12, 7))}= 1 1\n{blocks((OPERATOR + 4, 5))}= 1 -1\n{blocks((0xB000, 10), (0, 20))}"
)


def test_parts_are_named_and_add_up(library: Library) -> None:
    found = read_split(SPLIT, 1000, Functions(MAPS, library), run=1)
    first, second = found.operators
    assert (first.instructions, first.kernel) == (920, "xnn_gemm_ukernel")
    assert first.functions == {"xnn_gemm_ukernel": 900, "operator": 20}
    assert (second.instructions, second.kernel) == (5, "operator")
    assert found.in_operators == 925 and found.instructions == 1000
    assert found.others == {"libc.so.6": 40, "caller": 27, "unknown": 10, "library.so": 20}


@pytest.mark.parametrize(
    ("text", "total"),
    [
        (SPLIT, 924),  # less than its parts
        (SPLIT, 2000),  # more than all that ran
        (SPLIT.replace("= 1 0", "= 1 1"), 1000),  # never entered
        (SPLIT.replace("= 1 1", "= 1 0"), 1000),  # never left
        ("", 1000),
    ],
)
def test_parts_that_do_not_make_a_whole_are_none(library: Library, text: str, total: int) -> None:
    with pytest.raises(NotCounted):
        read_split(text, total, Functions(MAPS, library), run=1)
