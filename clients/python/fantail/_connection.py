"""One connection to the coordinator. It does not block."""
from __future__ import annotations

import contextlib
import socket
from typing import Generic, Optional, TypeVar

from ._protocol import HttpAnswer, HttpReader

_READ_BYTES = 1 << 18

W = TypeVar("W")


class Lost(Exception):
    """The connection has ended."""


class Connection(Generic[W]):
    """`work` is the work of the current request, or None if the connection is idle."""

    def __init__(self, path: str) -> None:
        self.work: Optional[W] = None
        self._reader = HttpReader()
        self._unsent = memoryview(b"")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(path)
            self._socket.setblocking(False)
        except OSError as error:
            self._socket.close()
            raise Lost(str(error)) from error

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, request: bytes, work: W) -> None:
        self.work = work
        self._unsent = memoryview(request)
        self.write()

    def wants_write(self) -> bool:
        return len(self._unsent) > 0

    def write(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent):]
        except BlockingIOError:
            pass
        except OSError:
            # A coordinator that refuses a request may answer before it has read the whole request. So the caller reads
            # the answer next.
            self._unsent = memoryview(b"")

    def read(self) -> Optional[HttpAnswer]:
        """Reads the bytes that have come. Returns the answer once it is complete."""
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return None
        except OSError as error:
            raise Lost(str(error)) from error
        if not data:
            raise Lost("the coordinator has closed the connection")
        return self._reader.feed(data)

    def close(self) -> None:
        """Cancels the current work."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
