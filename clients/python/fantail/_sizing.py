"""Decides how many calls are sent in one batch. This module does no I/O and reads no clock."""
from __future__ import annotations

from typing import Optional

from ._process import BATCH_S

TARGET_BYTES = 4 << 20
GROWTH = 16
LARGEST = 1 << 18


class BatchSize:
    """Measures calls and aims at batches that run for BATCH_S. BATCH_S is much longer than the time to send a batch.

    The first batches have one call, so slow calls never wait in a batch.
    """

    def __init__(self, fixed: Optional[int] = None) -> None:
        self._fixed = fixed
        self._size = 1

    def next(self, remaining: Optional[int], slots: int) -> int:
        """Returns the size of the next batch. remaining: how many calls are left, or None if the number is not
        known."""
        if self._fixed is not None:
            return self._fixed
        if remaining is None:
            return self._size
        return max(1, min(self._size, -(-remaining // (2 * slots))))

    def measured(self, calls: int, seconds: float, size_bytes: int) -> None:
        """Call it after a batch. seconds is the time that the batch took in its process. size_bytes is the size of the
        batch's request or of its answer, whichever is larger."""
        by_time = BATCH_S * calls / max(seconds, 1e-9)
        by_bytes = TARGET_BYTES * calls / max(size_bytes, 1)
        self._size = max(1, int(min(by_time, by_bytes, self._size * GROWTH, LARGEST)))
