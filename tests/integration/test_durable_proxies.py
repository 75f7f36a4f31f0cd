"""Durable jobs are followed through real proxies: no event and no line is delayed by a proxy."""
import contextlib
import http.client
import json
import types

import fantail_testing as ft
import proxies
import test_proxies
from fantail_testing import main, metric_sum, metrics, wait_until
from test_durable_events import Events
from test_durable_results import Client, DurableTest, Follower

STREAM_HEADERS = {"Accept-Encoding": "gzip, deflate"}  # as browsers send it


class Behind(Client):
    """Sends requests about durable jobs to a coordinator, through the proxy in front of it."""

    def __init__(self, test, port, address=lambda path: path):
        super().__init__(test, types.SimpleNamespace(port=port))
        self.address = address

    def url(self, path):
        return self.address(super().url(path))


def next_result(follower):
    """Returns the next line with a value. If there is no such line, returns the end line."""
    return next(line for line in iter(follower.line, None) if line["type"] in ("result", "end"))


class FollowTest(test_proxies.ProxyTest):
    """A coordinator with a job store and one worker, and a proxy in front of it. One heartbeat per second is not enough
    to fill the buffer of a proxy while a test waits. So a line that a proxy holds back makes the test fail."""

    heartbeat_s = 1

    @classmethod
    def make_fleet_options(cls, keeper):
        options = super().make_fleet_options(keeper)
        options["coordinator_arguments"] += ("--store", f"sqlite:{keeper.folder}/jobs.db")
        return options

    def setUp(self):
        super().setUp()
        self.client = Behind(self, self.port, self.url)

    def jobs(self):
        return self.shared.request("GET", "/v1/jobs?status=pending,running").json["jobs"]

    def submit(self):
        return self.client.submit({"task": "step", "items": self.names})

    def follow(self, reader, job, *arguments):
        """Returns a stream of events or results, which ends with the test."""
        stream = reader(self.client, job, *arguments)
        self.addCleanup(stream.close)
        return stream

    def wait_until_alone(self):
        """Waits until the coordinator knows that no client follows a job any more."""
        wait_until(lambda: metric_sum(metrics(self.shared.coordinator), "fantail_http_requests_in_flight") == 0,
                   "the end of the request")

    def wait_for_count(self, job, count):
        wait_until(lambda: self.client.status(job)["counts"]["succeeded"] == count, f"{count} recorded answers")


class Following:
    """A test opens the gate of an item only after the line or the event of the previous item has arrived."""

    def test_each_line_arrives_before_the_next_item_is_answered(self):
        job = self.submit()
        follower = self.follow(Follower, job)
        for i, name in enumerate(self.names):
            self.open(name)
            self.assertEqual(next_result(follower), {"type": "result", "index": i, "value": name})
        self.assertEqual(next_result(follower)["status"], "succeeded")
        self.assertIsNone(follower.line())

    def test_each_event_arrives_before_the_next_item_is_answered(self):
        job = self.submit()
        watcher = self.follow(Events, job)
        self.assertEqual(watcher.event()[0], "status")
        for i, name in enumerate(self.names[:-1], 1):
            self.open(name)
            watcher.until("progress", lambda document, i=i: document["counts"]["succeeded"] == i)
        self.open(self.names[-1])
        kind, _, document = watcher.events()[-1]
        self.assertEqual((kind, document["status"], document["counts"]["succeeded"]), ("end", "succeeded", len(self.names)))

    def test_heartbeats_of_a_quiet_job_arrive(self):
        job = self.submit()
        wait_until(lambda: self.client.status(job)["status"] == "running", "the job")
        follower, watcher = self.follow(Follower, job), self.follow(Events, job)
        quiet = [json.loads(follower.response.readline())["type"] for _ in range(6)]
        self.assertGreaterEqual(quiet.count("heartbeat"), 3, quiet)
        comments = 0
        while comments < 3:
            line = watcher.response.readline()
            self.assertTrue(line, "the stream has ended")
            comments += line.startswith(b":")
        self.open_all()
        self.assertEqual(watcher.events()[-1][0], "end")

    def test_a_watcher_that_was_cut_off_continues_after_its_last_event(self):
        job = self.submit()
        watcher = self.follow(Events, job)
        self.open(self.names[0])
        last_id = watcher.until("progress")[1]
        watcher.close()
        self.wait_until_alone()  # the proxy does not keep reading for a client that has gone
        self.open(self.names[1])
        self.wait_for_count(job, 2)
        watcher = self.follow(Events, job, last_id)
        kind, next_id, document = watcher.event()
        self.assertNotEqual((kind, next_id), ("end", last_id))
        self.assertEqual(document["counts"]["succeeded"], 2)
        self.open_all()
        events = watcher.events()
        self.assertNotIn(last_id, [event[1] for event in events])
        self.assertEqual(events[-1][0], "end")
        self.assertEqual(self.follow(Events, job, events[-1][1]).response.status, 204)

    def test_a_reader_that_was_cut_off_continues_with_the_next_item(self):
        job = self.submit()
        follower = self.follow(Follower, job)
        self.open(self.names[0])
        self.assertEqual(next_result(follower)["index"], 0)
        follower.close()
        self.wait_until_alone()
        self.open_all()
        follower = self.follow(Follower, job, "?from=1")
        self.assertEqual([next_result(follower).get("index") for _ in self.names], [*range(1, len(self.names)), None])
        self.assertEqual(self.client.end(job)["status"], "succeeded")

    def test_the_headers_forbid_to_hold_back_store_or_change_a_stream(self):
        job = self.submit()
        wanted = {"events": "text/event-stream", "results": ft.NDJSON}
        for name, kind in wanted.items():
            for port in (self.shared.port, self.port):
                with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
                    connection.request("GET", self.url(f"/v1/jobs/{job}/{name}"), headers=STREAM_HEADERS)
                    headers = connection.getresponse().headers
                    self.assertEqual(headers.get_content_type(), kind)
                    self.assertEqual(headers["Cache-Control"], "no-store, no-transform")
                    self.assertIsNone(headers["Content-Encoding"])
                    if port == self.shared.port:
                        self.assertEqual(headers["X-Accel-Buffering"], "no")  # a proxy may remove this header


