"""A TCP link that delays the answers of a server. A test uses it as a database that needs a second for each query.

    link = SlowLink(server_port)
    link.port           clients connect to it
    link.delay_s = 1    from now on
    link.cut_at = b"COMMIT"    after the next message to the server with these bytes, the link closes itself
    link.close()
"""
import contextlib
import socket
import threading

from ports import HeldPort


class SlowLink:
    def __init__(self, server_port):
        self.server_port, self.delay_s, self.cut_at = server_port, 0, None
        self.held, self.closing = HeldPort(), threading.Event()
        self.port = self.held.number
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen()
        self.sockets = [self.listener]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while not self.closing.is_set():
            try:
                client = self.listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self.server_port))
            except OSError:
                return
            self.sockets += (client, server)
            for ends in ((client, server, False), (server, client, True)):
                threading.Thread(target=self.pass_on, args=ends, daemon=True).start()

    def pass_on(self, source, target, is_slow):
        with contextlib.suppress(OSError):
            while piece := source.recv(1 << 20):
                if is_slow and self.delay_s:
                    self.closing.wait(self.delay_s)
                target.sendall(piece)
                if self.cut_at and not is_slow and self.cut_at in piece:
                    self.close()
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.closing.set()
        for end in self.sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self.held.close()
