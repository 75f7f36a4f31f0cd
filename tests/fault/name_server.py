"""A name server for a test. It listens on port 53 of a loopback address, in the network namespace of the test.

    names = NameServer()                # or NameServer(cache_s=30): it answers from a cache, as cluster DNS does
    names.set("workers.test", ["127.0.1.1"])

private_network.use_resolver() makes the programs of the test use this server.
"""
import socket
import struct
import threading
import time

A = 1


class NameServer:
    """Answers A queries with the addresses of the name, and AAAA queries with no addresses."""

    def __init__(self, cache_s=0):
        self.cache_s = cache_s
        self.records, self.cache = {}, {}  # cache: name -> when the name was cached, and its addresses
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self._run, daemon=True).start()

    def set(self, name, addresses):
        """Changes the records now. A cached answer stays unchanged until it expires."""
        self.records[name] = list(addresses)

    def cached(self, name):
        """Returns the addresses that a query for this name gets now."""
        return self._look_up(name)

    def refill(self):
        """Replaces all cached answers with the current records, which then stay cached for cache_s seconds."""
        self.cache = {name: (time.monotonic(), list(addresses)) for name, addresses in self.records.items()}

    def _look_up(self, name):
        since, addresses = self.cache.get(name, (None, None))
        now = time.monotonic()
        if since is None or now - since >= self.cache_s:
            addresses = list(self.records.get(name, []))
            self.cache[name] = (now, addresses)
        return addresses

    def _run(self):
        while True:
            try:
                question, peer = self.socket.recvfrom(512)
                self.socket.sendto(self._answer(question), peer)
            except OSError:
                return

    def _answer(self, question):
        at, labels = 12, []
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += question[at] + 1
        kind = struct.unpack("!H", question[at + 1:at + 3])[0]
        known = self._look_up(".".join(labels).lower())
        addresses = known if kind == A else []
        code = 0 if known else 3
        head = question[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(addresses), 0, 0)
        records = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", A, 1, 1, 4) + socket.inet_aton(a) for a in addresses)
        return head + question[12:at + 5] + records
