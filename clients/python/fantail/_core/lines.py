"""The lines of a stream of results, and the errors of items and of requests."""
from __future__ import annotations

import decimal
import json
import re
from typing import Any, Mapping, Optional

from .._errors import FantailError, ItemError, JobNotFound, NotFantail, Refused, TaskNotFound, TokenRefused
from .http import Head

MAX_LINE_BYTES = 144 << 20  # an answer has at most 128 MiB
JSON, NDJSON, PROBLEM = "application/json", "application/x-ndjson", "application/problem+json"
LATER = (429, 503)  # the service asks to send the request later
LOST_BY_PROXY = (502, 504)

_STANDARD = ("name", "cause", "signal", "exit_code", "stderr", "attempts", "worker", "sent")
_RESULT = re.compile(r'\{"type":"result","index":(\d+),')


def _long_int(text: str) -> int:
    """Returns the number, however long it is. int() itself refuses strings of more than 4300 digits."""
    return int(text) if len(text) < 4000 else int(decimal.Decimal(text))


_decoder = json.JSONDecoder(parse_int=_long_int)


class BrokenLine(Exception):
    """A line that a coordinator never sends."""


class LineReader:
    """Parses the body of a stream."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._rest_bytes = 0

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Returns the lines that are complete."""
        end = data.rfind(b"\n")
        if end < 0:
            self._rest.append(data)
            self._rest_bytes += len(data)
            if self._rest_bytes > MAX_LINE_BYTES:
                raise BrokenLine(f"a line of the answer has more than {MAX_LINE_BYTES} bytes")
            return []
        block = b"".join([*self._rest, data[:end]])
        self._rest = [data[end + 1:]]
        self._rest_bytes = len(self._rest[0])
        return _parse(block)


def _parse(block: bytes) -> list[dict[str, Any]]:
    try:
        text = block.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BrokenLine(f"the answer is not UTF-8: {error}") from None
    try:
        # A JSON string cannot contain a newline character, so each one ends a line. One call for all lines is fast.
        lines: list[dict[str, Any]] = json.loads(f"[{text}]".replace("\n", ","))
    except (ValueError, RecursionError):
        lines = [_parse_line(line) for line in text.split("\n") if line.strip()]
    for line in lines:
        if not isinstance(line, dict):
            raise BrokenLine(f"a line of the answer is not an object: {str(line)[:80]}")
    return lines


def _parse_line(line: str) -> Any:
    try:
        return _decoder.decode(line)
    except (ValueError, RecursionError) as error:
        found = _RESULT.match(line)
        if not found:
            raise BrokenLine(f"a line of the answer is not JSON: {line[:80]!r}") from None
        cause = f"this process cannot read the value: {type(error).__name__}: {error}"
        return {"type": "error", "index": int(found.group(1)), "error": {"name": "bad_output", "cause": cause}}


def item_error(error: Any, index: Optional[int] = None) -> ItemError:
    """Makes the exception from an error object."""
    if not isinstance(error, dict):
        error = {"name": "bad_output", "cause": f"the error is not an object: {str(error)[:200]}"}
    stderr, attempts = error.get("stderr"), error.get("attempts")
    return ItemError(str(error.get("name")), str(error.get("cause")), signal=error.get("signal"),
                     exit_code=error.get("exit_code"), stderr=stderr if isinstance(stderr, str) else "",
                     attempts=attempts if isinstance(attempts, int) else 1, worker=error.get("worker"), index=index,
                     members={name: value for name, value in error.items() if name not in _STANDARD})


class Answer:
    """The complete answer to a request."""

    def __init__(self, head: Head, body: bytes) -> None:
        self.status = head.status
        self.head = head
        self.body = body

    def document(self) -> Any:
        """Returns the parsed body; None if the body is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def is_problem(self) -> bool:
        return self.head.has_type(PROBLEM)

    def ran_nothing(self) -> bool:
        """Returns whether the answer comes from a coordinator that has run no item. The status alone does not show that
        no item has run: a proxy may give the same status after it has sent the job to a coordinator."""
        return self.is_problem() and "fantail-job" not in self.head.fields

    def retry_after_s(self) -> Optional[float]:
        text = self.head.fields.get("retry-after", "")
        return float(text) if text.isdigit() else None


def refusal_of(answer: Answer, url: str, has_token: bool, *, tasks: Optional[list[str]] = None,
               of_job: bool = False) -> FantailError:
    """Makes the exception for an answer that is not a success. tasks: the tasks that exist, if the request names a
    task. of_job: the request is about one job."""
    problem = answer.document()
    detail = problem.get("detail") or problem.get("title") if isinstance(problem, dict) else None
    if answer.status in (401, 403):
        sent = "the token that was sent is not valid" if has_token else "no token was sent; give token= or token_file="
        return TokenRefused(answer.status, f"{detail or 'access is refused'} ({sent})")
    if not answer.is_problem() or not detail:
        return stranger(url, f"status {answer.status}{_place_of(answer.head.fields)}")
    pointer: Optional[str] = problem.get("pointer")
    if answer.status == 404 and of_job:
        return JobNotFound(404, str(detail))
    if answer.status == 404 and tasks is not None and pointer == "/task":
        return TaskNotFound(404, str(detail), pointer, tasks)
    if answer.status == 404:
        return stranger(url, f"status 404 ({detail})")  # another service of fantail, or another port
    return Refused(answer.status, str(detail), pointer)


def _place_of(fields: Mapping[str, str]) -> str:
    return f" and a redirection to {fields['location']}" if fields.get("location") else ""


def stranger(url: str, what: str) -> NotFantail:
    return NotFantail(f"{url} answered with {what}, and not as a coordinator of fantail does; check the URL")
