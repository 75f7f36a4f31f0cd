"""The events of a durable job: GET /v1/jobs/{id}/events."""
import http.client
import json

import fantail_testing as ft
from fantail_testing import main, wait_until
from test_durable_results import DurableTest


def checked(kind, event_id, document):
    """Checks that the id, the counts and the errors of the event agree, and returns the event."""
    counts = document["counts"]
    failed = counts["failed"] + counts["cancelled"]
    assert sum(document["errors"].values()) == failed, document
    assert event_id.split("-")[3] == str(counts["succeeded"] + failed), (event_id, document)
    return kind, event_id, document


class Events:
    """A stream of server-sent events that is read event by event."""

    def __init__(self, client, job, last_id=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", client.coordinator.port, timeout=60)
        headers = {"Last-Event-ID": last_id} if last_id else {}
        self.connection.request("GET", client.url(f"/{job}/events"), headers=headers)
        self.response = self.connection.getresponse()

    def event(self):
        """Returns (kind, id, data) of the next event, or None at the end of the stream."""
        fields = {}
        while line := self.response.readline().decode():
            name, _, value = line.rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif "event" in fields:
                return checked(fields["event"], fields["id"], json.loads(fields["data"]))
            else:
                fields = {}
        return None

    def events(self):
        return list(iter(self.event, None))

    def until(self, kind, accept=lambda data: True):
        while event := self.event():
            if event[0] == kind and accept(event[2]):
                return event
        raise AssertionError(f"the stream has ended without {kind}")

    def close(self):
        self.response.close()
        self.connection.close()


class Watching(DurableTest):
    def test_several_watchers_see_progress_and_the_end(self):
        client = self.start_store([self.held_worker()])
        job = client.submit({"task": "held", "items": [0, 1, 2], "chunk_size": 1})
        self.assertEqual(client.ask("HEAD", f"/{job}/events").status, 200)
        watchers = [Events(client, job) for _ in range(3)]
        for watcher in watchers:
            self.assertEqual(watcher.response.status, 200)
            self.assertEqual(watcher.response.headers.get_content_type(), "text/event-stream")
            self.assertEqual(watcher.response.headers["X-Accel-Buffering"], "no")
            self.assertEqual(watcher.response.headers["Fantail-Job"], job)
            self.assertEqual(watcher.event()[0], "status")
        self.release(0)
        for watcher in watchers:
            watcher.until("progress", lambda data: data["counts"]["succeeded"] == 1)
        self.release(1, 2)
        for watcher in watchers:
            kind, _, data = watcher.events()[-1]
            self.assertEqual((kind, data["status"], data["counts"]["succeeded"]), ("end", "succeeded", 3))
            watcher.close()

    def test_a_watcher_resumes_after_the_coordinator_was_killed(self):
        worker = self.held_worker()
        client = self.start_store([worker])
        job = client.submit({"task": "held", "items": [0, 1]})
        watcher = Events(client, job)
        self.release(0)
        last_id = watcher.until("progress")[1]
        client.coordinator.kill()
        watcher.close()
        client = self.start_store([worker])
        watcher = Events(client, job, last_id)
        self.release(1)
        events = watcher.events()
        self.assertNotIn(last_id, [event[1] for event in events])
        self.assertEqual((events[-1][0], events[-1][2]["status"]), ("end", "succeeded"))
        watcher.close()
        watcher = Events(client, job, events[-1][1])
        self.assertEqual(watcher.response.status, 204)
        watcher.close()

    def test_each_event_has_the_counts_and_errors_of_one_moment(self):
        client = self.start_store([self.worker()])
        job = client.submit({"task": "sleep", "items": [0.01, "x"] * 150, "chunk_size": 1, "max_concurrency": 2})
        watcher = Events(client, job)
        events = watcher.events()  # event() checks each of them
        self.assertEqual(events[-1][2]["counts"]["failed"], 150)
        watcher.close()

    def test_a_job_that_has_ended_has_one_event(self):
        client = self.start_store([self.worker()])
        job = client.submit({"task": "square", "items": [1]})
        client.end(job)
        watcher = Events(client, job)
        self.assertEqual([event[0] for event in watcher.events()], ["end"])
        watcher.close()

    def test_a_drain_ends_the_stream_without_an_end(self):
        client = self.start_store([self.held_worker()], "--drain-s", "120")
        job = client.submit({"task": "held", "items": [0]})
        watcher = Events(client, job)
        wait_until(lambda: client.status(job)["status"] == "running", "the job")
        client.coordinator.send_signal(ft.signal.SIGTERM)
        self.assertNotIn("end", [event[0] for event in watcher.events()])
        watcher.close()
        self.release(0)
        self.assertEqual(client.coordinator.wait(), 0)

    def test_jobs_that_do_not_exist(self):
        client = self.start_store([self.worker()])
        self.assertEqual(client.ask("GET", "/0195f2c4-0000-7000-8000-000000000001/events").status, 404)
        self.assertEqual(client.ask("GET", "/" + "x" * 100 + "/events").status, 404)
        self.assertEqual(client.ask("GET", "/x/events?from=1").status, 400)


if __name__ == "__main__":
    main()
