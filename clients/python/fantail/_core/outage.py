"""Decides how long a client keeps trying to reconnect to a coordinator. An outage begins when the connection of a
request fails. The outage ends with the next new answer.

The client gives up if no coordinator accepts a request within limit_s after a failure. The client also gives up if
coordinators accept requests but are lost again and again, and no new answer arrives within limit_s. Time that a
coordinator spends on a job does not count, because an item may take a long time.
"""
from __future__ import annotations

import enum
import random
from typing import Optional

from .._errors import FantailError

# These limits apply before a coordinator has answered. The limits are low, because the URL may be wrong.
_EARLY_TRIES = 5
_EARLY_S = 3.0
_CUTS = 5  # cuts after which the client may give up: a job without new answers may just have long items
_FULL_S = 60.0
_FIRST_WAIT_S, _LONGEST_WAIT_S, _LONGEST_ASKED_S = 0.05, 2.0, 10.0


class Cause(enum.Enum):
    UNREACHED = "unreached"  # no byte of the request was sent
    LOST = "lost"  # the request was sent, and no coordinator is known to have accepted it
    CUT = "cut"  # a coordinator had accepted the request
    FULL = "full"  # a coordinator or a proxy asks to send the request later


class Tries:
    """The failures of one request since its last new answer."""

    def __init__(self) -> None:
        self.failures = 0
        self.cuts = 0


class Outage:
    def __init__(self, limit_s: float, accepted: bool) -> None:
        self.limit_s = limit_s
        self.accepted = accepted  # the URL is right: a coordinator has answered
        self._began: Optional[float] = None  # the first failure since the last new answer
        self._away: Optional[float] = None  # the first failure since a coordinator accepted a request

    def note_accepted(self) -> None:
        self.accepted = True
        self._away = None

    def note_answer(self) -> None:
        self._began = self._away = None

    def patience_s(self) -> float:
        """Returns how long to wait for a list of tasks."""
        return self.limit_s if self.accepted else min(self.limit_s, _EARLY_S)

    @staticmethod
    def backoff_s(failures: int) -> float:
        """Returns how long to wait before the next try, with jitter. failures: the number of earlier failures."""
        most = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * (1 << min(failures, 10)))
        return most * (1 - 0.5 * random.random())

    def note_failure(self, cause: Cause, tries: Tries, retry_after_s: Optional[float], now: float) -> Optional[float]:
        """Returns when to try again; None: give up."""
        limit = max(self.limit_s, _FULL_S) if cause == Cause.FULL else self.limit_s
        self._began = now if self._began is None else self._began
        self._away = now if self._away is None else self._away
        tries.failures += 1
        tries.cuts += cause == Cause.CUT
        if not self.accepted and cause != Cause.FULL:
            is_refused = cause == Cause.UNREACHED and tries.failures == 1
            if is_refused or tries.failures > _EARLY_TRIES or now - self._away >= _EARLY_S:
                return None
        if now - self._away >= limit or (now - self._began >= limit and tries.cuts >= _CUTS):
            return None
        wait = self.backoff_s(tries.failures - 1)
        if retry_after_s is not None:
            wait = min(retry_after_s, _LONGEST_ASKED_S) + self.backoff_s(0)
        return now + min(wait, self._away + limit - now)


def given_up(why: FantailError, outage: Outage) -> FantailError:
    """Returns the last failure, with a text that also says how long the client has tried."""
    if not outage.accepted or not outage.limit_s:
        return why
    return type(why)(f"no coordinator has answered for {outage.limit_s:g} s (reconnect_s): {why}")
