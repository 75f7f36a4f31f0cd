"""Makes the connections of the blocking client."""
from __future__ import annotations

import socket
import ssl

from ._connection import Wire
from ._errors import FantailError, Unreachable
from ._target import CONNECT_S, Target


class TlsWire(Wire):
    _blocked = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

    def has_pending(self) -> bool:
        return isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0


def dial(target: Target) -> Wire:
    """Connects. Each step blocks for at most CONNECT_S. Raises an Unreachable or a TlsError."""
    connected = None
    try:
        connected = _connect(target)
        if target.proxy:
            _open_tunnel(target, connected)
        if not target.context or not target.tls:
            return Wire(connected)
        connected = target.context.wrap_socket(connected, server_hostname=target.host)
        return TlsWire(connected)
    except (OSError, FantailError) as error:
        if connected:
            connected.close()
        raise target.explain(error) from error


def _connect(target: Target) -> socket.socket:
    if target.path is None:
        connected = socket.create_connection(target.address, CONNECT_S)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return connected
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connected.settimeout(CONNECT_S)
        connected.connect(target.path)
    except BaseException:
        connected.close()
        raise
    return connected


def _open_tunnel(target: Target, connected: socket.socket) -> None:
    assert target.proxy
    connected.sendall(target.proxy.request(target.tunnel_authority))
    answer = b""
    while not target.proxy.read(answer):
        data = connected.recv(4096)
        if not data:
            raise Unreachable("the proxy has closed the connection")
        answer += data
