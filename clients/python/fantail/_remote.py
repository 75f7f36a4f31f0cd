"""What the blocking client and the asynchronous client have in common."""
from __future__ import annotations

import ssl
import time
from typing import Any, Iterable, Iterator, Mapping, Optional, Sequence, Union

from ._core.arguments import (mapping_of, number_of, optional, switch_of, text_of, texts_of, values_of,
                              whole_of)
from ._core.calls import CallRun, Place, Plan, job_path
from ._core.facts import Facts
from ._core.job_object import JobHead, Tasks, item_to_json
from ._core.map_run import MOST_JOBS, MapRun
from ._core.results_run import ResultsRun
from ._core.run import Run
from ._target import Target

GATHER_S = 0.005  # after this time a job is sent, even if the iterator has yielded only a few items
FACTS_S = 10.0  # how long the facts about a task may be used again

Retry = Mapping[str, Any]


class RemoteClient:
    def __init__(self, url: Optional[str] = None, *, token: Optional[str] = None, token_file: Optional[str] = None,
                 ca: Optional[str] = None, cert: Optional[str] = None, key: Optional[str] = None,
                 ssl_context: Optional[ssl.SSLContext] = None, reconnect_s: float = 300.0) -> None:
        """Makes no connection.

        url          http://HOST:PORT, https://HOST:PORT or unix:PATH; the default is the variable FANTAIL_URL
        token        a bearer token
        token_file   a file of bearer tokens, whose first one is sent; the default is FANTAIL_TOKEN_FILE
        ca           with https: a file of certificate authorities (PEM) to trust instead of the system's; the default
                     is FANTAIL_CACERT
        cert, key    with https: the files of the client certificate and of its private key (PEM)
        ssl_context  with https: takes the place of ca, cert and key
        reconnect_s  when a connection is cut or the service is unavailable, try again for this many seconds
        """
        self._reconnect_s = number_of("reconnect_s", reconnect_s)
        if self._reconnect_s < 0:
            raise ValueError(f"reconnect_s must be at least 0, not {reconnect_s}")
        url, token = optional(text_of, "url", url), optional(text_of, "token", token)
        self._target = Target(url, token, token_file, ca, cert, key, ssl_context)
        self._facts: dict[tuple[str, ...], tuple[Facts, float]] = {}
        self._is_known = False  # a coordinator has answered
        self._set_up()

    __init__.__qualname__ = "Client.__init__"  # the name in the message about a wrong argument

    def _set_up(self) -> None:
        raise NotImplementedError

    @property
    def url(self) -> str:
        return self._target.url

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__name__} {self.url}>"

    def _map_run(self, task: Tasks, *, common: Any, ordered: bool, item_timeout_s: Optional[float],
                 deadline_s: Optional[float], max_concurrency: Optional[int], priority: Optional[int],
                 chunk_size: Optional[int], retry: Optional[Retry], hedge: Optional[Union[bool, Retry]]) -> MapRun:
        deadline_s = optional(number_of, "deadline_s", deadline_s)
        order = "input" if ordered else "completion"
        head = JobHead(task, common, {
            "order": order, "errors": "runs", "item_timeout_s": item_timeout_s, "max_concurrency": max_concurrency,
            "priority": priority, "chunk_size": chunk_size, "retry": optional(mapping_of, "retry", retry),
            "hedge": optional(switch_of, "hedge", hedge)})
        known = self._facts.get(tuple(head.tasks))
        now = time.monotonic()
        facts = known[0] if known and now - known[1] < FACTS_S else None
        return MapRun(head, self._target.fields(), self.url, self._target.prefix, ordered=ordered,
                      reconnect_s=self._reconnect_s, deadline_s=deadline_s, most_jobs=1 if max_concurrency else MOST_JOBS,
                      facts=facts, is_known=self._is_known, now=now)

    def _note_map(self, run: MapRun) -> None:
        """Call it when a map has ended. Keeps the facts about its tasks for the next map."""
        if run.tasks.facts:
            self._facts[tuple(run.tasks.tasks)] = run.tasks.facts, time.monotonic()
            self._is_known = True

    def _results_run(self, job_id: str, start: int, only: Optional[str]) -> ResultsRun:
        if only not in (None, "values", "errors"):
            raise ValueError(f'only must be None, "values" or "errors", not {only!r}')
        if whole_of("start", start) < 0:
            raise ValueError(f"start must be at least 0, not {start}")
        return ResultsRun(job_id, f"{self._target.prefix}{job_path(job_id)}/results", self._target.fields(), self.url,
                          start=start, only=only, reconnect_s=self._reconnect_s, is_known=self._is_known)

    def _call_run(self, plan: "Plan[Any]") -> CallRun:
        return CallRun(plan, self._target.fields(), self.url, self._target.prefix, self._reconnect_s, self._is_known,
                       time.monotonic())

    @property
    def _place(self) -> Place:
        return Place(self.url, "Authorization" in self._target.fields())


def gather(run: Run, items: Iterator[Any]) -> bool:
    """Reads items for at most GATHER_S, while the run wants items. Returns whether there are no more items."""
    end = time.monotonic() + GATHER_S
    try:
        while run.wants_items:
            run.add_item(next(items))
            if time.monotonic() > end:
                return False
    except StopIteration:
        run.end_items()
        return True
    except Exception as error:
        run.end_items(error)
        return True
    return False


def job_body(task: Tasks, items: Iterable[Any], *, common: Any, labels: Optional[Sequence[str]],
             reduce: Optional[str], notify: Optional[str], item_timeout_s: Optional[float], deadline_s: Optional[float],
             max_concurrency: Optional[int], max_rate: Optional[float], priority: Optional[int],
             chunk_size: Optional[int], retry: Optional[Retry], hedge: Optional[Union[bool, Retry]],
             tolerated_failure_count: Optional[int], tolerated_failure_percentage: Optional[float]) -> bytes:
    """Returns the job object of a durable job."""
    head = JobHead(task, common, {
        "labels": optional(texts_of, "labels", labels), "reduce": optional(text_of, "reduce", reduce),
        "notify": {"url": text_of("notify", notify)} if notify else None, "item_timeout_s": item_timeout_s,
        "deadline_s": deadline_s, "max_concurrency": max_concurrency, "max_rate": max_rate, "priority": priority,
        "chunk_size": chunk_size, "retry": optional(mapping_of, "retry", retry),
        "hedge": optional(switch_of, "hedge", hedge),
        "tolerated_failure_count": tolerated_failure_count,
        "tolerated_failure_percentage": tolerated_failure_percentage})
    return head.with_items(_item_bytes(values_of("items", items)))


def _item_bytes(items: Iterator[Any]) -> Iterable[bytes]:
    for index, item in enumerate(items):
        try:
            yield item_to_json(item)
        except (TypeError, ValueError, RecursionError) as error:
            raise type(error)(f"item {index} cannot be sent: {error}") from error


def filters_of(**filters: Optional[str]) -> "dict[str, Optional[str]]":
    return {name: optional(text_of, name, value) for name, value in filters.items()}


def check_key(key: Optional[str]) -> None:
    key = optional(text_of, "idempotency_key", key)
    if key is not None and not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
        raise ValueError("idempotency_key must be 1 to 255 printable ASCII characters")
