"""`fantail map` connects to a host name. The coordinator behind this name is replaced by a coordinator at another
address."""
import os
import subprocess
import tempfile
import unittest

import fantail_testing as ft
import private_network
from fantail_testing import wait_until
from fault_testing import FaultTest
from name_server import NameServer

NAME = "coordinator.test"


def setUpModule():
    reason = private_network.enter()
    if reason:
        raise unittest.SkipTest(reason)


class Moved(FaultTest):
    def coordinator_at(self, address, worker):
        return self.start("fantail-coordinator", "--host", address, "--port", 8080, "--admin-port", 0, "--workers",
                          f"static://127.0.0.1:{worker.port}", ready=True)

    def test_a_coordinator_that_was_replaced_is_found_at_its_new_address(self):
        resolver = tempfile.TemporaryDirectory(prefix="fantail-dns-")
        self.addCleanup(resolver.cleanup)
        try:
            private_network.use_resolver(resolver.name)
        except OSError as e:
            self.skipTest(f"resolv.conf cannot be replaced here: {e}")
        names = NameServer(1)
        names.set(NAME, ["127.0.2.1"])
        gate = self.gate()
        worker = self.worker(tasks=self.tasks(gated=gate.task))
        first = self.coordinator_at("127.0.2.1", worker)
        out_path, err_path = (os.path.join(self.folder, f"map.{kind}") for kind in ("stdout", "stderr"))
        with open(out_path, "wb") as out, open(err_path, "wb") as err:
            run = subprocess.Popen([os.path.join(ft.BIN, "fantail"), "map", "gated", "--url", f"http://{NAME}:8080"],
                                   stdin=subprocess.PIPE, stdout=out, stderr=err, env=self.environment())
        self.addCleanup(run.wait)
        self.addCleanup(run.kill)
        run.stdin.write(b"1\n2\n3\n")
        run.stdin.close()
        wait_until(lambda: ft.metric_sum(ft.metrics(worker), "fantail_worker_slots", state="busy") > 0, "a running item")
        first.kill()
        names.set(NAME, ["127.0.2.2"])
        self.coordinator_at("127.0.2.2", worker)
        gate.open()
        self.assertEqual(run.wait(60), 0)
        with open(out_path, encoding="ascii") as out:
            self.assertEqual(out.read(), "1\n2\n3\n")


if __name__ == "__main__":
    ft.main()
