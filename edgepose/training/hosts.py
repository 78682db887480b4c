"""Several processes that train one network together, on one machine or on many, through JAX.

Each is started by the same command and reads its own share of every batch; Keras's data-parallel
distribution gives all of them the same weights after every step, so that the result is one process's with
the same batch. Process 0 alone writes and says what happens.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from edgeio import UserError
from edgeio.quiet import captured_stderr
from edgepose.errors import EdgeposeError, UsageError

T = TypeVar("T")

SLURM = "slurm"
_PORT = 29400
_FORM = re.compile(r"(\d+)/(\d+)(?:@(.+:\d+))?")
_SLURM_NAMES = ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID")
# Seconds for all processes to start; after which a silent one is dead; for all to say goodbye.
_START, _SILENT, _GOODBYE = 300, 100, 300
# Steps between two looks at whether a process was asked to stop, which all must do at the same step.
STOP_EVERY = 8


class HostLost(EdgeposeError):
    """A process that the others wait for is gone."""


class FirstRefused(EdgeposeError):
    """What process 0 could not do, in a process that waits for it."""

    def __init__(self, what: str, hint: str, exit_code: int) -> None:
        super().__init__(f"process 0 stops: {what}", hint)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Hosts:
    """Which of how many processes this one is.

    Attributes:
        index: from 0.
        count: processes in all.
        coordinator: ADDRESS:PORT of process 0; None where Slurm says it.
    """

    index: int
    count: int
    coordinator: str | None


def parse_hosts(text: str) -> Hosts:
    """`I/N`, `I/N@ADDRESS:PORT` or `slurm`; without an address, process 0 is on this machine.

    Raises:
        UsageError: anything else, or no Slurm job step.
    """
    if text == SLURM:
        missing = [name for name in _SLURM_NAMES if name not in os.environ]
        if missing:
            raise UsageError(
                f"--hosts slurm is for a Slurm job step, and {missing[0]} is not set", "start it by srun"
            )
        return Hosts(int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_NTASKS"]), None)
    found = _FORM.fullmatch(text)
    if found is None or int(found[1]) >= int(found[2]):
        raise UsageError(
            f"--hosts '{text}' does not say which of how many processes this is",
            "give 0/2 and 1/2 to two on one machine; with @ADDRESS:PORT of process 0 on several; or slurm",
        )
    return Hosts(int(found[1]), int(found[2]), found[3] or f"127.0.0.1:{_PORT}")


@contextmanager
def joined(text: str | None) -> Iterator[None]:
    """Train with the other processes in the block; nothing of JAX may have computed before.

    Args:
        text: as `parse_hosts` takes it; None to train alone.

    Raises:
        UsageError: the text is wrong, or Keras runs on another backend.
        HostLost: a process did not come, or is gone.
    """
    if text is None:
        yield
        return
    hosts = parse_hosts(text)
    _connect(hosts)
    try:
        yield
    except BaseException as error:
        lost = None
        if isinstance(error, Exception) and _is_loss(error):
            lost = HostLost(
                f"process {hosts.index} of {hosts.count} stops: another one is gone ({_first_line(error)})",
                "look at what that one said last; the same commands go on from the last saved state",
            )
        _end_at_exit(lost or error)
        if lost is None:
            raise
        raise lost from None
    leave()


def _end_at_exit(error: BaseException) -> None:
    """End this process at its exit without a goodbye, unless that was said: JAX would wait for the others,
    who wait for this one, and then abort all of them."""
    import jax

    if not jax.distributed.is_initialized():
        return
    code = 130 if isinstance(error, KeyboardInterrupt) else getattr(error, "exit_code", 1)

    def end() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    atexit.register(end)  # which runs before those registered earlier


def _connect(hosts: Hosts) -> None:
    from edgepose.frameworks import keras

    if keras().backend.backend() != "jax":
        raise UsageError("--hosts needs Keras on JAX", "set KERAS_BACKEND=jax, or leave --hosts out")
    import jax

    here = hosts.coordinator is not None and hosts.coordinator.startswith("127.0.0.1:")
    known = {} if hosts.coordinator is None else {"process_id": hosts.index, "num_processes": hosts.count}
    try:
        with captured_stderr(stdout=True), _sigterm_kept():
            jax.distributed.initialize(
                hosts.coordinator,
                **known,
                cluster_detection_method=SLURM if hosts.coordinator is None else "deactivate",
                coordinator_bind_address=hosts.coordinator if here else None,  # no port for other machines
                initialization_timeout=_START,
                heartbeat_timeout_seconds=_SILENT,
                shutdown_timeout_seconds=_GOODBYE,
            )
            _check_devices(jax)
    except (RuntimeError, ValueError) as error:
        raise HostLost(
            f"process {hosts.index} of {hosts.count} did not find the others ({_first_line(error)})",
            f"start all of them within {_START} seconds, with the same address of process 0 and a free port",
        ) from None


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """JAX takes SIGTERM for itself when it connects: who is asked to stop would not until it trains."""
    yield
    handler = signal.getsignal(signal.SIGTERM)
    if handler is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def _check_devices(jax: Any) -> None:
    """The first exchange of all processes: their devices."""
    each = [int(n) for n in _gathered(np.array([jax.local_device_count()])).ravel()]
    if len(set(each)) > 1:
        raise UsageError(
            f"the processes have {', '.join(map(str, each))} devices",
            "give each of them the same number, by CUDA_VISIBLE_DEVICES",
        )


def leave() -> None:
    """Say goodbye to the other processes: only where all of them end, since it waits for them."""
    if process_count() == 1:
        return
    import jax

    with captured_stderr():
        jax.distributed.shutdown()  # type: ignore[no-untyped-call]


def _is_loss(error: Exception) -> bool:
    """Whether JAX says that a process does not answer; it has no type of its own for that."""
    told = str(error)
    known = ("Gloo", "NCCL", "Connection closed", "Connection reset", "coordination service", "UNAVAILABLE")
    return not isinstance(error, EdgeposeError) and any(word in told for word in known)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:160]


def process_count() -> int:
    """How many processes train together."""
    if "jax" not in sys.modules:  # without which none has joined another
        return 1
    from edgepose.frameworks import keras

    if keras().backend.backend() != "jax":
        return 1
    import jax

    return int(jax.process_count())


def process_index() -> int:
    """Which of them this is: 0 writes."""
    if process_count() == 1:
        return 0
    import jax

    return int(jax.process_index())


@dataclass(frozen=True)
class Share:
    """The rows of every batch that one process makes: its block of each part.

    So the parts of an accumulated batch hold the same frames however many processes there are.

    Attributes:
        index, count: of the process.
        parts: of a batch.
    """

    index: int = 0
    count: int = 1
    parts: int = 1

    def rows(self, batch: int) -> np.ndarray:
        """(batch / count,) row numbers."""
        return np.arange(batch).reshape(self.parts, self.count, -1)[:, self.index].ravel()


ALONE = Share()


def agree(settings: Mapping[str, Any]) -> None:
    """Raise UsageError in every process where they were not all started with the same settings and data."""
    if process_count() == 1:
        return
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).digest()
    found = _gathered(np.frombuffer(digest, np.uint8))
    others = [i for i, row in enumerate(found) if not np.array_equal(row, found[0])]
    if others:
        leave()
        raise UsageError(
            f"process {others[0]} was started with other settings, data or code than process 0",
            "give all of them the same command but for --hosts",
        )


def any_of(flag: bool) -> bool:
    """Whether the flag is set in one of the processes; all must ask."""
    return flag if process_count() == 1 else bool(_gathered(np.array([flag])).any())


def wait_for_all() -> None:
    """Go on when all processes have come here."""
    any_of(False)


def from_first(plain: Any) -> Any:
    """Process 0's JSON value. All must ask."""
    if process_count() == 1:
        return plain
    from jax.experimental.multihost_utils import broadcast_one_to_all

    text = np.frombuffer(json.dumps(plain).encode(), np.uint8)
    size = int(broadcast_one_to_all(np.array(len(text))))
    mine = np.zeros(size, np.uint8)
    mine[: len(text)] = text[:size]
    return json.loads(bytes(np.asarray(broadcast_one_to_all(mine), np.uint8)))


