"""Carries out a run (_core/run.py) in an event loop: one asyncio task for each request that is under way, and one that
reads the items."""
from __future__ import annotations

import asyncio
import socket
import time
from typing import Any, AsyncIterable, Awaitable, Callable, Iterable, Iterator, Optional, Union

from ._core.run import SILENCE_S, Exchange, Run
from ._errors import FantailError, Unreachable
from ._remote import gather
from ._target import CONNECT_S, Target

_READ_BYTES = 1 << 18
_MOST_IDLE_S = 30.0  # as in _connection.py

Items = Union[Iterable[Any], AsyncIterable[Any]]


class Wire:
    def __init__(self, target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.target = target
        self.used_at = time.monotonic()

    def is_usable(self) -> bool:
        fresh = time.monotonic() - self.used_at < _MOST_IDLE_S
        return fresh and not self.reader.at_eof() and not self.writer.is_closing() and self.reader.exception() is None

    def close(self) -> None:
        """Closes the connection, which cancels its current request."""
        self.writer.transport.abort()


async def dial(target: Target) -> Wire:
    """Connects to the target. Raises an Unreachable or a TlsError."""
    connecting = asyncio.ensure_future(_connect(target))
    try:
        # Before Python 3.12, wait_for() may lose a cancellation. wait() does not.
        await asyncio.wait({connecting}, timeout=CONNECT_S)
    except asyncio.CancelledError:
        connecting.add_done_callback(_close_unused)
        connecting.cancel()
        raise
    if not connecting.done():
        connecting.add_done_callback(_close_unused)
        connecting.cancel()
        raise Unreachable(f"{target.url} cannot be reached: no answer for {CONNECT_S:g} s")
    try:
        return connecting.result()
    except (OSError, FantailError) as error:
        raise target.explain(error) from error


def _close_unused(connecting: "asyncio.Future[Wire]") -> None:
    if not connecting.cancelled() and not connecting.exception():
        connecting.result().close()


async def _connect(target: Target) -> Wire:
    if target.path is not None:
        return Wire(target, *await asyncio.open_unix_connection(target.path, limit=_READ_BYTES))
    context = target.context if target.tls else None
    if target.proxy:
        tunnel = await _open_tunnel(target)
        streams = await asyncio.open_connection(sock=tunnel, ssl=context, server_hostname=target.host, limit=_READ_BYTES)
    else:
        streams = await asyncio.open_connection(target.host, target.port, ssl=context, limit=_READ_BYTES)
    connected = streams[1].get_extra_info("socket")
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return Wire(target, *streams)


async def _open_tunnel(target: Target) -> socket.socket:
    assert target.proxy
    loop = asyncio.get_running_loop()
    connected = await _connect_to_one(await loop.getaddrinfo(*target.address, type=socket.SOCK_STREAM))
    try:
        await loop.sock_sendall(connected, target.proxy.request(target.tunnel_authority))
        answer = b""
        while not target.proxy.read(answer):
            data = await loop.sock_recv(connected, 4096)
            if not data:
                raise Unreachable("the proxy has closed the connection")
            answer += data
    except BaseException:
        connected.close()
        raise
    return connected


async def _connect_to_one(addresses: Iterable[Any]) -> socket.socket:
    failure: Optional[OSError] = None
    for family, kind, protocol, _, address in addresses:
        unconnected = socket.socket(family, kind, protocol)
        unconnected.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(unconnected, address)
            return unconnected
        except OSError as error:
            failure = error
            unconnected.close()
        except BaseException:
            unconnected.close()
            raise
    raise failure or OSError("the name has no address")


class Driver:
    """Use it with `async with`. The end of the block cancels the requests that are under way."""

    def __init__(self, run: Run, take_wire: Callable[[], Awaitable[Wire]], keep_wire: Callable[[Wire], None], url: str,
                 items: Optional[Items], limit: Optional[asyncio.Semaphore] = None) -> None:
        """limit: limits the number of requests of all drivers that share this semaphore."""
        self._run = run
        self._take_wire = take_wire
        self._keep_wire = keep_wire
        self._url = url
        self._limit = limit
        self._wake = asyncio.Event()  # something has happened
        self._room = asyncio.Event()  # the caller has taken results
        self._tasks: set[asyncio.Task[None]] = set()
        self._reading: dict[Exchange, Wire] = {}
        self._failure: Optional[BaseException] = None  # a mistake in this package
        if items is not None:
            self._start(self._feed(items))

    async def __aenter__(self) -> "Driver":
        return self

    async def __aexit__(self, *_: Any) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def next_values(self) -> Optional[list[Any]]:
        """Returns the next results; None if there are no more. Raises the error of the run."""
        run = self._run
        while True:
            self._wake.clear()
            values = run.take()
            self._room.set()
            if values:
                self._begin_exchanges()
                return values
            if run.error or self._failure:
                raise run.error or self._failure  # type: ignore[misc]
            if run.is_over:
                return None
            self._begin_exchanges()
            if run.error:
                continue
            await self._wait(self._patience_s())
            self._end_silent()

    async def _wait(self, timeout_s: Optional[float]) -> None:
        loop = asyncio.get_running_loop()
        timer = None if timeout_s is None else loop.call_later(timeout_s, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            if timer:
                timer.cancel()

    def _patience_s(self) -> Optional[float]:
        times = [exchange.silent_at() for exchange in self._reading]
        wake_at = self._run.wake_at()
        times += [] if wake_at is None else [wake_at]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _begin_exchanges(self) -> None:
        while True:
            exchange = self._run.next_exchange(time.monotonic())
            if exchange is None:
                return
            self._start(self._carry_out(exchange))

    def _start(self, coroutine: Any) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)

    def _task_ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            self._failure = task.exception()
        self._wake.set()

    # ---- items ----

    async def _feed(self, items: Items) -> None:
        run = self._run
        try:
            if isinstance(items, AsyncIterable):
                async for item in items:
                    run.add_item(item)
                    self._wake.set()
                    await self._until(lambda: run.wants_items)
                run.end_items()
            else:
                await self._feed_all(iter(items))
        except Exception as error:
            run.end_items(error)

    async def _feed_all(self, items: Iterator[Any]) -> None:
        while True:
            await self._until(lambda: self._run.wants_items)
            ended = gather(self._run, items)
            self._wake.set()
            if ended:
                return
            await asyncio.sleep(0)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._room.clear()
            await self._room.wait()

    # ---- exchanges ----

    async def _carry_out(self, exchange: Exchange) -> None:
        if self._limit is None:
            await self._exchange(exchange)
        else:
            async with self._limit:
                await self._exchange(exchange)
        self._room.set()

    async def _exchange(self, exchange: Exchange) -> None:
        try:
            wire = await self._take_wire()
        except FantailError as error:
            exchange.ended(error, False, time.monotonic())
            return
        try:
            await self._talk(wire, exchange)
            if exchange.keep_alive and not wire.writer.transport.get_write_buffer_size():
                wire.used_at = time.monotonic()
                self._keep_wire(wire)
                return
        except BaseException:
            wire.close()
            raise
        wire.close()

    async def _talk(self, wire: Wire, exchange: Exchange) -> None:
        size = len(exchange.request)
        wire.writer.write(exchange.request)
        try:
            while not exchange.is_over:
                await self._until(exchange.wants_data)
                exchange.reading(time.monotonic())
                self._reading[exchange] = wire
                data = await wire.reader.read(_READ_BYTES)
                del self._reading[exchange]
                if not data:
                    raise ConnectionError("the coordinator has closed the connection")
                exchange.received(data, time.monotonic())
                self._wake.set()
        except OSError as error:
            was_sent = wire.writer.transport.get_write_buffer_size() < size
            exchange.ended(wire.target.explain(error), was_sent, time.monotonic())
        finally:
            self._reading.pop(exchange, None)

    def _end_silent(self) -> None:
        now = time.monotonic()
        for exchange, wire in list(self._reading.items()):
            if now >= exchange.silent_at():
                exchange.ended(Unreachable(f"nothing came from {self._url} for {SILENCE_S:g} s"), True, now)
                wire.close()  # wakes the task that reads
