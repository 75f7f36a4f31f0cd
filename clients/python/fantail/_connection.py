"""Connections to the coordinator. They do not block."""
from __future__ import annotations

import contextlib
import socket
import time
from typing import Generic, Optional, TypeVar

from ._protocol import HttpAnswer, HttpReader

_READ_BYTES = 1 << 18
_MOST_IDLE_S = 30.0  # many load balancers close idle connections after 60 s

W = TypeVar("W")


class Lost(Exception):
    """The connection has ended. `__cause__` is the reason; None if the peer has simply closed the connection."""


class Wire:
    """A socket. TlsWire in _dial.py is a socket with TLS."""

    _blocked: "tuple[type[OSError], ...]" = (BlockingIOError,)

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self.sent_bytes = 0
        self._socket = connected
        self._unsent = memoryview(b"")
        self._used_at = time.monotonic()

    def fileno(self) -> int:
        return self._socket.fileno()

    def begin(self, request: bytes) -> None:
        """Sends as much of the request as possible."""
        self.sent_bytes = 0
        self._unsent = memoryview(request)
        self.write()

    def wants_write(self) -> bool:
        return len(self._unsent) > 0

    def write(self) -> None:
        try:
            while self._unsent:
                sent = self._socket.send(self._unsent)
                self.sent_bytes += sent
                self._unsent = self._unsent[sent:]
        except self._blocked:
            pass
        except OSError:
            # The error is ignored here, because the caller reads next. A coordinator that refuses a request may have
            # answered before it closed the connection.
            self._unsent = memoryview(b"")

    def receive(self) -> Optional[bytes]:
        """Returns bytes that have arrived; None if there are no bytes now."""
        self._used_at = time.monotonic()
        try:
            data = self._socket.recv(_READ_BYTES)
        except self._blocked:
            return None
        except OSError as error:
            raise Lost(str(error)) from error
        if not data:
            raise Lost("the coordinator has closed the connection")
        return data

    def has_pending(self) -> bool:
        """Returns whether there are received bytes that poll() does not report."""
        return False

    def is_usable(self) -> bool:
        """Returns whether an idle connection can be used for another request."""
        if time.monotonic() - self._used_at > _MOST_IDLE_S:
            return False
        with contextlib.suppress(Lost):
            return self.receive() is None
        return False

    def close(self) -> None:
        """Closes the connection, which cancels its current request."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def connect_to_file(path: str) -> Wire:
    """Connects to a socket file."""
    unconnected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        unconnected.connect(path)
    except OSError as error:
        unconnected.close()
        raise Lost(str(error)) from error
    return Wire(unconnected)


class Connection(Generic[W]):
    """A connection of an engine. `work` is the work of the current request, or None if the connection is idle."""

    def __init__(self, wire: Wire) -> None:
        self.work: Optional[W] = None
        self.wire = wire
        self._reader = HttpReader()

    def fileno(self) -> int:
        return self.wire.fileno()

    def send(self, request: bytes, work: W) -> None:
        self.work = work
        self.wire.begin(request)

    def read(self) -> Optional[HttpAnswer]:
        """Reads the bytes that have arrived. Returns the answer when it is complete."""
        while True:
            data = self.wire.receive()
            answer = self._reader.feed(data) if data else None
            if answer or not self.wire.has_pending():
                return answer
