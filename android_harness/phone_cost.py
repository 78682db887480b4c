"""What an inference costs on a real phone: times, and how warm the phone was."""

from __future__ import annotations

import operator
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from android_harness.counting import made_up_input
from android_harness.phone import Condition, Phone, read_notes
from android_harness.protocol import Hello, Job
from android_harness.session import DeviceSession
from edgeio import sha256_file

WARM_UP, RUNS = 5, 30


@dataclass(frozen=True)
class PhoneMeasured:
    """What one model costs on one phone.

    Attributes:
        run_ms: of each inference after the warm-up.
        before, after: the phone's condition; None where it could not be read.
    """

    hello: Hello
    warm_up_ms: tuple[float, ...]
    run_ms: tuple[float, ...]
    before: Condition | None
    after: Condition | None

    @property
    def model_memory_bytes(self) -> int | None:
        return self.hello.model_memory_bytes if self.hello.model_memory_bytes >= 0 else None


def measure_phone(
    phone: Phone, model: Path, folder: Path, threads: int, delegate: str, runs: int = RUNS
) -> PhoneMeasured:
    """Run the model on one made-up input, warm-up first.

    Args:
        folder: for the job; removed when done.

    Raises:
        HarnessError: the phone cannot be used, or refuses the model or the delegate.
        GuestCrashed: the runner on the phone died.
    """
    shutil.rmtree(folder, ignore_errors=True)
    job = Job(sha256_file(model), threads=threads, delegate=delegate, warm_up=WARM_UP, runs=runs)
    try:
        with DeviceSession(phone, folder, model, job) as session:
            hello = session.hello
            for _ in session.run([made_up_input(hello.input)]):
                pass
        (part,) = session.parts()
        return PhoneMeasured(hello, part.warm_up_ms, part.run_ms, *read_notes(folder, "w0"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def both(first: PhoneMeasured, second: PhoneMeasured) -> PhoneMeasured:
    """What two models cost that run one after the other, the second measured after the first."""
    known = first.model_memory_bytes is not None and second.model_memory_bytes is not None
    memory = first.hello.model_memory_bytes + second.hello.model_memory_bytes if known else -1
    return PhoneMeasured(
        replace(first.hello, model_memory_bytes=memory),
        tuple(map(operator.add, first.warm_up_ms, second.warm_up_ms)),
        tuple(map(operator.add, first.run_ms, second.run_ms)),
        first.before,
        second.after,
    )


def in_words(before: Condition | None, after: Condition | None) -> str:
    """Temperature and clocks before and after, for a reader of the times."""
    if before is None or after is None:
        return "temperature and clocks not known"
    said = []
    zones = before.celsius.keys() & after.celsius.keys()
    if zones:
        hottest = max(sorted(zones), key=lambda zone: after.celsius[zone])
        said.append(f"{hottest} {before.celsius[hottest]:.0f} to {after.celsius[hottest]:.0f} °C")
    if before.mhz and after.mhz:
        fastest = max(*before.max_mhz.values(), *after.max_mhz.values())
        said.append(
            f"fastest core at {max(before.mhz.values()):.0f} to {max(after.mhz.values()):.0f} "
            f"of {fastest:.0f} MHz"
        )
    return "; ".join(said) or "the phone tells neither temperature nor clocks"
