"""Carries out a run (_core/run.py) in the calling thread: connects, sends, waits and receives."""
from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING, Any, Iterator, Optional

from ._connection import Lost, Wire
from ._core.run import SILENCE_S, Exchange, Run
from ._errors import FantailError, Unreachable
from ._remote import gather

if TYPE_CHECKING:
    from ._client import Client


class Driver:
    def __init__(self, client: "Client", run: Run) -> None:
        self._client = client
        self._run = run
        self._active: dict[Wire, Exchange] = {}

    def results(self, items: "Optional[Iterator[Any]]" = None) -> Iterator[list[Any]]:
        """Yields the results in lists. Raises the error of the run."""
        try:
            while True:
                yield self._run.take()
                if self._run.error:
                    raise self._run.error
                if self._run.is_over:
                    return
                self._begin_exchanges()
                gathers = items is not None and self._run.wants_items
                if items is not None and gathers:
                    gather(self._run, items)
                self._poll(0.0 if gathers else self._patience_s())
        finally:
            for wire in self._active:
                wire.close()

    def _begin_exchanges(self) -> None:
        while True:
            exchange = self._run.next_exchange(time.monotonic())
            if exchange is None:
                return
            try:
                wire = self._client._take_wire()
            except FantailError as error:
                exchange.ended(error, False, time.monotonic())
                continue
            self._active[wire] = exchange
            wire.begin(exchange.request)

    def _patience_s(self) -> Optional[float]:
        times = [exchange.silent_at() for exchange in self._active.values() if exchange.wants_data()]
        wake_at = self._run.wake_at()
        if wake_at is not None:
            times.append(wake_at)
        if self._run.error or self._run.is_over:
            return 0.0
        assert times, "nothing would wake the client"
        return max(0.0, min(times) - time.monotonic())

    def _poll(self, timeout_s: Optional[float]) -> None:
        poller, wires = select.poll(), {}
        ready: set[Wire] = set()
        for wire, exchange in self._active.items():
            reads = exchange.wants_data()
            if reads and wire.has_pending():
                ready.add(wire)
            events = (select.POLLIN if reads else 0) | (select.POLLOUT if wire.wants_write() else 0)
            if events:
                poller.register(wire, events)
                wires[wire.fileno()] = wire
        if ready:
            timeout_s = 0.0
        polled = poller.poll(None if timeout_s is None else int(timeout_s * 1000 + 0.999))
        for fd, events in polled:
            if events & select.POLLOUT:
                wires[fd].write()
            if events & ~select.POLLOUT:
                ready.add(wires[fd])
        for wire in ready:
            self._receive(wire, self._active[wire])
        self._end_silent()

    def _receive(self, wire: Wire, exchange: Exchange) -> None:
        try:
            data = wire.receive()
            if data:
                exchange.received(data, time.monotonic())
        except Lost as error:
            exchange.ended(self._client._target.explain(error), wire.sent_bytes > 0, time.monotonic())
        self._end_if_over(wire, exchange)

    def _end_if_over(self, wire: Wire, exchange: Exchange) -> None:
        if not exchange.is_over:
            return
        del self._active[wire]
        if exchange.keep_alive and not wire.wants_write():
            self._client._keep_wire(wire)
        else:
            wire.close()

    def _end_silent(self) -> None:
        now = time.monotonic()
        for wire, exchange in list(self._active.items()):
            if exchange.wants_data() and now >= exchange.silent_at():
                exchange.ended(Unreachable(f"nothing came from {self._client.url} for {SILENCE_S:g} s"), True, now)
                self._end_if_over(wire, exchange)
