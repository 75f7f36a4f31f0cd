"""Waiting, on a machine of any speed.

A test never says how quick something must be, because a busy machine is slow at everything. It waits for a condition,
with a limit that only something broken reaches (wait_until). Work that must still run while the test looks at it ends
when the test says so (Gate). A limit that the product is given, such as an item's time limit, may be too short for the
machine of the moment: the test says what had to be done by then (in_time), and is repeated with a longer limit if it
was not (with_more_time). How quick things are is measured by bench/.
"""
import os
import time

LIMIT_S = 60


def wait_until(condition, what="the condition", limit_s=LIMIT_S):
    """The first true value of condition(); fails after limit_s."""
    end = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true within {limit_s} s")
        time.sleep(0.02)


class TooLittleTime(AssertionError):
    """An attempt says nothing, because the machine was too slow for its limit."""


def in_time(holds, what):
    """Ends an attempt of with_more_time() that needs a longer limit. Nothing but slowness may be the cause."""
    if not holds:
        raise TooLittleTime(f"{what}: not in time")


def with_more_time(attempt, limits=(1, 4, 16)):
    """attempt(limit) with one limit after the other until there was time enough. Every other failure counts at once."""
    for limit in limits[:-1]:
        try:
            return attempt(limit)
        except TooLittleTime:
            pass
    return attempt(limits[-1])


class Gate:
    """Items that end when the test says so: a task that waits for open() and then answers each item with itself."""

    def __init__(self, folder):
        self.path = os.path.join(folder, f"gate-{id(self)}")
        wait = f"until [ -e {self.path} ]; do sleep 0.05; done; cat"
        self.task = {"mode": "exec", "command": ["sh", "-c", wait], "item_timeout_s": 3600}

    def open(self):
        with open(self.path, "w", encoding="ascii"):
            pass