class StockNginx(Following, FollowTest):
    proxy = "nginx"


class DocumentedNginx(Following, FollowTest):
    proxy, kind = "nginx", "documented"


class StockHaproxy(Following, FollowTest):
    proxy = "haproxy"


class DocumentedHaproxy(Following, FollowTest):
    proxy, kind = "haproxy", "documented"


class StockApache(Following, FollowTest):
    proxy = "apache"


class StockCaddy(Following, FollowTest):
    proxy = "caddy"


class StockVarnish(Following, FollowTest):
    proxy = "varnish"


class StockEnvoy(Following, FollowTest):
    proxy = "envoy"


class StockSquid(test_proxies.ForwardProxy, Following, FollowTest):
    pass


class Restarts(DurableTest):
    """The coordinator of a job is killed and started again. A proxy with its stock configuration is in front of the
    coordinator."""

    def check(self, proxy):
        worker = self.held_worker()
        direct = self.start_store([worker])
        client = Behind(self, proxies.start(self, proxy, direct.coordinator.port))
        job = client.submit({"task": "held", "items": [0, 1], "chunk_size": 1, "max_concurrency": 1})
        watcher, follower = self.readers(client, job)
        self.release(0)
        last_id = watcher.until("progress")[1]
        self.assertEqual(follower.line()["value"], 0)
        direct.coordinator.kill()
        self.assertTrue(follower.is_cut())  # there is no end line
        self.assertNotIn("end", [event[0] for event in self.until_cut(watcher)])
        self.start("fantail-coordinator", *direct.coordinator.argv[1:], ready=True)
        wait_until(lambda: client.ask("GET", f"/{job}").status == 200, "an answer through the proxy")
        watcher, follower = self.readers(client, job, last_id, "?from=1")
        self.release(1)
        self.assertEqual([line.get("value") for line in follower.lines()], [1, None])
        events = watcher.events()
        self.assertNotIn(last_id, [event[1] for event in events])
        self.assertEqual((events[-1][0], events[-1][2]["status"]), ("end", "succeeded"))

    def readers(self, client, job, last_id=None, query=""):
        readers = Events(client, job, last_id), Follower(client, job, query)
        for reader in readers:
            self.addCleanup(reader.close)
        return readers

    def until_cut(self, watcher):
        """Returns the events up to the end of the stream, which may be cut."""
        events = []
        with contextlib.suppress(ConnectionError, http.client.IncompleteRead):
            while event := watcher.event():
                events.append(event)
        return events

    @proxies.needs("nginx")
    def test_readers_continue_through_nginx_after_a_restart(self):
        self.check("nginx")

    @proxies.needs("haproxy")
    def test_readers_continue_through_haproxy_after_a_restart(self):
        self.check("haproxy")


if __name__ == "__main__":
    main()
