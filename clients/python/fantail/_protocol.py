"""Writes requests to a coordinator and reads its answers, as bytes. This module does no I/O and reads no clock.

A call or a batch of calls is sent as one job with one item: a JSON string with a pickle in base64. The answer to the
item is also a JSON string with a pickle in base64. Each batch is a job of its own, so answers can come in any order. The jobs use a few
connections that stay open. Closing a connection cancels its batch.
"""
from __future__ import annotations

import binascii
import json
from typing import Any, NamedTuple, Optional, Union

from ._errors import ItemError

MAX_ITEM_BYTES = 48 << 20  # base64 makes it 64 MiB, the limit of an item

TASK = "python-call"
# The fleet runs a call again if its worker is lost, because the call did not cause the loss. It does not run a call
# again after a crash: this package then runs the calls of the batch one by one, to find the call that caused the crash.
_OPTIONS = "retry.on=worker_lost&retry.max_attempts=3&hedge.enabled=false"


def request_of(payload: bytes, timeout_s: float) -> bytes:
    """Returns the HTTP request of a job with this payload. A timeout_s of 0 sets no timeout."""
    body = b'"%s"\n' % binascii.b2a_base64(payload, newline=False)
    head = (f"POST /v1/jobs?task={TASK}&item_timeout_s={timeout_s:g}&{_OPTIONS} HTTP/1.1\r\n"
            "Host: fantail\r\nContent-Type: application/x-ndjson\r\n"
            f"Content-Length: {len(body)}\r\n\r\n")
    return head.encode("ascii") + body


class HttpAnswer(NamedTuple):
    status: int
    keep_alive: bool
    body: bytes


class BrokenAnswer(Exception):
    """The peer does not speak HTTP, or uses a part of HTTP that a coordinator does not use."""


class HttpReader:
    """Parses the bytes of one connection into answers."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._head: Optional[HttpAnswer] = None
        self._length: Optional[int] = None  # None: the body comes in chunks
        self._body = bytearray()

    def feed(self, data: bytes) -> Optional[HttpAnswer]:
        """Returns the answer once it is complete. After that the reader is ready for the next answer."""
        self._bytes += data
        if self._head is None and not self._read_head():
            return None
        assert self._head is not None
        if not (self._read_chunks() if self._length is None else self._read_length(self._length)):
            return None
        answer = self._head._replace(body=bytes(self._body))
        self._head, self._body = None, bytearray()
        return answer

    def _read_head(self) -> bool:
        end = self._bytes.find(b"\r\n\r\n")
        if end < 0:
            return False
        lines = bytes(self._bytes[:end]).decode("latin-1").split("\r\n")
        del self._bytes[:end + 4]
        fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            fields[name.strip().lower()] = value.strip()
        try:
            status = int(lines[0].split()[1])
            chunked = "chunked" in fields.get("transfer-encoding", "").lower()
            self._length = None if chunked else int(fields.get("content-length", "0"))
        except (IndexError, ValueError):
            raise BrokenAnswer(f"not an HTTP answer: {lines[0][:80]!r}") from None
        self._head = HttpAnswer(status, fields.get("connection", "").lower() != "close", b"")
        return True

    def _read_length(self, length: int) -> bool:
        if len(self._bytes) < length:
            return False
        self._body += self._bytes[:length]
        del self._bytes[:length]
        return True

    def _read_chunks(self) -> bool:
        while True:
            end = self._bytes.find(b"\r\n")
            if end < 0:
                return False
            try:
                size = int(bytes(self._bytes[:end]).split(b";")[0], 16)
            except ValueError:
                raise BrokenAnswer("a chunk of an answer has no size") from None
            if len(self._bytes) < end + 2 + size + 2:
                return False
            self._body += self._bytes[end + 2:end + 2 + size]
            del self._bytes[:end + 2 + size + 2]
            if not size:
                return True


_VALUE = b'"results":["'


def read_answer(answer: HttpAnswer) -> Union[bytes, ItemError]:
    """Returns the payload of the item's value, or its error."""
    at = answer.body.find(_VALUE) if answer.status == 200 else -1
    if at >= 0:
        at += len(_VALUE)
        return binascii.a2b_base64(memoryview(answer.body)[at:answer.body.index(b'"', at)])
    try:
        document = json.loads(answer.body)
    except ValueError:
        return ItemError("refused", f"the coordinator answered with status {answer.status} and no document")
    if answer.status != 200:
        return ItemError("refused", str(document.get("detail") or document.get("title") or answer.status))
    if document.get("errors"):
        return _item_error(document["errors"][0]["error"])
    return ItemError("refused", str(document.get("reason") or f"the job ended as {document.get('status')}"))


def _item_error(error: dict[str, Any]) -> ItemError:
    return ItemError(str(error.get("name")), str(error.get("cause")), signal=error.get("signal"),
                     exit_code=error.get("exit_code"), stderr=error.get("stderr") or "",
                     attempts=error.get("attempts") or 1, worker=error.get("worker"))
