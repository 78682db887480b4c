"""Which methods and fields a program uses, and whether it, Java and an Android have them: by signature.

Read out of class files and dex files by their published formats; names are as the virtual machine writes
them: `android/os/Handler.post(Ljava/lang/Runnable;)Z`.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

# Bytes of a constant by its tag; of all others two.
_CONSTANT_BYTES = dict.fromkeys((3, 4, 9, 10, 11, 12, 17, 18), 4) | {5: 8, 6: 8, 15: 3}


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
    """What a class file says: its parents (the superclass first), what it has and what it uses."""

    name: str
    parents: tuple[str, ...]
    members: frozenset[tuple[str, str]]
    uses: frozenset[Member]


Source = Callable[[str], "JavaClass | None"]  # the class of a name, where it has that


def jar(path: Path) -> Source:
    """The classes of a jar, such as Robolectric's of an Android."""
    archive = zipfile.ZipFile(path)
    names = frozenset(archive.namelist())

    def find(name: str) -> JavaClass | None:
        return read_class(archive.read(f"{name}.class")) if f"{name}.class" in names else None

    return find


def java_8(home: Path) -> Source:
    """Java 8's own classes, as a newer JDK keeps them for --release 8; Robolectric's jars have none."""
    archive = zipfile.ZipFile(home / "lib/ct.sym")
    # VERSIONS/MODULE/CLASS.sig, with a letter or digit for each version that has just this one.
    split = [(entry, entry.split("/", 2)) for entry in archive.namelist()]
    entries = {parts[2]: entry for entry, parts in split if len(parts) == 3 and "8" in parts[0]}

    def find(name: str) -> JavaClass | None:
        entry = entries.get(f"{name}.sig")
        return read_class(archive.read(entry)) if entry else None

    return find


def folder(path: Path) -> Source:
    """Compiled classes."""
    found = {c.name: c for c in (read_class(file.read_bytes()) for file in path.rglob("*.class"))}
    return found.get


class Classes:
    """What a program may use, from several sources."""

    def __init__(self, *sources: Source) -> None:
        self._sources = sources
        self.find = cache(self._find)

    def _find(self, name: str) -> JavaClass | None:
        return next(filter(None, (source(name) for source in self._sources)), None)

    def has(self, member: Member) -> bool:
        """Whether the class or one of its parents has it; an array has what every object has."""
        owner = "java/lang/Object" if member.owner.startswith("[") else member.owner
        found = self.find(owner)
        if found is None:
            return False
        if (member.name, member.type) in found.members or (owner != member.owner and member.name == "clone"):
            return True
        return any(self.has(replace(member, owner=parent)) for parent in found.parents)

    def missing(self, uses: Iterable[Member]) -> list[str]:
        """What is used and is nowhere."""
        return sorted({str(member) for member in uses if not self.has(member)})


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
            at += 1 + _CONSTANT_BYTES.get(tag, 2)
        index += 2 if tag in (5, 6) else 1  # long and double take two places
    return pool, at


def _class_name(pool: dict[int, str | tuple[int, ...]], index: int) -> str:
    return str(pool[pool[index][0]])  # type: ignore[index]


def _member(pool: dict[int, str | tuple[int, ...]], entry: tuple[int, ...]) -> Member:
    name, kind = pool[entry[2]]
    return Member(_class_name(pool, entry[1]), str(pool[name]), str(pool[kind]))  # type: ignore[index]


class Dex:
    """A dex file (Android's Dalvik executable format)."""

    def __init__(self, data: bytes) -> None:
        assert data[:4] == b"dex\n"
        self._data = data
        tables = [struct.unpack_from("<II", data, at) for at in range(56, 104, 8)]
        self._strings, self._types, self._protos, self._fields, self._methods, self._classes = tables
        members = [*self._members(self._fields, self._type), *self._members(self._methods, self._proto)]
        self._field_members = members[: self._fields[0]]
        self._method_members = members[self._fields[0] :]
        self.uses = frozenset(members)
        self._found = {found.name: found for found in map(self._class, range(self._classes[0]))}

    def find(self, name: str) -> JavaClass | None:
        """A class that it defines."""
        return self._found.get(name)

    def _u4(self, at: int) -> int:
        return int(struct.unpack_from("<I", self._data, at)[0])

    def _uleb(self, at: int) -> tuple[int, int]:
        """A number in as many bytes as it needs, and where the next begins."""
        value = shift = 0
        while True:
            byte = self._data[at]
            value |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                return value, at

    def _text(self, index: int) -> str:
        _, at = self._uleb(self._u4(self._strings[1] + 4 * index))
        return self._data[at : self._data.index(b"\0", at)].decode("utf-8", "replace")

    def _type(self, index: int) -> str:
        return self._text(self._u4(self._types[1] + 4 * index))

    def _list(self, at: int) -> list[str]:
        count = self._u4(at) if at else 0
        return [self._type(t) for t in struct.unpack_from(f"<{count}H", self._data, at + 4)]

    def _proto(self, index: int) -> str:
        _, returned, at = struct.unpack_from("<III", self._data, self._protos[1] + 12 * index)
        return f"({''.join(self._list(at))}){self._type(returned)}"

    def _members(self, table: tuple[int, int], typed: Callable[[int], str]) -> list[Member]:
        entries = [struct.unpack_from("<HHI", self._data, table[1] + 8 * i) for i in range(table[0])]
        return [Member(_plain(self._type(o)), self._text(name), typed(kind)) for o, kind, name in entries]

    def _class(self, index: int) -> JavaClass:
        own, _, parent, interfaces, *_ = struct.unpack_from("<8I", self._data, self._classes[1] + 32 * index)
        parents = tuple(map(_plain, [self._type(parent), *self._list(interfaces)]))
        members = frozenset((m.name, m.type) for m in self._defined(index))
        return JavaClass(_plain(self._type(own)), parents, members, frozenset())

    def _defined(self, index: int) -> list[Member]:
        at = self._u4(self._classes[1] + 32 * index + 24)
        if not at:
            return []
        counts = []
        for _ in range(4):  # static and instance fields, direct and virtual methods
            count, at = self._uleb(at)
            counts.append(count)
        found = []
        kinds = [(self._field_members, 1), (self._field_members, 1)] + [(self._method_members, 2)] * 2
        for count, (members, rest) in zip(counts, kinds, strict=True):
            number = 0
            for _ in range(count):
                step, at = self._uleb(at)  # each but the first counts from the one before
                number += step
                for _ in range(rest):  # flags, and where a method's code lies
                    _, at = self._uleb(at)
                found.append(members[number])
        return found


def _plain(type_: str) -> str:
    return type_.removeprefix("L").removesuffix(";") if type_.startswith("L") else type_