def arrays_from_first(arrays: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """Process 0's arrays; each gives some of the same names, shapes and types. All must ask."""
    if process_count() == 1:
        return arrays
    from jax.experimental.multihost_utils import broadcast_one_to_all

    return {name: np.asarray(array) for name, array in broadcast_one_to_all(dict(arrays)).items()}


def by_first(call: Callable[[], T]) -> T | None:
    """What a call gives in process 0, which alone makes it; None in the others. All must ask.

    Raises:
        UserError: the call's, in process 0.
        FirstRefused: in the others, which would wait for it.
    """
    given, error = None, None
    if process_index() == 0:
        try:
            given = call()
        except UserError as caught:
            error = caught
    told = from_first(None if error is None else [error.what, error.hint, error.exit_code])
    if told is not None:
        leave()
        raise error or FirstRefused(*told)
    return given


def assign(variable: Any, value: np.ndarray) -> None:
    """Give a Keras variable a value, whatever the other processes do: JAX alone would ask all of them whether
    theirs is the same, and wait for one that does not assign."""
    if process_count() == 1:
        variable.assign(value)
        return
    import jax

    from edgepose.frameworks import keras

    layout = keras().distribution.distribution().get_variable_layout(variable).backend_layout
    variable.assign(jax.make_array_from_callback(value.shape, layout, lambda index: value[index]))


def _gathered(values: np.ndarray) -> np.ndarray:
    """(processes, n): what each process gives."""
    from jax.experimental.multihost_utils import process_allgather

    return np.asarray(process_allgather(values)).reshape(process_count(), -1)
