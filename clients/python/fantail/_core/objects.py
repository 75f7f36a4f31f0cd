"""What the calls of a client return."""
from __future__ import annotations

import datetime
from typing import Any, Optional

ENDED = ("succeeded", "partial", "failed", "cancelled", "timed_out")


def is_job(document: Any) -> bool:
    return isinstance(document, dict) and isinstance(document.get("id"), str) and isinstance(document.get("status"), str)


def _time(text: Any) -> Optional[datetime.datetime]:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")) if isinstance(text, str) else None


class JobStatus:
    """What is known about a job at one moment. `document` is the whole job document of docs/protocol.md.

    id            the id
    status        "pending", "running", "succeeded", "partial", "failed", "cancelled" or "timed_out"
    has_ended     whether the status is one of the last five
    task          the task; the tasks of a pipeline are separated by commas
    counts        how many items: "total", "succeeded", "failed", "cancelled", "retried", "hedged"
    errors        how many items failed, by the name of the error
    reason        why the job ended early, or None
    result        the reduced value of a job with reduce, or None
    labels        the labels of the job
    elapsed_s     how long the job has run, in seconds
    eta_s         the estimated time until the job ends, in seconds, or None
    waiting       the name of what the job waits for, such as "no_workers", or None
    created_at, started_at, ended_at  times in UTC, or None
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.id: str = document["id"]
        self.status: str = document["status"]
        self.has_ended = self.status in ENDED
        self.task: Optional[str] = document.get("task")
        self.counts: dict[str, int] = document.get("counts") or {}
        self.errors: dict[str, int] = document.get("errors") or {}
        self.reason: Optional[str] = document.get("reason")
        self.result: Any = document.get("result")
        self.labels: list[str] = document.get("labels") or []
        self.elapsed_s: Optional[float] = document.get("elapsed_s")
        self.eta_s: Optional[float] = document.get("eta_s")
        self.waiting: Optional[str] = (document.get("waiting") or {}).get("reason")
        self.created_at = _time(document.get("created_at"))
        self.started_at = _time(document.get("started_at"))
        self.ended_at = _time(document.get("ended_at"))

    def __repr__(self) -> str:
        done = self.counts.get("succeeded", 0) + self.counts.get("failed", 0)
        return f"<fantail.JobStatus {self.id} {self.status} {done}/{self.counts.get('total', 0)}>"


class Task:
    """A task of the fleet. `document` is the task's entry in the list of tasks (docs/protocol.md).

    name         the name
    description  one sentence, or ""
    mode         "stream", "exec", "native" or "python"; None if no worker has described the task
    idempotent   whether an item may run more than once; None if the task does not say so
    workers      how many workers can run the task; None behind a load balancer
    slots        how many items these workers can run at the same time; None behind a load balancer
    error        why no worker can run the task, or None
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.name: str = document["name"]
        self.description: str = document.get("description") or ""
        self.mode: Optional[str] = document.get("mode")
        self.idempotent: Optional[bool] = document.get("idempotent")
        self.workers: Optional[int] = document.get("workers")
        self.slots: Optional[int] = document.get("slots")
        self.error: Optional[str] = document.get("error")

    def __repr__(self) -> str:
        return f"<fantail.Task {self.name}>"
