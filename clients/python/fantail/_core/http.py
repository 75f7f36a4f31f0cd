"""HTTP/1.1 as bytes: requests, and answers that are parsed while they arrive."""
from __future__ import annotations

from typing import Mapping, NamedTuple, Optional

MAX_HEAD_BYTES = 1 << 16
_MAX_LINE_BYTES = 1 << 12  # of the line before a chunk, and of a trailer


class BrokenAnswer(Exception):
    """The peer does not speak HTTP, or uses a part of HTTP that a coordinator does not use."""


class Head(NamedTuple):
    status: int
    fields: Mapping[str, str]  # the names are in lower case

    def has_type(self, *types: str) -> bool:
        return self.fields.get("content-type", "").split(";")[0].strip().lower() in types


def request_bytes(method: str, path: str, fields: Mapping[str, str], body: Optional[bytes] = None) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")


class AnswerReader:
    """Parses the bytes of one answer."""

    def __init__(self) -> None:
        self.head: Optional[Head] = None
        self.is_done = False
        self.keep_alive = False
        self._bytes = bytearray()
        self._left: Optional[int] = None  # bytes left of the body, or of the current chunk; None: until the connection ends
        self._is_chunked = False
        self._in_trailers = False

    def feed(self, data: bytes) -> bytes:
        """Returns the part of the body that is in `data`."""
        if self.head is not None and not self._is_chunked and not self._bytes:
            return self._take_plain(data)
        self._bytes += data
        if self.head is None and not self._read_head():
            return b""
        if self._is_chunked:
            return self._take_chunks()
        taken, self._bytes = bytes(self._bytes), bytearray()
        return self._take_plain(taken)

    def end(self) -> bool:
        """Call it when the connection has ended. Returns whether the answer is complete."""
        if self.head is not None and not self._is_chunked and self._left is None:
            self.is_done = True
        return self.is_done

    def _read_head(self) -> bool:
        end = self._bytes.find(b"\r\n\r\n")
        if end < 0:
            if len(self._bytes) > MAX_HEAD_BYTES or not b"HTTP/1.".startswith(bytes(self._bytes[:7])):
                raise BrokenAnswer(f"not an HTTP answer: {bytes(self._bytes[:80])!r}")
            return False
        lines = bytes(self._bytes[:end]).decode("latin-1").split("\r\n")
        del self._bytes[:end + 4]
        fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            fields[name.strip().lower()] = value.strip()
        try:
            version, status = lines[0].split()[:2]
            head = Head(int(status), fields)
            length = int(fields["content-length"]) if "content-length" in fields else None
        except ValueError:
            raise BrokenAnswer(f"not an HTTP answer: {lines[0][:80]!r}") from None
        if not version.startswith("HTTP/1."):
            raise BrokenAnswer(f"not an HTTP answer: {lines[0][:80]!r}")
        if head.status < 200:
            return self._read_head()  # an interim answer
        self._begin_body(head, version, length)
        return True

    def _begin_body(self, head: Head, version: str, length: Optional[int]) -> None:
        self.head = head
        self._is_chunked = "chunked" in head.fields.get("transfer-encoding", "").lower()
        self.keep_alive = version == "HTTP/1.1" and head.fields.get("connection", "").lower() != "close"
        if self._is_chunked:
            self._left = 0
        elif head.status in (204, 304):
            self._left = 0
            self.is_done = True
        else:
            self._left = length
            self.is_done = length == 0
            self.keep_alive = self.keep_alive and length is not None

    def _take_plain(self, data: bytes) -> bytes:
        if self._left is None:
            return data
        taken = data[:self._left]
        self._left -= len(taken)
        self.is_done = self._left == 0
        if len(taken) < len(data):
            self.keep_alive = False  # bytes that belong to no answer
        return taken

    def _take_chunks(self) -> bytes:
        parts = []
        while not self.is_done:
            if self._left:
                part = bytes(self._bytes[:self._left])
                del self._bytes[:len(part)]
                self._left -= len(part)
                if not part:
                    break
                parts.append(part)
            elif not self._read_chunk_line():
                break
        if self.is_done and self._bytes:
            self.keep_alive = False
        return b"".join(parts) if len(parts) != 1 else parts[0]

    def _read_chunk_line(self) -> bool:
        """Reads the line before a chunk, the end of a chunk, or a trailer. Returns False if the line is not complete
        yet."""
        if self._bytes.startswith(b"\r\n") and not self._in_trailers:
            del self._bytes[:2]  # the end of the previous chunk
        end = self._bytes.find(b"\r\n")
        if end < 0:
            if len(self._bytes) > _MAX_LINE_BYTES:
                raise BrokenAnswer("a chunk of an answer has no size")
            return False
        line = bytes(self._bytes[:end])
        del self._bytes[:end + 2]
        if self._in_trailers:
            self.is_done = not line
            return True
        try:
            self._left = int(line.split(b";")[0], 16)
        except ValueError:
            raise BrokenAnswer("a chunk of an answer has no size") from None
        self._in_trailers = self._left == 0
        return True
