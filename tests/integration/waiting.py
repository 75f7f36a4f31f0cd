"""Waiting, on a machine of any speed.

A test does not check how fast something is, because everything is slow on a busy machine; bench/ measures speed. A test
waits for a condition, with a limit that is reached only if something is broken (wait_until). If work must still run
while the test checks something, the work ends only when the test opens a gate (Gate). A time limit of the product, such
as the limit for an item, may be too short on a busy machine. If a test depends on such a limit, the test says what must
have happened in time (in_time). If the required event has not happened in time, the test repeats the attempt with a longer
limit (with_more_time).
"""
import os
import time

LIMIT_S = 60


def wait_until(condition, what="the condition", limit_s=LIMIT_S):
    """Returns the first true value of condition(). Fails after limit_s."""
    end = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {limit_s} s: {what}")
        time.sleep(0.02)


class TooLittleTime(AssertionError):
    """The machine was too slow for the time limit of the attempt, so the attempt proves nothing."""


def in_time(holds, what):
    """If `holds` is false, ends this attempt of with_more_time(), so that the next attempt gets a longer limit. Use in_time()
    only where `holds` can be false only because the machine is slow."""
    if not holds:
        raise TooLittleTime(f"not in time: {what}")


def with_more_time(attempt, limits=(1, 4, 16)):
    """Calls attempt(limit) with longer and longer limits until attempt() does not raise TooLittleTime. If attempt()
    raises another exception, the test fails immediately."""
    for limit in limits[:-1]:
        try:
            return attempt(limit)
        except TooLittleTime:
            pass
    return attempt(limits[-1])


class Gate:
    """A task whose items end when the test calls open(). The value of an item is the item itself."""

    def __init__(self, folder):
        self.path = os.path.join(folder, f"gate-{id(self)}")
        wait = f"until [ -e {self.path} ]; do sleep 0.05; done; cat"
        self.task = {"mode": "exec", "command": ["sh", "-c", wait], "item_timeout_s": 3600}

    def open(self):
        with open(self.path, "w", encoding="ascii"):
            pass
