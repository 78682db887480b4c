"""Serves a page, its tracks and its videos to this machine's own browser, and to nobody else.

Bound to the loopback; every path begins with a token that only the printed address holds; requests under
another host's name, as a page of a stranger could send them here, are refused.
"""

from __future__ import annotations

import hmac
import re
import secrets
import sys
from contextlib import suppress
from functools import lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from edgepose.viewer.packed import pack
from edgepose.viewer.page import plain_text, render
from edgepose.viewer.stored import BadPrediction, Found, check_video, read_track

_HOST = "127.0.0.1"
_CHUNK = 1 << 18
_KEPT_TRACKS = 8
_IDLE_S = 60.0
_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/mp4",  # the same container, whose own name browsers refuse
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
    ".ogv": "video/ogg",
    ".3gp": "video/3gpp",
}


class PageServer(ThreadingHTTPServer):
    """The server of one folder's page, on a free port.

    Args:
        found: what the page shows.

    Attributes:
        address: of the page, token and all.
    """

    daemon_threads = True

    def __init__(self, found: Found) -> None:
        super().__init__((_HOST, 0), _Handler)
        self.found = found
        self.token = secrets.token_urlsafe(24)
        self.nonce = secrets.token_urlsafe(16)
        self.page = render(found, self.nonce).encode()
        self.address = f"http://{_HOST}:{self.server_port}/{self.token}/"
        self.track = lru_cache(_KEPT_TRACKS)(self._track)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing is wrong where a browser goes away in the middle of an answer."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def serve_until_interrupted(self) -> None:
        """Answer requests until Ctrl-C, which is the way to end, and no failure."""
        with suppress(KeyboardInterrupt):
            self.serve_forever()

    def _track(self, number: int) -> bytes:
        stored = self.found.videos[number]
        return pack(read_track(stored), stored.summary.model.keypoints)


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests."""

    server: PageServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "edgepose", ""
    timeout = _IDLE_S

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the terminal has the address, and stays readable."""

    def _answer(self) -> None:
        try:
            self._route()
        except BadPrediction as error:
            self._send(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", plain_text(str(error)).encode())
        except (BrokenPipeError, ConnectionResetError, TimeoutError):  # the browser wants no more of it
            self.close_connection = True

    def _route(self) -> None:
        _, token, *rest = self.path.split("?")[0].split("/", 2)
        if self.headers.get("Host") != f"{_HOST}:{self.server.server_port}":
            self._send(HTTPStatus.FORBIDDEN, "text/plain", b"another host's name")
            return
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            self._send(HTTPStatus.FORBIDDEN, "text/plain", b"no such page: use the address in the terminal")
            return
        path = rest[0] if rest else ""
        asked = re.fullmatch(r"(track|video)/(\d{1,6})", path)
        if path == "":
            self._send(HTTPStatus.OK, "text/html; charset=utf-8", self.server.page)
        elif asked is None or int(asked[2]) >= len(self.server.found.videos):
            self._send(HTTPStatus.NOT_FOUND, "text/plain", b"nothing here")
        elif asked[1] == "track":
            self._send(HTTPStatus.OK, "application/gzip", self.server.track(int(asked[2])))
        else:
            self._send_file(check_video(self.server.found.videos[int(asked[2])]))

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self._head(status, kind, len(body))
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: HTTPStatus, kind: str, length: int, **more: str) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(length),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "X-Frame-Options": "DENY",
        }
        for name, value in (headers | {name.replace("_", "-"): text for name, text in more.items()}).items():
            self.send_header(name, value)
        self.end_headers()

    def _send_file(self, path: Path) -> None:
        """A file, or the part of it that the request's Range asks for."""
        try:
            handle = path.open("rb")
        except OSError as error:
            raise BadPrediction(
                f"{path} cannot be read ({error.strerror})", "check its permissions"
            ) from None
        with handle:
            size = handle.seek(0, 2)
            part = _asked(self.headers.get("Range"), size)
            kind = _TYPES.get(path.suffix.lower(), "application/octet-stream")
            if part is None:
                self._head(
                    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, kind, 0, Content_Range=f"bytes */{size}"
                )
                return
            whole = part == range(size) and "Range" not in self.headers
            said = {} if whole else {"Content_Range": f"bytes {part.start}-{part.stop - 1}/{size}"}
            status = HTTPStatus.OK if whole else HTTPStatus.PARTIAL_CONTENT
            self._head(status, kind, len(part), Accept_Ranges="bytes", **said)
            if self.command == "HEAD":
                return
            handle.seek(part.start)
            left = len(part)
            while left and (chunk := handle.read(min(_CHUNK, left))):
                self.wfile.write(chunk)
                left -= len(chunk)
            self.close_connection = self.close_connection or bool(left)  # it became shorter meanwhile


def _asked(header: str | None, size: int) -> range | None:
    """The bytes that a Range header asks for; all where there is none; None where they are beyond the end."""
    if header is None:
        return range(size)
    found = re.fullmatch(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", header)
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        return range(max(size - int(found[2]), 0), size) if int(found[2]) and size else None
    first, last = int(found[1]), int(found[2]) if found[2] else size - 1
    return range(first, min(last, size - 1) + 1) if first <= last and first < size else None
