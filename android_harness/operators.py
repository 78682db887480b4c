"""Where the instructions of one inference go: XNNPACK's operators in their order, and what lies around them.

XNNPACK runs a graph in one call, operator by operator. The counter (`plugin/count.c`) is told where that
call enters an operator and where it comes back, and says which blocks of code ran in between; the library's
symbols say which functions they belong to. So the parts add up to the whole, and nothing else changes: the
graph that is counted is the graph that ships.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from android_harness.counting import COUNTS, CountedDevice, NotCounted, build_plugin, count_once, read_counts
from android_harness.emulator import EmulatedDevice
from android_harness.protocol import Job
from android_harness.qemu import SITE
from android_harness.symbols import Library
from edgeio import sha256_file

_CALLER, _OPERATOR = "xnn_invoke_runtime", "xnn_run_operator_with_index"
_SPLIT, _MAPS = "split.txt", "maps.txt"
_ENTERED, _LEFT = 0, 1  # the places, in the order in which the runner names them


@dataclass(frozen=True)
class OperatorRun:
    """One operator as XNNPACK ran it.

    Attributes:
        kernel: the microkernel, or else the function, that most of its instructions are in.
        functions: instructions by function; they add up to `instructions`.
    """

    instructions: int
    kernel: str
    functions: Mapping[str, int]


@dataclass(frozen=True)
class InferenceSplit:
    """One inference.

    Attributes:
        instructions: of all of it, counted without regard to parts.
        operators: in the order of execution.
        others: by function, what ran outside of XNNPACK's operators: other kernels, and getting there.
    """

    instructions: int
    operators: tuple[OperatorRun, ...]
    others: Mapping[str, int]

    @property
    def in_operators(self) -> int:
        return sum(operator.instructions for operator in self.operators)


def split_inference(device: EmulatedDevice, model: Path, folder: Path) -> InferenceSplit:
    """Count one inference after another that warms up, by one thread, on a made-up input.

    Args:
        folder: for the job; removed when done.

    Raises:
        NotCounted: no compiler; or the runtime's library has no symbols, as that of tflite-runtime.
        HarnessError: the device cannot be used, or refuses the model.
    """
    path, places = _places(device)
    shutil.rmtree(folder, ignore_errors=True)
    job = Job(sha256_file(model), threads=1, warm_up=1, runs=1)
    variables = {"EDGEPOSE_PLACES": " ".join([path.name, *(f"{place:x}" for place in places)])}
    counted = CountedDevice(device, f",split={_SPLIT}", variables)
    try:
        count_once(counted, model, folder, job, build_plugin())
        texts = [(folder / name).read_text(encoding="utf-8") for name in (COUNTS, _SPLIT, _MAPS)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    total = read_counts(texts[0], job.runs, job.warm_up).per_inference
    return read_split(texts[1], total, Functions(texts[2], Library(path)), job.warm_up)


class Functions:
    """Names of code by its addresses in a process.

    Args:
        maps: the process's /proc/self/maps.
        library: whose functions are told apart; of the others only the file is named.
    """

    def __init__(self, maps: str, library: Library) -> None:
        self._library = library
        self._ranges: list[tuple[int, int, str]] = []
        self._base: dict[str, int] = {}
        for line in maps.splitlines():
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+\s+(\S.*)$", line)
            if found:
                start, end, name = int(found[1], 16), int(found[2], 16), Path(found[3]).name
                self._ranges.append((start, end, name))
                self._base[name] = min(start, self._base.get(name, start))

    def name(self, address: int) -> str:
        """The function, or the file that it is in."""
        for start, end, name in self._ranges:
            if start <= address < end:
                known = (
                    self._library.at(address - self._base[name]) if name == self._library.path.name else None
                )
                return known or name
        return "unknown"


def read_split(text: str, total: int, functions: Functions, run: int) -> InferenceSplit:
    """The plugin's blocks as operators.

    Args:
        total: of the inference, less what its marks cost; that is taken from what lies around the operators.
        run: the inference's number.

    Raises:
        NotCounted: an operator that is entered twice or never left, or parts that exceed the total.
    """
    operators: list[OperatorRun] = []
    others: Counter[str] = Counter()
    inside = False
    for chunk in text.split("= ")[1:]:
        head, *lines = chunk.splitlines()
        number, place = map(int, head.split())
        if number != run:
            continue
        if inside != (place == _LEFT):
            raise NotCounted("XNNPACK's operators are not entered and left by turns")
        blocks = Counter[str]()
        for address, count in map(str.split, lines):
            blocks[functions.name(int(address, 16))] += int(count)
        if inside:
            operators.append(OperatorRun(blocks.total(), _kernel(blocks), dict(blocks.most_common())))
        else:
            others.update(blocks)
        inside = place == _ENTERED
    found = InferenceSplit(total, tuple(operators), dict(others.most_common()))
    if not 0 < found.in_operators <= total <= found.in_operators + others.total():
        raise NotCounted("the parts that were counted do not make up the whole")
    return found


def _kernel(functions: Counter[str]) -> str:
    named = [name for name, _ in functions.most_common()]
    return next((name for name in named if "ukernel" in name), named[0])


def _places(device: EmulatedDevice) -> tuple[Path, tuple[int, int]]:
    """The runtime's library, and in it the way into an operator and back."""
    for path in sorted((device.root / SITE).rglob("*.so")):
        if _OPERATOR.encode() not in (data := path.read_bytes()) or data[:4] != b"\x7fELF":
            continue
        library = Library(path)
        caller, operator = library.named(_CALLER), library.named(_OPERATOR)
        if caller and operator and len(back := library.returns(caller, operator)) == 1:
            return path, (operator.address, back[0])
    raise NotCounted(f"{device.sysroot.runtime} does not say where XNNPACK's operators begin and end")
