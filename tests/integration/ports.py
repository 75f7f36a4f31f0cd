"""Ports that belong to a test until its end.

The kernel may give a free port to any other program on the machine, even if a program of the test has just used it. Then
a test that starts a program there again would fail, and a test that expects a refused connection would reach another
program. So the harness reserves the port first and keeps it:

    port = HeldPort()       # a free port of 127.0.0.1, reserved until close()
    port.number

It is reserved by a socket that is bound and never listens. Until a program listens there, connections are refused. A
program can listen there if it sets SO_REUSEADDR, as every server does. The kernel chooses this port for no other socket,
neither to listen nor to connect from.
"""
import errno
import socket


def is_listened_on(port, host="127.0.0.1"):
    """Returns whether a program listens on the port. Makes no connection.

    A killed worker can seem to listen for a moment: a task process that it was just starting still has the sockets of
    the worker, until the process runs its program or ends.
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
            # The option is set after the bind, so no other socket had the port before. Now a program that sets the same
            # option can share the port.
            self._socket.bind((host, 0))
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        except OSError:
            self._socket.close()
            raise
        self.number = self._socket.getsockname()[1]

    def close(self):
        self._socket.close()
