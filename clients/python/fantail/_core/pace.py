"""How many items per second a map completes at present."""
from __future__ import annotations

WINDOW_S = 1.0


class Pace:
    """Measures each second separately, so that a slow start does not count for long."""

    def __init__(self, now: float) -> None:
        self.per_s = 0.0
        self._began_at = now
        self._count = 0

    def add(self, items: int, now: float) -> None:
        self._count += items
        elapsed = now - self._began_at
        if elapsed < WINDOW_S:
            self.per_s = max(self.per_s, self._count / WINDOW_S)
        else:
            self.per_s = self._count / elapsed
            self._began_at, self._count = now, 0
