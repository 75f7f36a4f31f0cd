"""The Python package, while coordinators, workers and processes are killed or replaced all the time."""
import random
import threading
import time

import fantail_testing as ft
import python_calls
from balancer import Balancer
from fault_testing import SLOW, FaultTest, say
from test_python_executor import WHY_NOT, setUpModule  # noqa: F401
from test_python_remote import call_task

if not WHY_NOT:
    import fantail

ITEMS = 20000 if SLOW else 2000
PAUSE_S = 0.3
CALLS, PER_CHILD = (100000, 1000) if SLOW else (5000, 100)

TASK = """
import time

def run(item):
    time.sleep(0.002)
    return item * 2
"""


class Storm(threading.Thread):
    """Kills a service every 0.3 s, and starts it again on its ports. Meanwhile, the other services keep running."""

    def __init__(self, test, services):
        super().__init__(daemon=True)
        self.kills, self.failure = 0, None
        self._test, self._services = test, services
        self._is_over = threading.Event()

    def run(self):
        random_source = random.Random(1)
        try:
            while not self._is_over.wait(PAUSE_S):
                victim = random_source.choice(self._services)
                victim.kill()
                ft.wait_until(lambda victim=victim: not ft.is_listened_on(victim.port), "the end of the service")
                name, *arguments = victim.argv
                again = self._test.start(name.rpartition("/")[2], *arguments, ready=True)
                self._services[self._services.index(victim)] = again
                self.kills += 1
        except BaseException as error:
            self.failure = error

    def end(self):
        self._is_over.set()
        if self.ident is not None:  # it has been started
            self.join()


class Storms(FaultTest):
    def start_storm(self, **tasks):
        """Returns the URL of a fleet, and a Storm for its services. The caller starts the storm."""
        folder = self.tasks(**tasks)
        workers = [self.worker(tasks=folder) for _ in range(2)]
        coordinators = [self.coordinator(workers) for _ in range(2)]
        balancer = Balancer(self, [c.port for c in coordinators])
        storm = Storm(self, workers + coordinators)
        self.addCleanup(storm.end)
        return balancer.url, storm

    def check(self, storm, got):
        storm.end()
        self.assertIsNone(storm.failure)
        self.assertEqual(got, [2 * n for n in range(ITEMS)])
        self.assertGreater(storm.kills, 0)
        say(f"{ITEMS} items while services were killed {storm.kills} times")

    def test_a_map_has_each_value_in_order_while_services_are_killed(self):
        url, storm = self.start_storm(double={"json": {"mode": "python", "command": "double:run"}, "files": {"double.py": TASK}})
        storm.start()
        client = fantail.Client(url)
        self.check(storm, list(client.map("double", range(ITEMS), retry={"max_attempts": 100})))

    def test_an_executor_has_each_result_in_order_while_services_are_killed(self):
        url, storm = self.start_storm(**{"python-call": call_task()})
        with fantail.Executor(url=url) as executor:
            storm.start()
            self.check(storm, list(executor.map(lambda n: time.sleep(0.002) or 2 * n, range(ITEMS))))


class Replacements(FaultTest):
    def test_no_call_is_lost_while_processes_are_replaced_and_killed(self):
        with fantail.Executor(2, max_tasks_per_child=PER_CHILD) as executor:
            found = list(executor.map(python_calls.die_at_thousands, range(CALLS), return_exceptions=True))
        killers = [n for n in range(CALLS) if n % 1000 == 500]
        self.assertEqual([n for n, value in enumerate(found) if isinstance(value, fantail.ItemError)], killers)
        self.assertEqual([value for value in found if isinstance(value, int)], [n for n in range(CALLS) if n % 1000 != 500])
        say(f"{CALLS} calls, and a new process after each {PER_CHILD} of them")


if __name__ == "__main__":
    ft.main()
