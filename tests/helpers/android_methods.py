"""Which methods and fields of Android's own classes a program calls, and whether an Android has them.

Read out of class files and dex files by their published formats; names are as the virtual machine writes
them: `android/os/Handler.post(Ljava/lang/Runnable;)Z`. Java's own are left to the compiler's --release.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# java.lang.Object's, which every class has and Robolectric's jar does not hold.
_OBJECT = {
    "<init>",
    "clone",
    "equals",
    "finalize",
    "getClass",
    "hashCode",
    "notify",
    "notifyAll",
    "toString",
    "wait",
}
_CONSTANT_BYTES = {
    3: 4,
    4: 4,
    5: 8,
    6: 8,
    7: 2,
    8: 2,
    9: 4,
    10: 4,
    11: 4,
    12: 4,
    15: 3,
    16: 2,
    17: 4,
    18: 4,
    19: 2,
    20: 2,
}


@dataclass(frozen=True)
class Member:
    """A method or field by its class, name and type."""

    owner: str
    name: str
    type: str

    def __str__(self) -> str:
        return f"{self.owner}.{self.name}{'' if self.type.startswith('(') else ':'}{self.type}"


@dataclass(frozen=True)
class JavaClass:
    """What a class file says: its parents, what it has and what it uses."""

    name: str
    parents: tuple[str, ...]
    members: frozenset[tuple[str, str]]
    uses: frozenset[Member]


class Platform:
    """The classes of one Android."""

    def __init__(self, jar: Path) -> None:
        self._archive = zipfile.ZipFile(jar)
        self._names = frozenset(self._archive.namelist())
        self.find = cache(self._find)

    def _find(self, name: str) -> JavaClass | None:
        file = f"{name}.class"
        return read_class(self._archive.read(file)) if file in self._names else None

    def has(self, member: Member) -> bool:
        """Whether the class or one of its parents has it; a parent of Java's own ends the search."""
        found = self.find(member.owner)
        if found is None:
            return False
        if (member.name, member.type) in found.members:
            return True
        parents = found.parents
        return any(self.has(Member(parent, member.name, member.type)) for parent in parents) or (
            "java/lang/Object" in parents and member.name in _OBJECT - {"<init>"}
        )


def missing(uses: Iterator[Member] | frozenset[Member], platform: Platform) -> list[str]:
    """What is called of Android's own classes and is not there."""
    return sorted({str(m) for m in uses if m.owner.startswith("android/") and not platform.has(m)})


def uses_of_classes(folder: Path) -> frozenset[Member]:
    """What all class files under a folder use."""
    return frozenset(use for path in folder.rglob("*.class") for use in read_class(path.read_bytes()).uses)


def read_class(data: bytes) -> JavaClass:
    """A class file (Java Virtual Machine Specification, chapter 4)."""
    pool, at = _pool(data)
    own, parent, interfaces = struct.unpack_from(">HHH", data, at + 2)
    at += 8
    parents = [parent, *struct.unpack_from(f">{interfaces}H", data, at)]
    at += 2 * interfaces
    members = set()
    for _ in range(2):  # fields, then methods
        (count,) = struct.unpack_from(">H", data, at)
        at += 2
        for _ in range(count):
            _, name, kind, attributes = struct.unpack_from(">4H", data, at)
            members.add((str(pool[name]), str(pool[kind])))
            at += 8
            for _ in range(attributes):
                at += 6 + struct.unpack_from(">I", data, at + 2)[0]
    uses = frozenset(
        _member(pool, entry) for entry in pool.values() if isinstance(entry, tuple) and len(entry) == 3
    )
    names = tuple(_class_name(pool, index) for index in parents if index)
    return JavaClass(_class_name(pool, own), names, frozenset(members), uses)


def _pool(data: bytes) -> tuple[dict[int, str | tuple[int, ...]], int]:
    """The constants: texts, (index,) of classes, (name, type) of names, (tag, class, name) of members."""
    pool: dict[int, str | tuple[int, ...]] = {}
    (count,) = struct.unpack_from(">H", data, 8)
    at, index = 10, 1
    while index < count:
        tag = data[at]
        if tag == 1:
            (length,) = struct.unpack_from(">H", data, at + 1)
            pool[index] = data[at + 3 : at + 3 + length].decode("utf-8", "replace")
            at += 3 + length
        else:
            if tag == 7:
                pool[index] = struct.unpack_from(">H", data, at + 1)
            elif tag == 12:
                pool[index] = struct.unpack_from(">HH", data, at + 1)
            elif tag in (9, 10, 11):
                pool[index] = (tag, *struct.unpack_from(">HH", data, at + 1))
            at += 1 + _CONSTANT_BYTES[tag]
        index += 2 if tag in (5, 6) else 1  # long and double take two places
    return pool, at


def _class_name(pool: dict[int, str | tuple[int, ...]], index: int) -> str:
    return str(pool[pool[index][0]])  # type: ignore[index]


def _member(pool: dict[int, str | tuple[int, ...]], entry: tuple[int, ...]) -> Member:
    name, kind = pool[entry[2]]
    return Member(_class_name(pool, entry[1]), str(pool[name]), str(pool[kind]))  # type: ignore[index]


def uses_of_dex(data: bytes) -> frozenset[Member]:
    """What a dex file refers to (Android's Dalvik executable format, 038)."""
    assert data[:4] == b"dex\n"
    strings, types, protos, fields, methods = (struct.unpack_from("<II", data, at) for at in range(56, 96, 8))

    def text(index: int) -> str:
        (at,) = struct.unpack_from("<I", data, strings[1] + 4 * index)
        while data[at] & 0x80:  # the length, which the terminating zero tells again
            at += 1
        return data[at + 1 : data.index(b"\0", at + 1)].decode("utf-8", "replace")

    def kind(index: int) -> str:
        return text(struct.unpack_from("<I", data, types[1] + 4 * index)[0])

    def proto(index: int) -> str:
        _, returned, at = struct.unpack_from("<III", data, protos[1] + 12 * index)
        count = struct.unpack_from("<I", data, at)[0] if at else 0
        return f"({''.join(kind(t) for t in struct.unpack_from(f'<{count}H', data, at + 4))}){kind(returned)}"

    found = set()
    for (count, start), typed in ((fields, kind), (methods, proto)):
        for i in range(count):
            owner, type_, name = struct.unpack_from("<HHI", data, start + 8 * i)
            found.add(Member(kind(owner).removeprefix("L").removesuffix(";"), text(name), typed(type_)))
    return frozenset(found)
