"""Two small servers for tests of clients: a load balancer, and a proxy for https. Standard library only."""
import contextlib
import socket
import threading


def _copy(source, sink):
    """Copies bytes until one of the two connections ends, and then ends both connections."""
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


class _Server:
    def __init__(self, test):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.count = 0  # accepted connections
        self._sockets = [self._listener]
        thread = threading.Thread(target=self._serve, daemon=True)
        thread.start()
        test.addCleanup(self._close)

    def _close(self):
        for end in list(self._sockets):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                self.count += 1
                self._sockets.append(client)
                threading.Thread(target=self._handle, args=(client,), daemon=True).start()

    def _join(self, client, server):
        self._sockets.append(server)
        threading.Thread(target=_copy, args=(server, client), daemon=True).start()
        _copy(client, server)

    def _handle(self, client):
        raise NotImplementedError


class Balancer(_Server):
    """Passes each connection to the next one of `ports` that accepts it. If no port accepts the connection, closes
    it."""

    def __init__(self, test, ports):
        self.ports = list(ports)
        self._next = 0
        super().__init__(test)
        self.url = f"http://127.0.0.1:{self.port}"

    def _handle(self, client):
        for _ in self.ports:
            self._next += 1
            with contextlib.suppress(OSError):
                server = socket.create_connection(("127.0.0.1", self.ports[self._next % len(self.ports)]))
                self._join(client, server)
                return
        client.close()


class ConnectProxy(_Server):
    """Opens tunnels (CONNECT). `asked` has the request lines. If `status` is not 200, refuses each request with this
    status."""

    def __init__(self, test, status=200):
        self.asked = []
        self._status = status
        super().__init__(test)
        self.url = f"http://127.0.0.1:{self.port}"

    def _handle(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            data = client.recv(4096)
            if not data:
                return
            head += data
        line = head.split(b"\r\n")[0].decode()
        self.asked.append(line)
        client.sendall(f"HTTP/1.1 {self._status} Said\r\n\r\n".encode())
        if self._status == 200:
            host, _, port = line.split(" ")[1].rpartition(":")
            self._join(client, socket.create_connection((host, int(port))))
        else:
            client.shutdown(socket.SHUT_RDWR)
