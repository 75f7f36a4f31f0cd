"""Uploads and answers of 2 GB through real proxies, and the time by which a proxy delays a line."""
import json
import time
import unittest

import fantail_testing as ft
import test_proxies
from fault_testing import SLOW, SLOW_REASON, say

GIB = 1024 * 1024 * 1024

class FullSize(test_proxies.Uploads):
    TIME_LIMIT_S = 900
    late_s = 0.1
    upload_bytes = answer_bytes = 2 * GIB + 10 * 1024 * 1024

    test_a_long_answer_that_is_read_slowly_is_whole = test_proxies.Answers.test_a_long_answer_that_is_read_slowly_is_whole

    @classmethod
    def setUpClass(cls):
        if not SLOW:
            raise unittest.SkipTest(SLOW_REASON)
        super().setUpClass()

    @classmethod
    def make_fleet_options(cls, keeper):
        options = super().make_fleet_options(keeper)
        clock = "import sys, time\nfor line in sys.stdin:\n    time.sleep(1)\n    print(time.time(), flush=True)\n"
        keeper.tasks(clock={"mode": "stream", "command": ["python3", "clock.py"], "envelope": False,
                            "files": {"clock.py": clock}})
        return options

    def test_a_line_a_second_is_hardly_late(self):
        late = []
        with self.stream(json.dumps({"task": "clock", "range": {"stop": 10}}).encode()) as stream:
            for _ in range(10):
                answered = stream.line_of("result")["value"]
                late.append(time.time() - answered)
        say(f"a line a second through {self.proxy} ({self.kind}): at most {max(late) * 1000:.1f} ms late")
        self.assertLess(max(late), self.late_s)


class StockNginx(FullSize, test_proxies.ProxyTest):
    """The stock configuration of nginx refuses uploads of more than 1 MiB."""

    proxy = "nginx"
    upload_bytes = 1024 * 1024 - 65536


class Nginx(FullSize, test_proxies.ProxyTest):
    proxy, kind = "nginx", "documented"


class StockHaproxy(FullSize, test_proxies.ProxyTest):
    """Without `option http-no-delay`, HAProxy sends each chunk with MSG_MORE, and the kernel then waits for 0.2 s."""

    proxy = "haproxy"
    late_s = 0.3


class Haproxy(FullSize, test_proxies.ProxyTest):
    proxy, kind = "haproxy", "documented"


class Caddy(FullSize, test_proxies.ProxyTest):
    proxy = "caddy"


class Apache(FullSize, test_proxies.ProxyTest):
    proxy, kind = "apache", "documented"


class Varnish(FullSize, test_proxies.ProxyTest):
    proxy, kind = "varnish", "documented"


class Envoy(FullSize, test_proxies.ProxyTest):
    proxy, kind = "envoy", "documented"


if __name__ == "__main__":
    ft.main()
