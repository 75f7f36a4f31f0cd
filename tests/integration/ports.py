"""Ports that belong to a test until it is over.

A port that was free a moment ago, or that a program of ours has just left, may be given to any other program on the
machine. A test that starts a program there again would fail, and one that expects a refused connection would speak to
a stranger. So the harness takes the port first and keeps it:

    port = HeldPort()       # a free port of 127.0.0.1, ours until close()
    port.number

It is held by a socket that is bound and never listens. Until a program listens there, connections are refused. A
program can listen there if it sets SO_REUSEADDR, as every server does. The kernel gives the number to nobody who asks
for a free port, neither to listen nor to connect from.
"""
import errno
import socket


def is_listened_on(port, host="127.0.0.1"):
    """Whether a program listens there, without a connection to it.

    A killed worker may seem to for a moment longer: a task process that it was just starting has its sockets too, until
    that one has become another program, or has been ended as well.
    """
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((host, port))
        except OSError as e:
            if e.errno != errno.EADDRINUSE:
                raise
            return True
    return False


class HeldPort:
    def __init__(self, host="127.0.0.1"):
        self._socket = socket.socket()
        try:
            # Only after the bind, so that the number is ours alone, and then shared with who asks for it by name.
            self._socket.bind((host, 0))
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        except OSError:
            self._socket.close()
            raise
        self.number = self._socket.getsockname()[1]

    def close(self):
        self._socket.close()
