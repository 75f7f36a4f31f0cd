"""Functions on a fleet that others operate: the task `python-call` of that fleet runs the functions. RemoteFleet has
the same interface as Fleet in _fleet.py."""
from __future__ import annotations

import os
import sys
from typing import Optional, Union

from ._client import Client
from ._connection import Lost, Wire
from ._core.http import Head
from ._core.lines import Answer, refusal_of
from ._dial import dial
from ._errors import FantailError, TaskNotFound, Unreachable
from ._protocol import TASK, HttpAnswer

_MOST_CALLS_AT_ONCE = 1024
_AGAIN = (429, 502, 503, 504)  # the fleet is full or shutting down, or a proxy cannot reach it


class RemoteFleet:
    most_losses = 150  # with a wait of at most LONGEST_RETRY_S, about five minutes

    def __init__(self, where: Union[str, Client], most_calls: Optional[int]) -> None:
        """most_calls: how many calls run at the same time; None: as many as the fleet can run now."""
        if not isinstance(where, (str, Client)):
            raise TypeError(f"url must be a URL or a fantail.Client, not {where!r}")
        self._client = Client(where) if isinstance(where, str) else where
        self.prefix = self._client._target.prefix
        self.versions = _versions()
        tasks = self._client.tasks()
        found = [task for task in tasks if task.name == TASK]
        if not found:
            raise TaskNotFound(404, f"the fleet at {self._client.url} has no task {TASK}, so it runs no functions that a client "
                               "sends. The operator of the fleet can install this task (docs/python.md)", "/task",
                               [task.name for task in tasks])
        self.slots = most_calls or max(1, min(found[0].slots or 1, _MOST_CALLS_AT_ONCE))

    def start(self) -> int:
        self._ready, self._hold = os.pipe()
        os.write(self._hold, b"\n")
        return self._ready

    def read_ready(self) -> None:
        os.read(self._ready, 4096)

    def fields(self) -> "dict[str, str]":
        return self._client._target.fields()

    def connect(self) -> Wire:
        try:
            return dial(self._client._target)
        except Unreachable as error:
            raise Lost(str(error)) from error

    def refusal(self, answer: HttpAnswer) -> Optional[FantailError]:
        """Returns the error of an answer that concerns the request and not its item. Raises a Lost if the request
        should be sent again."""
        if answer.status == 200:
            return None
        whole = Answer(Head(answer.status, answer.fields), answer.body)
        error = refusal_of(whole, self._client.url, "Authorization" in self.fields(), tasks=[])
        if answer.status in _AGAIN:
            raise Lost(str(error)) from error
        return error

    def end(self, at_once: bool) -> None:
        os.close(self._ready)
        os.close(self._hold)


def _versions() -> "tuple[str, str]":
    """Returns the versions of this process. _process.py compares them with those of its own process."""
    import cloudpickle
    return "%d.%d" % sys.version_info[:2], cloudpickle.__version__
