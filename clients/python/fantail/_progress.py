"""A progress bar on standard error: tqdm's, if tqdm is installed, and otherwise a plain line."""
from __future__ import annotations

import importlib
import sys
import time
from typing import Any, Iterable, Iterator, Optional

LINE_S = 0.2
LOG_S = 5.0  # if standard error is not a terminal


class Line:
    """A small replacement for tqdm's progress bar."""

    def __init__(self, total: Optional[int], desc: str) -> None:
        self._total = total
        self._name = desc
        self._count = 0
        self._began = self._said = time.monotonic()
        self._is_terminal = sys.stderr.isatty()

    def update(self, count: int = 1) -> None:
        self._count += count
        now = time.monotonic()
        if now - self._said >= (LINE_S if self._is_terminal else LOG_S):
            self._said = now
            self._say("\r", "" if self._is_terminal else "\n")

    def close(self) -> None:
        self._say("\r", "\n")

    def _say(self, before: str, after: str) -> None:
        rate = self._count / max(time.monotonic() - self._began, 1e-3)
        total = f"/{self._total} ({100 * self._count // max(self._total, 1)} %)" if self._total is not None else ""
        before = before if self._is_terminal else ""
        print(f"{before}{self._name}: {self._count}{total}, {rate:.1f}/s ", end=after, file=sys.stderr, flush=True)


def bar_for(task: Any, items: Any) -> Any:
    try:
        total: Optional[int] = len(items)
    except TypeError:
        total = None
    name = task if isinstance(task, str) else ",".join(task)
    try:
        tqdm: Any = importlib.import_module("tqdm").tqdm
    except ImportError:
        return Line(total, name)
    return tqdm(total=total, desc=name)


def shown(results: Iterator[Any], task: Any, items: Iterable[Any]) -> Iterator[Any]:
    bar = bar_for(task, items)
    try:
        for result in results:
            bar.update()
            yield result
    finally:
        bar.close()
        close = getattr(results, "close", None)
        if close:
            close()
