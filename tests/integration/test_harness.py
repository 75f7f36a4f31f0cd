"""The harness itself: what every other test relies on."""
import errno
import socket
import struct

import fantail_testing as ft
from fantail_testing import FantailTest

IP_LOCAL_PORT_RANGE = 51  # of Linux 6.3 and later; Python has no name for it


class Ports(FantailTest):
    def error_of(self, act):
        try:
            act()
        except OSError as e:
            return e.errno
        return None

    def only(self, port):
        """A socket that gets no other number than this one from the kernel."""
        s = socket.socket()
        self.addCleanup(s.close)
        try:
            s.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, struct.pack("I", port << 16 | port))
        except OSError:
            self.skipTest("this kernel cannot limit the numbers that a socket may get")
        return s

    def test_a_held_port_is_given_to_nobody_who_asks_for_a_free_one(self):
        port = self.free_port()
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        self.assertEqual(self.error_of(lambda: self.only(port).bind(("127.0.0.1", 0))), errno.EADDRINUSE)
        self.assertEqual(self.error_of(lambda: self.only(port).connect(listener.getsockname())), errno.EADDRNOTAVAIL)
        # The same number is to be had where it is not held.
        self.assertIsNone(self.error_of(lambda: self.only(port).bind(("127.77.77.77", 0))))

    def test_the_ports_of_a_killed_worker_are_its_own_until_it_comes_back(self):
        worker = self.worker()
        for _ in range(3):
            worker.kill()
            for port in (worker.port, worker.admin_port):
                self.assertEqual(self.error_of(lambda: ft.request(port, "GET", "/livez")), errno.ECONNREFUSED)
                self.assertEqual(self.error_of(lambda: self.only(port).bind(("127.0.0.1", 0))), errno.EADDRINUSE)
            worker = self.worker(port=worker.port)
            self.assertEqual(ft.request(worker.port, "GET", "/livez").status, 200)


if __name__ == "__main__":
    ft.main()
