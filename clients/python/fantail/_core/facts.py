"""What the list of tasks (GET /v1/tasks) says about the tasks of a map."""
from __future__ import annotations

import enum
from typing import Any, NamedTuple, Optional, Sequence


class Twice(enum.Enum):
    """Whether the items of a lost job may be sent again."""
    UNKNOWN = "unknown"
    MAY = "may run twice"
    ONCE = "must not run twice"


class Facts(NamedTuple):
    twice: Twice
    slots: int  # of the task that has the fewest; 0: not known
    names: tuple[str, ...] = ()  # all tasks that exist


def listed_tasks(document: Any) -> Optional[list[dict[str, Any]]]:
    """Returns the entries of the list; None if the document is not a list of tasks."""
    entries = document.get("tasks") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(e, dict) and isinstance(e.get("name"), str) for e in entries):
        return None
    return entries


def facts_of(entries: Sequence[dict[str, Any]], tasks: Sequence[str]) -> Optional[Facts]:
    """Returns None if the list does not describe each of the tasks. The entry of a task that is only expected
    (--expected-tasks) has no mode, and does not describe the task."""
    described = {entry["name"]: entry for entry in entries if "mode" in entry}
    if not all(task in described for task in tasks):
        return None
    mine = [described[task] for task in tasks]
    once = any(entry.get("idempotent") is False for entry in mine)
    slots = min((int(entry.get("slots") or 0) for entry in mine), default=0)
    return Facts(Twice.ONCE if once else Twice.MAY, slots, tuple(entry["name"] for entry in entries))
