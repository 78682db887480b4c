"""The functions of a shared library for AArch64, read from its symbol table."""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_SYMTAB, _DYNSYM, _LOAD = 2, 11, 1
_NOTYPE, _FUNCTION = 0, 2
_BL, _BL_MASK, _BL_FAR = 0x94000000, 0xFC000000, 1 << 25


@dataclass(frozen=True)
class Function:
    """A function, or a label that assembly gave no type.

    Attributes:
        address: of its first instruction, from where the library is loaded.
        size: bytes; 0 where assembly does not say.
    """

    name: str
    address: int
    size: int


class Library:
    """A 64-bit little-endian ELF file.

    Raises:
        ValueError: it is none.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.data = path, path.read_bytes()
        if self.data[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"{path} is no 64-bit little-endian ELF file")
        self._segments = [
            (offset, address, size)
            for kind, _, offset, address, _, size, _, _ in self._table("<IIQQQQQQ", 0x20, 0x36)
            if kind == _LOAD
        ]

    def named(self, name: str) -> Function | None:
        """The function of a name, as the compiler spells it."""
        return next((f for f in self.functions if f.name == name), None)

    def at(self, address: int) -> str | None:
        """The name of the function that an address lies in."""
        i = bisect_right(self._addresses, address) - 1
        return self.functions[i].name if i >= 0 else None

    def returns(self, caller: Function, called: Function) -> tuple[int, ...]:
        """Where `called` returns to in `caller`: the addresses after its direct calls."""
        found = []
        code = self._bytes(caller.address, caller.size)
        for i, (word,) in enumerate(struct.iter_unpack("<I", code)):
            if word & _BL_MASK == _BL:
                here = caller.address + 4 * i
                far = word & (_BL_FAR - 1) | -(word & _BL_FAR)
                if here + 4 * far == called.address:
                    found.append(here + 4)
        return tuple(found)

    @cached_property
    def functions(self) -> tuple[Function, ...]:
        """By address; of the dynamic symbols alone where the library is stripped."""
        sections = list(self._table("<IIQQQQIIQQ", 0x28, 0x3A))
        tables = sorted((s for s in sections if s[1] in (_SYMTAB, _DYNSYM)), key=lambda s: s[1])
        if not tables:
            return ()
        _, _, _, _, start, size, link, *_ = tables[0]
        names = sections[link][4]
        found = {}
        for name, info, _, section, address, length in struct.iter_unpack(
            "<IBBHQQ", self.data[start : start + size]
        ):
            if section and info & 0xF in (_NOTYPE, _FUNCTION) and address not in found:
                text = self._text(names + name)
                if text and not text.startswith("$"):  # those mark where code and data begin
                    found[address] = Function(text, address, length)
        return tuple(found[address] for address in sorted(found))

    @cached_property
    def _addresses(self) -> list[int]:
        return [f.address for f in self.functions]

    def _table(self, layout: str, offset_at: int, size_at: int) -> list[tuple[int, ...]]:
        (start,) = struct.unpack_from("<Q", self.data, offset_at)
        size, count = struct.unpack_from("<HH", self.data, size_at)
        return [struct.unpack_from(layout, self.data, start + size * i) for i in range(count)]

    def _text(self, start: int) -> str:
        return self.data[start : self.data.index(b"\0", start)].decode("utf-8", "replace")

    def _bytes(self, address: int, size: int) -> bytes:
        for offset, start, length in self._segments:
            if start <= address < start + length:
                return self.data[offset + address - start :][:size]
        return b""
