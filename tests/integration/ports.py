"""Ports that belong to a test until its end.

The kernel may give a free port to any other program on the machine, even if a program of the test has just used it. If
another program had the port, a test that starts a program on this port again would fail, and a test that expects a
refused connection would reach the other program. So the harness first reserves the port:

    port = HeldPort()       # a free port of 127.0.0.1, reserved until close()
    port.number

A socket that is bound and never listens reserves the port. Connections are refused until a program listens on the port. A
program can listen on the port if it sets SO_REUSEADDR, as every server does. The kernel does not choose this port for any
other socket.
"""
import errno
import socket


def is_listened_on(port, host="127.0.0.1"):
    """Returns whether a program listens on the port. Makes no connection.

    A killed worker can seem to listen for a short time. If the worker was just starting a task process, the task
    process has copies of the worker's sockets until the task process calls exec or ends.
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
            # bind() without SO_REUSEADDR makes sure that no other socket has the port. SO_REUSEADDR is set after bind(), so
            # that a program that also sets this option can share the port.
            self._socket.bind((host, 0))
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        except OSError:
            self._socket.close()
            raise
        self.number = self._socket.getsockname()[1]

    def close(self):
        self._socket.close()
