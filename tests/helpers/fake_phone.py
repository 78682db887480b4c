"""A small double of adbd on the loopback: what the real adb client sees of a phone.

It speaks adb's transport protocol (CNXN, AUTH, OPEN, OKAY, WRTE, CLSE), the sync service (STAT, SEND, RECV)
and the shell protocol with exit codes. /data/local/tmp and /sys lie in a folder; a shell line is run by this
machine's sh with those two paths led there, and `app_process` is whatever the test says.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shlex
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from android_harness.qemu import RUNNER

_VERSION, _MAX_DATA = 0x01000001, 256 * 1024
_PACKET = 1460  # bytes of TCP over Ethernet
_STDIN, _STDOUT, _STDERR, _EXIT, _CLOSE_STDIN = range(5)
_GUEST_PATHS = re.compile(r"(?<![\w.])/(?=data/local/tmp|sys/)")
PYTHON_RUNNER = [sys.executable, str(RUNNER)]
PROPERTIES = {
    "ro.product.model": "Double 1",
    "ro.build.version.release": "14",
    "ro.build.version.sdk": "34",
    "ro.product.cpu.abi": "arm64-v8a",
    "ro.soc.model": "SD000",
}


class Unplugged(Exception):
    """The cable is pulled."""


@dataclass(frozen=True)
class Link:
    """What lies between computer and phone, as its two ends see it.

    TCP repeats a lost packet, so that a loss is a wait for both ends and never a hole.

    Attributes:
        bytes_per_s: each way.
        delay_s: of every message, one way.
        loss: share of packets that are lost.
        again_s: until a lost packet is sent again.
    """

    bytes_per_s: float = float("inf")
    delay_s: float = 0.0
    loss: float = 0.0
    again_s: float = 0.2


class _Way:
    """One direction of a link."""

    def __init__(self, link: Link, seed: int) -> None:
        self._link, self._random = link, random.Random(seed)
        self.lost = 0

    def carry(self, size: int) -> None:
        """Wait for as long as a message takes."""
        packets = -(-size // _PACKET)
        lost = sum(self._random.random() < self._link.loss for _ in range(packets)) if self._link.loss else 0
        self.lost += lost
        taken = size / self._link.bytes_per_s + self._link.delay_s + lost * self._link.again_s
        if taken:
            time.sleep(taken)


class FakePhone:
    """A phone that `adb connect 127.0.0.1:PORT` finds.

    Args:
        root: of its files.
        app_process: what it starts for app_process; gets the arguments after the class.
        authorized: whether it lets this computer in.
        room: bytes that its storage takes; None for plenty.
        unplug_on: the cable is pulled when a shell line matches.
        link: how bad the connection is.
    """

    def __init__(
        self,
        root: Path,
        app_process: list[str] | None = None,
        authorized: bool = True,
        room: int | None = None,
        unplug_on: str | None = None,
        properties: Mapping[str, str] = PROPERTIES,
        features: str = "shell_v2,cmd",
        link: Link | None = None,
    ) -> None:
        self.root, self.authorized, self.room, self.unplug_on = root, authorized, room, unplug_on
        self.features = features
        self.lines: list[str] = []
        self.here, self.there = _Way(link or Link(), 0), _Way(link or Link(), 1)
        self._connections: list[_Connection] = []
        _furnish(root, app_process or ["false"], properties)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.serial = f"127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def place(self) -> Path:
        return self.root / "data/local/tmp"

    @property
    def lost(self) -> int:
        """Packets that had to be sent again."""
        return self.here.lost + self.there.lost

    def unplug(self) -> None:
        """Pull the cable."""
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # wakes accept, which close alone does not
        self._server.close()
        for connection in self._connections:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                channel, _ = self._server.accept()
            except OSError:
                return
            connection = _Connection(self, channel)
            self._connections.append(connection)
            threading.Thread(target=connection.serve, daemon=True).start()


class _Connection:
    """One connection of the adb server; many streams."""

    def __init__(self, phone: FakePhone, channel: socket.socket) -> None:
        self.phone, self._channel = phone, channel
        self._lock = threading.Lock()
        self._streams: dict[int, _Stream] = {}
        self._next = 1

    def serve(self) -> None:
        with contextlib.suppress(OSError, EOFError, Unplugged):
            while True:
                command, first, second, size, _, _ = struct.unpack("<4s5I", self._read(24))
                data = self._read(size)
                self.phone.here.carry(24 + size)
                self._handle(command, first, second, data)
        self.close()

    def send(self, command: bytes, first: int, second: int, data: bytes = b"") -> None:
        magic = struct.unpack("<I", command)[0] ^ 0xFFFFFFFF
        head = struct.pack("<4s5I", command, first, second, len(data), sum(data) & 0xFFFFFFFF, magic)
        with self._lock, contextlib.suppress(OSError):
            self.phone.there.carry(len(head) + len(data))
            self._channel.sendall(head + data)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        self._channel.close()
        for stream in self._streams.values():
            stream.came.put(None)

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._channel.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def _handle(self, command: bytes, first: int, second: int, data: bytes) -> None:
        if command in (b"CNXN", b"AUTH"):
            if self.phone.authorized:
                banner = f"device::ro.product.name=d;ro.product.model=Double_1;features={self.phone.features}"
                self.send(b"CNXN", _VERSION, _MAX_DATA, banner.encode())
            elif command == b"CNXN" or first == 2:  # a signature by a key that it does not know
                self.send(b"AUTH", 1, 0, os.urandom(20))
        elif command == b"OPEN":
            stream = _Stream(self, self._next, first)
            self._streams[self._next] = stream
            self._next += 1
            service = data.rstrip(b"\0").decode()
            threading.Thread(target=stream.serve, args=(service,), daemon=True).start()
        elif second in self._streams:
            stream = self._streams[second]
            if command == b"OKAY":
                stream.acknowledged.release()
            elif command == b"WRTE":
                stream.came.put(data)
                self.send(b"OKAY", second, first)
            elif command == b"CLSE":
                stream.came.put(None)


class _Stream:
    """One service in use."""

    def __init__(self, connection: _Connection, here: int, there: int) -> None:
        self._connection, self._here, self._there = connection, here, there
        self.acknowledged = threading.Semaphore(1)
        self.came: SimpleQueue[bytes | None] = SimpleQueue()
        self._rest = b""

    def serve(self, service: str) -> None:
        self._connection.send(b"OKAY", self._here, self._there)
        with contextlib.suppress(EOFError):
            if service == "sync:":
                self._sync()
            elif service.startswith("shell,v2"):
                self._shell(service.partition(":")[2])
        self._connection.send(b"CLSE", self._here, self._there)

    def write(self, data: bytes) -> None:
        for at in range(0, len(data), _MAX_DATA):
            while not self.acknowledged.acquire(timeout=60):
                raise EOFError
            self._connection.send(b"WRTE", self._here, self._there, data[at : at + _MAX_DATA])

    def read(self, size: int) -> bytes:
        while len(self._rest) < size:
            piece = self.came.get()
            if piece is None:
                raise EOFError
            self._rest += piece
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def _sync(self) -> None:
        while True:
            name, size = struct.unpack("<4sI", self.read(8))
            path = _guest(self._connection.phone.root, self.read(size).decode()) if name != b"QUIT" else ""
            if name == b"STAT":
                found = Path(path).stat() if Path(path).exists() else None
                mode, length = (found.st_mode, found.st_size) if found else (0, 0)
                self.write(struct.pack("<4s3I", b"STAT", mode, length, 0))
            elif name == b"SEND":
                self._take(Path(path.rpartition(",")[0]))
            elif name == b"RECV" and not Path(path).exists():
                self._fail("No such file or directory")
            elif name == b"RECV":
                data = Path(path).read_bytes()
                for at in range(0, len(data), 65536):
                    piece = data[at : at + 65536]
                    self.write(struct.pack("<4sI", b"DATA", len(piece)) + piece)
                self.write(struct.pack("<4sI", b"DONE", 0))
            else:
                return

    def _fail(self, why: str) -> None:
        self.write(struct.pack("<4sI", b"FAIL", len(why)) + why.encode())

    def _take(self, path: Path) -> None:
        phone, data = self._connection.phone, b""
        while True:
            name, size = struct.unpack("<4sI", self.read(8))
            if name == b"DONE":
                break
            data += self.read(size)
        if phone.room is not None and len(data) > phone.room:
            self._fail("couldn't write: No space left on device")
            return
        if phone.room is not None:
            phone.room -= len(data)
        path.write_bytes(data)
        self.write(struct.pack("<4sI", b"OKAY", 0))

    def _shell(self, line: str) -> None:
        phone = self._connection.phone
        phone.lines.append(line)
        if phone.unplug_on and re.search(phone.unplug_on, line):
            phone.unplug()
            raise EOFError
        process = subprocess.Popen(
            ["/bin/sh", "-c", _guest(phone.root, line)],
            cwd=phone.root,
            env={"PATH": f"{phone.root}/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdout is not None and process.stderr is not None
        threading.Thread(target=self._feed, args=(process,), daemon=True).start()
        pumps = [
            threading.Thread(target=self._pump, args=(kind, stream.fileno()), daemon=True)
            for kind, stream in ((_STDOUT, process.stdout), (_STDERR, process.stderr))
        ]
        for pump in pumps:
            pump.start()
        code = process.wait()
        for pump in pumps:
            pump.join()
        process.stdout.close()
        process.stderr.close()
        self.write(struct.pack("<BIB", _EXIT, 1, code % 256 if code >= 0 else 128 - code))

    def _feed(self, process: subprocess.Popen[bytes]) -> None:
        """The client's standard input; when it is gone, hang up and close it, as adbd does."""
        assert process.stdin is not None
        try:
            while True:
                kind, size = struct.unpack("<BI", self.read(5))
                data = self.read(size)
                if kind == _CLOSE_STDIN:
                    break
                process.stdin.write(data)
                process.stdin.flush()
        except (EOFError, OSError):
            if process.poll() is None:
                process.send_signal(signal.SIGHUP)
        with contextlib.suppress(OSError):
            process.stdin.close()

    def _pump(self, kind: int, stream: int) -> None:
        root = str(self._connection.phone.root).encode()
        gone = False
        while data := os.read(stream, 32768):
            data = data.replace(root, b"")
            try:
                if not gone:
                    self.write(struct.pack("<BI", kind, len(data)) + data)
            except EOFError:
                gone = True


def _guest(root: Path, text: str) -> str:
    return _GUEST_PATHS.sub(f"{root}/", text)


def _furnish(root: Path, app_process: list[str], properties: Mapping[str, str]) -> None:
    """The programs and files that a shell line may want."""
    files = {
        "bin/app_process": f'#!/bin/sh\nshift 2\nexec {shlex.join(app_process)} "$@"\n',
        "bin/getprop": "#!/bin/sh\ncase $1 in\n"
        + "".join(f"{name}) echo {shlex.quote(value)};;\n" for name, value in properties.items())
        + "*) echo;;\nesac\n",
        "sys/class/thermal/thermal_zone0/type": "cpu-0-0\n",
        "sys/class/thermal/thermal_zone0/temp": "41500\n",
        "sys/class/thermal/thermal_zone1/type": "unreadable\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1804800\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq": "2400000\n",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for program in ("app_process", "getprop"):
        (root / "bin" / program).chmod(0o755)
    (root / "data/local/tmp").mkdir(parents=True, exist_ok=True)
