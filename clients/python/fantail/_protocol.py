"""Writes requests to a coordinator and reads its answers, as bytes. This module does no I/O and reads no clock.

A call or a batch of calls is sent as one job with one item: a JSON string with a pickle in base64. The answer to the
item is also a JSON string with a pickle in base64. Each batch is a job of its own, so answers can come in any order. The jobs use a few
connections that stay open. Closing a connection cancels its batch.
"""
from __future__ import annotations

import binascii
import json
from typing import Mapping, NamedTuple, Optional, Union

from ._core.http import AnswerReader, request_bytes
from ._core.lines import item_error
from ._errors import ItemError

MAX_ITEM_BYTES = 48 << 20  # base64 makes it 64 MiB, the limit of an item

TASK = "python-call"
# The fleet runs a batch again if its worker is lost, because the batch did not cause the loss. The fleet does not run a
# batch again after a crash. Instead, this package runs the calls of the batch in smaller batches, to find the call that
# caused the crash.
_OPTIONS = "retry.on=worker_lost&retry.max_attempts=3&hedge.enabled=false"


def request_of(payload: bytes, timeout_s: float, prefix: str, fields: Mapping[str, str]) -> bytes:
    """Returns the HTTP request of a job with this payload. A timeout_s of 0 sets no timeout."""
    body = b'"%s"\n' % binascii.b2a_base64(payload, newline=False)
    path = f"{prefix}/v1/jobs?task={TASK}&item_timeout_s={timeout_s:g}&{_OPTIONS}"
    return request_bytes("POST", path, {**fields, "Content-Type": "application/x-ndjson"}, body)


class HttpAnswer(NamedTuple):
    status: int
    keep_alive: bool
    body: bytes
    fields: Mapping[str, str]


class HttpReader:
    """Parses the bytes of one connection into answers."""

    def __init__(self) -> None:
        self._reader = AnswerReader()
        self._body: list[bytes] = []

    def feed(self, data: bytes) -> Optional[HttpAnswer]:
        """Returns the answer when it is complete. After a complete answer, the reader is ready for the next one."""
        self._body.append(self._reader.feed(data))
        if not self._reader.is_done:
            return None
        assert self._reader.head
        answer = HttpAnswer(self._reader.head.status, self._reader.keep_alive, b"".join(self._body),
                            self._reader.head.fields)
        self._reader, self._body = AnswerReader(), []
        return answer


_VALUE = b'"results":["'


def read_answer(answer: HttpAnswer) -> Union[bytes, ItemError]:
    """Returns the payload of the item's value, or the error of the item."""
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
        return item_error(document["errors"][0]["error"])
    return ItemError("refused", str(document.get("reason") or f"the job ended as {document.get('status')}"))
