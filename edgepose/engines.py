"""Where the tasks of a command run: in processes of this machine, or on the nodes of a Ray cluster.

Ray starts a task where there is room and says when its process or node is gone. What a task does, and the
rule that nothing is done twice, is edgepose's own: a task locks what it writes (`edgeio/jobs.py`), on storage
that all nodes see. Ray's own retries are off (`max_retries=0`): they would try a task that eats memory for
ever, and could not tell a lost node from an input that kills its process. Whoever hands tasks out tries it
again.

Nothing is sent to Ray's makers: usage statistics are off. A Ray of a command's own has no dashboard, listens
on the loopback interface only, and keeps its logs in a private folder that goes with it.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from edgeio import UserError, cores, jobs, lookup
from edgeio.quiet import captured_stderr
from edgepose.errors import EdgeposeError, MissingPackage, UsageError

K = TypeVar("K")

_LOOPBACK = "127.0.0.1"
_CONNECT_S = 5.0
_NO_NODE_S = 300.0  # without any node that has room for a task, even if it were idle
_OBJECTS_BYTES = 100 * 2**20  # Ray's shared memory: results are small records
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # else pages of Ray's own log go to stdout, when a node is lost
}
_JOIN_SETTINGS = {"RAY_NUM_REDIS_GET_RETRIES": "1"}  # each takes most of a minute
_OWN_SETTINGS = {
    # Not only of those systems: what it turns off is that a node takes the machine's outward address.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_worker_niceness": "0",  # that of the command, and no 15 more
}


class EngineError(EdgeposeError):
    """An engine that cannot be reached, or does not do what edgepose needs."""


@dataclass(frozen=True)
class EngineForm:
    """A way to write `--engine`.

    Attributes:
        key: as it is written.
        where: where tasks run then.
        pattern: of what is written; its groups are host and port.
        port: of the host, where none is written.
    """

    key: str
    where: str
    pattern: str
    port: int | None = None


_HOST = r"([\w.-]+|\[[0-9a-fA-F:.]+\])(?::(\d{1,5}))?"
FORMS = {
    form.key: form
    for form in (
        EngineForm("local", "in processes of this machine", r"local"),
        EngineForm("ray", "on a Ray of its own, on this machine, which ends with the command", r"ray"),
        EngineForm("ray:auto", "on the Ray cluster that this machine is a node of", r"ray:auto"),
        EngineForm("ray:HOST:PORT", "on a Ray cluster, from one of its nodes", rf"ray:{_HOST}", 6379),
        EngineForm("ray://HOST:PORT", "on a Ray cluster, from outside", rf"ray://{_HOST}", 10001),
    )
}


@dataclass(frozen=True)
class Engine:
    """What runs tasks.

    Attributes:
        form: a row of `FORMS`.
        address: of a Ray cluster: "HOST:PORT", "ray://HOST:PORT" or "auto"; empty otherwise.
    """

    form: EngineForm = field(default_factory=lambda: FORMS["local"])
    address: str = ""

    @property
    def is_local(self) -> bool:
        return self.form.key == "local"

    def __str__(self) -> str:
        return f"ray:{self.address.removeprefix('ray:')}" if self.address else self.form.key


def parse_engine(text: str) -> Engine:
    """One of `FORMS`, as it is written for `--engine`; raises UnknownName, which lists them."""
    for form in FORMS.values():
        found = re.fullmatch(form.pattern, text)
        if found and form.port is None:
            return Engine(form, "auto" if form.key == "ray:auto" else "")
        if found:
            port = int(found[2] or form.port or 0)
            if not 0 < port < 65536:
                raise UsageError(f"--engine {text} has no port from 1 to 65535", f"write {form.key}")
            scheme = "ray://" if form.key.startswith("ray://") else ""
            return Engine(form, f"{scheme}{found[1]}:{port}")
    lookup(FORMS, "engine", text)
    raise AssertionError(text)  # a key with a pattern of its own is found above


@dataclass(frozen=True)
class Finished(Generic[K]):
    """What became of a task.

    Attributes:
        key: what it was given under.
        value: what its function returned.
        error: what it raised: a UserError, an OSError or a MemoryError.
        lost: how its process or its node was lost, in a few words; or None.
    """

    key: K
    value: Any = None
    error: Exception | None = None
    lost: str | None = None


class RayCluster:
    """A Ray cluster that this process is connected to; made by `ray_cluster`."""

    def __init__(self, ray: Any, engine: Engine) -> None:
        self._ray, self.engine = ray, engine

    def node_cpus(self) -> list[float]:
        """CPUs of each node that is alive and has any."""
        nodes = self._ray.nodes()
        return [n["Resources"]["CPU"] for n in nodes if n["Alive"] and n["Resources"].get("CPU")]

    def tasks(self, function: Callable[..., Any], cpus: int, most: int | None = None) -> RayTasks[Any]:
        """Calls of one function, each with so many CPUs to itself; at most `most` at once.

        Raises:
            UsageError: no node is large enough.
        """
        largest = max(self.node_cpus(), default=None)
        if largest is not None and cpus > largest:
            raise UsageError(
                f"a task of {cpus} CPUs fits no node of --engine {self.engine}, the largest of which has "
                f"{largest:g}",
                "give fewer --threads or --workers",
            )
        return RayTasks(self._ray, self, function, cpus, most)


class RayTasks(Generic[K]):
    """Calls of one function on the nodes of a cluster, and what became of them."""

    def __init__(
        self, ray: Any, cluster: RayCluster, function: Callable[..., Any], cpus: int, most: int | None
    ) -> None:
        self._ray, self._cluster, self._cpus, self._most = ray, cluster, cpus, most
        self._function = function
        self._remote = ray.remote(num_cpus=cpus, max_retries=0)(_on_node)
        self._given: dict[Any, K] = {}
        self._looked, self._room_at, self._slots = 0.0, time.monotonic(), 0

    def has_room(self) -> bool:
        """Whether one more is to be given: a few more than there is room for, so that no node waits."""
        slots = self._count()
        return len(self._given) < (self._most or max(slots + max(slots // 4, 1), 1))

    def give(self, key: K, *arguments: Any) -> None:
        """Call the function, wherever there is room, and remember the call by this key."""
        here = str(Path.cwd())
        reference = self._remote.remote(jobs.code_sha256(), here, self._function, arguments)
        self._given[reference] = key

    def finished(self, seconds: float) -> list[Finished[K]]:
        """Those that have ended, or are lost; waits so long for the first.

        Raises:
            EngineError: the cluster is gone, has no node left, or its nodes run another edgepose.
        """
        self._check_nodes()
        try:
            ready, _ = self._ray.wait(list(self._given), num_returns=1, timeout=seconds)
            return [self._ended(reference) for reference in ready]
        except (ConnectionError, TimeoutError) as error:
            raise EngineError(
                f"--engine {self._cluster.engine} is gone ({_first_line(error)})",
                "start it again, then give the same command, which goes on",
            ) from None

    def _count(self) -> int:
        """Tasks that the nodes have room for; asked of the cluster now and then, since nodes come and go."""
        now = time.monotonic()
        if now - self._looked > 1.0 or not self._looked:
            self._looked = now
            self._slots = sum(int(cpus // self._cpus) for cpus in self._cluster.node_cpus())
            if self._slots:
                self._room_at = now
        return self._slots

    def _check_nodes(self) -> None:
        if not self._count() and time.monotonic() - self._room_at > _NO_NODE_S:
            raise EngineError(
                f"--engine {self._cluster.engine} has had no node of {self._cpus} CPUs for {_NO_NODE_S:g} s",
                "start nodes, then give the same command, which goes on",
            )

    def _ended(self, reference: Any) -> Finished[K]:
        key = self._given.pop(reference)
        kinds = self._ray.exceptions
        gone = (
            kinds.WorkerCrashedError,
            kinds.NodeDiedError,
            kinds.OutOfMemoryError,
            kinds.ObjectLostError,
            kinds.LocalRayletDiedError,
        )
        try:
            value, error = self._ray.get(reference)
        except gone as loss:
            return Finished(key, lost=_LOSSES.get(type(loss).__name__, _first_line(loss)))
        except kinds.RayError as failure:
            raise EngineError(
                f"a node of --engine {self._cluster.engine} cannot run edgepose ({_first_line(failure)})",
                "install the same edgepose and Python on all nodes",
            ) from None
        if isinstance(error, EngineError):
            raise error
        return Finished(key, value, error)


_LOSSES = {
    "WorkerCrashedError": "its process on the node was killed",
    "NodeDiedError": "its node was lost",
    "OutOfMemoryError": "the memory of its node ran out",
}


@contextmanager
def ray_cluster(engine: Engine) -> Iterator[RayCluster]:
    """Connect to a Ray cluster, or start one on this machine; it is left, or ended, with the block.

    Raises:
        MissingPackage: Ray is not installed.
        EngineError: the cluster cannot be reached.
    """
    _check_address(engine)
    with _own_folder(engine) as folder:
        ray = _import_ray(engine)
        quiet = {"log_to_driver": False, "logging_level": "ERROR"}
        try:
            with captured_stderr(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the error that follows says it
                if engine.address:
                    ray.init(address=engine.address, **quiet)
                else:
                    _start(ray, folder, quiet)
        except Exception as error:  # Ray raises that very class too
            ray.shutdown()
            raise _unreachable(engine, _first_line(error)) from None
        try:
            yield RayCluster(ray, engine)
        finally:
            with suppress(ConnectionError):
                ray.shutdown()


def own_ray() -> Any:
    """Ray, imported so that a cluster started in this process is on the loopback interface.

    Raises:
        MissingPackage: Ray is not installed.
    """
    return _import_ray(Engine(FORMS["ray"]))


def _import_ray(engine: Engine) -> Any:
    settings = _SETTINGS | (_JOIN_SETTINGS if engine.address else _OWN_SETTINGS)
    for name, value in settings.items():  # Ray reads most of them when it is imported
        os.environ.setdefault(name, value)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray

        if engine.address.startswith("ray://"):
            import grpc  # noqa: F401
    except ImportError as missing:
        raise MissingPackage(
            f"--engine {engine} needs {missing.name}, which is not installed",
            "install it by: pip install 'edgepose[ray]'",
        ) from None
    return ray


def _start(ray: Any, folder: Path, quiet: dict[str, Any]) -> None:
    """A Ray of this command alone."""
    ray.init(
        address="local",
        num_cpus=cores(),
        num_gpus=0,
        include_dashboard=False,
        object_store_memory=_OBJECTS_BYTES,
        _temp_dir=str(folder),
        **quiet,
    )
    where = ray.nodes()[0]["NodeManagerAddress"]
    if where != _LOOPBACK:
        raise RuntimeError(f"Ray listens on {where}, and not on {_LOOPBACK} only")


@contextmanager
def _own_folder(engine: Engine) -> Iterator[Path]:
    """Where a Ray of one's own has sockets, whose paths have to be short, and logs, which name files."""
    if engine.address:
        yield Path()
        return
    short = len(tempfile.gettempdir()) <= 20
    folder = Path(tempfile.mkdtemp(prefix="edgepose-ray-", dir=None if short else "/tmp"))
    inner = folder / "ray"  # Ray lets everybody read the folder that it is given
    try:
        yield inner
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _check_address(engine: Engine) -> None:
    """Find out in seconds what takes Ray minutes."""
    if not engine.address or engine.address == "auto":
        return
    host, _, port = engine.address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
    except OSError as error:
        raise _unreachable(engine, error.strerror or str(error)) from None


def _unreachable(engine: Engine, why: str) -> EngineError:
    if not engine.address:
        hint = "try again when the machine has less to do, or leave --engine out"
        return EngineError(f"--engine {engine} did not start ({why})", hint)
    hint = "start it (ray start --head), check the address, or leave --engine out"
    return EngineError(f"--engine {engine} cannot be reached ({why})", hint)


def _first_line(error: BaseException) -> str:
    """What an error of Ray's says, which may be pages; of one that a task raised, its cause."""
    cause = getattr(error, "cause", None) or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return lines[0][:200].rstrip(".") if lines else type(cause).__name__


# On a node


def _on_node(code: str, folder: str, function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """Call a function as the command would: the same code, from the same folder; its value and its error."""
    if jobs.code_sha256() != code:
        return None, EngineError(
            f"node {socket.gethostname()} has another edgepose than this machine",
            "install the same on all nodes",
        )
    with suppress(OSError):  # a path that is not found says so itself
        os.chdir(folder)
    try:
        return function(*arguments), None
    except (UserError, OSError, MemoryError) as error:
        return None, error
