"""Faults of a PostgreSQL server that stores durable jobs. Each fault is shown in the metrics and in the log. During each
fault, durable jobs wait, nothing is lost, and all other work continues."""
import os
import shutil
import signal
import subprocess
import unittest

import postgres
import replicas
from certificates import Authority
from fantail_testing import descendants, main, metric_sum, metrics, read_stat, request, wait_until, write_file
from replicas import ITEMS
from slow_link import SlowLink

PASSWORD_RULES = "host all fantail 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"


class BadDaysTest(replicas.ReplicasTest):
    def setUp(self):
        super().setUp()
        self.admin_url = self.url  # the URL that the test uses; coordinators may get another URL

    def run_job(self, items=ITEMS):
        """Submits a job, and returns its id when some of its answers have been recorded."""
        job_id = self.submit({"task": "counts", "items": list(range(items))})
        self.wait_for_some(items // 10)
        return job_id

    def wait_for_state(self, *states):
        return wait_until(lambda: (s := self.state(self.coordinators[0])) in states and s, f"one of the states {states}")

    def assert_only_durable_jobs_wait(self, state, status=503, words=()):
        coordinator = self.coordinators[0]
        self.wait_for_state(state)
        answer = self.post({"task": "counts", "items": [1]})
        self.assert_problem(answer, status, words=("the job store cannot be used", *words))
        self.assertEqual("Retry-After" in answer.headers, status == 503)
        self.assertEqual(request(coordinator.port, "GET", "/readyz").status, 200)
        job = request(coordinator.port, "POST", "/v1/jobs", b'{"task":"counts","items":[1,2]}').json
        self.assertEqual(job["results"], [2, 4])
        told = [line for line in coordinator.log_lines() if line["msg"] == "the job store cannot be used"]
        self.assertIn(state, [line["state"] for line in told])
        self.assertTrue(all(line["why"] for line in told), told)
        return told[-1]

    def assert_goes_on(self, *job_ids, items=ITEMS):
        self.wait_for_state("ready")
        for job_id in job_ids:
            self.assert_all_right(job_id, 0, items)
            self.assert_each_once(job_id, items)

    def end_connections(self, what="true"):
        self.sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                 f" WHERE application_name = 'fantail-coordinator' AND {what}")

    def own_user(self, password="first"):
        """Makes the coordinators use a database user that is not a superuser, and that owns the database."""
        self.sql(f"CREATE USER jobs PASSWORD '{password}'")
        self.sql(f"ALTER DATABASE {self.url.rpartition('/')[2]} OWNER TO jobs")
        self.url = self.url.replace("fantail@", f"jobs:{password}@")

    def sql(self, text):
        return self.server.query(self.admin_url, text)


class Refusals(BadDaysTest):
    def test_a_killed_server(self):
        self.start_all(1)
        job_id = self.run_job()
        self.server.stop(signal.SIGKILL)
        self.assert_only_durable_jobs_wait("unreachable")
        wait_until(lambda: not [pid for pid in descendants(os.getpid()) if (read_stat(pid) or "?")[-1] == "postgres"],
                   "the end of its other processes")
        self.server.start()
        self.assert_goes_on(job_id)

    def test_an_outage_is_logged_at_its_start_and_its_end(self):
        self.start_all(1)
        job_id = self.run_job()
        coordinator = self.coordinators[0]
        begins = ("cannot look for durable jobs", "a durable job waits for the job store")
        ends = ("the coordinator looks for durable jobs again", "a durable job continues after waiting for the job store")
        self.server.stop(signal.SIGKILL)

        def counts(messages):
            logged = [line["msg"] for line in coordinator.log_lines()]
            return [logged.count(message) for message in messages]

        wait_until(lambda: all(counts(begins)), "the start of the outage")
        failed = metric_sum(metrics(coordinator), "fantail_store_failed_calls_total")
        wait_until(lambda: metric_sum(metrics(coordinator), "fantail_store_failed_calls_total") > failed + 8, "more failures")
        self.assertLessEqual(max(counts(begins)), 3)  # one for each kind of call of the job, not one for each failure
        self.assertEqual(counts(ends), [0, 0])
        self.server.start()
        self.assert_goes_on(job_id)
        wait_until(lambda: all(counts(ends)), "the end of the outage")

    def test_a_password_that_was_changed(self):
        self.own_user()
        self.server.admit(PASSWORD_RULES)
        self.server.reload()
        self.start_all(1)
        job_id = self.run_job()
        self.sql("ALTER USER jobs PASSWORD 'second'")
        self.end_connections()
        line = self.assert_only_durable_jobs_wait("no_login", words=("does not admit",))
        self.assertIn("28P01", line["why"])
        write_file(os.path.join(self.folder, "store-url"), self.url.replace("first", "second"))
        self.assert_goes_on(job_id)
        for word in ("first", "second"):
            self.assertNotIn(f":{word}", self.coordinators[0].stderr())

    def test_a_schema_that_is_newer(self):
        self.start_all(1)
        job_id = self.run_job()
        known = self.sql("SELECT version, oldest FROM fantail.schema_version").split("|")
        self.sql("UPDATE fantail.schema_version SET version = 99, oldest = 98")
        self.end_connections()
        line = self.assert_only_durable_jobs_wait("unfit", 500, ("schema 99", "use a newer fantail"))
        self.assertEqual(line["level"], "error")
        self.sql(f"UPDATE fantail.schema_version SET version = {known[0]}, oldest = {known[1]}")
        self.assert_goes_on(job_id)

    def test_a_newer_schema_that_only_readers_have_seen_ends_no_job(self):
        """The coordinator's connection for writes was opened before the schema changed, but its connections for reads are
        opened afterwards. So the coordinator can claim jobs, but cannot read their blocks."""
        self.start_all(1)
        self.assert_all_right(self.run_job(20), 0, 20)
        known = self.sql("SELECT version, oldest FROM fantail.schema_version").split("|")
        self.sql("UPDATE fantail.schema_version SET version = 99, oldest = 98")
        self.end_connections("query LIKE 'SELECT %'")
        job_id = self.submit({"task": "counts", "items": list(range(ITEMS))})
        wait_until(lambda: "a durable job waits for the job store" in self.coordinators[0].stderr()
                   or self.sql("SELECT count(*) FROM fantail.job WHERE state = 'failed'") == "1", "a read that is refused")
        self.assertEqual(self.sql(f"SELECT state FROM fantail.job WHERE id = '{job_id}'"), "running")
        self.sql(f"UPDATE fantail.schema_version SET version = {known[0]}, oldest = {known[1]}")
        self.assert_goes_on(job_id)


class Crowded(BadDaysTest):
    server_settings = "max_connections = 12\n"

    def test_a_server_without_a_connection_left(self):
        self.own_user()
        self.start_all(1)
        job_id = self.run_job()
        others = []
        self.addCleanup(lambda: [other.kill() or other.wait() for other in others])

        def is_crowded():
            psql = os.path.join(postgres.programs(), "psql")
            others.append(subprocess.Popen([psql, "-X", "-d", self.url, "-c", "SELECT pg_sleep(600)"],
                                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            if len(others) % 12 == 0:
                self.end_connections()
            return self.state(self.coordinators[0]) == "crowded"
        wait_until(is_crowded, "a server that is full")
        line = self.assert_only_durable_jobs_wait("crowded", words=("no connection left",))
        self.assertIn("53300", line["why"])
        for other in others:
            other.kill()
        self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%'"
                 " AND pid <> pg_backend_pid()")
        self.assert_goes_on(job_id)


class Failover(BadDaysTest):
    def standby(self):
        standby = replicas.TestServer(self, self.server)
        standby.start()
        wait_until(lambda: self.sql("SELECT state FROM pg_stat_replication") == "streaming", "a standby that follows")
        return standby

    def replace_server(self, standby):
        """Stops the primary, and starts the standby at the address of the primary. The standby is not promoted: it is
        still read-only."""
        self.server.stop(signal.SIGQUIT)
        standby.move_to(self.server)
        self.server = standby
        self.server.start()

    def test_nothing_is_lost_when_a_synchronous_standby_takes_over(self):
        self.start_all(2)
        standby = self.standby()
        self.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.server.reload()
        wait_until(lambda: self.sql("SELECT sync_state FROM pg_stat_replication") == "sync", "synchronous commits")
        job_ids = [self.run_job(), self.submit({"task": "counts", "items": list(range(ITEMS))}, 1)]
        self.replace_server(standby)
        self.assert_only_durable_jobs_wait("read_only", words=("read-only",))
        self.sql("SELECT pg_promote()")
        self.assert_goes_on(*job_ids)

    def test_what_an_asynchronous_standby_lacks_runs_again(self):
        self.start_all(2)
        standby = self.standby()
        job_id = self.run_job()
        standby.stop()
        lacking = self.submit({"task": "counts", "items": [1, 2, 3]})
        self.wait_for_some(ITEMS // 2)
        self.replace_server(standby)
        self.assert_only_durable_jobs_wait("read_only")
        self.sql("SELECT pg_promote()")
        self.assert_goes_on(job_id)
        self.assertEqual(request(self.coordinators[0].port, "GET", f"/v1/jobs/{lacking}").status, 404)


class Slow(BadDaysTest):
    TIME_LIMIT_S = 300

    def setUp(self):
        super().setUp()
        self.link = SlowLink(self.server.port.number)
        self.addCleanup(self.link.close)
        self.url = self.url.replace(f":{self.server.port.number}/", f":{self.link.port}/")

    def test_a_second_for_each_query(self):
        """Each query takes a second, but all transactions and all jobs end."""
        self.start_all(2)
        job_ids = [self.submit({"task": "counts", "items": list(range(ITEMS))}, n) for n in range(2)]
        self.link.delay_s = 1
        wait_until(lambda: self.sql("SELECT count(*) FROM fantail.job WHERE state = 'succeeded'") == "2",
                   "the end of the jobs", self.TIME_LIMIT_S)
        self.link.delay_s = 0
        self.assert_goes_on(*job_ids)

    def test_a_server_that_does_not_answer(self):
        self.start_all(1)
        job_id = self.run_job()
        self.link.delay_s = 600
        self.assert_only_durable_jobs_wait("slow", words=("in time",))
        self.link.delay_s = 0
        self.assert_goes_on(job_id)


    def test_a_drain_does_not_wait_for_a_commit_that_is_not_confirmed(self):
        self.start_all(1)
        self.run_job()
        self.link.cut_at = b"COMMIT"
        self.wait_for_state("unreachable")
        coordinator = self.coordinators[0]
        coordinator.stop()
        ends = [line["msg"] for line in coordinator.log_lines() if "the drain" in line["msg"]]
        self.assertEqual(ends, ["the drain gives up a durable job, because nothing can be recorded"])


@unittest.skipUnless(shutil.which("openssl"), "openssl is missing")
class Tls(BadDaysTest):
    def install(self, authority, hosts):
        """Installs a certificate of this authority. After the next reload, the server uses this certificate for new
        connections."""
        cert, key = authority.issue("server", hosts)
        for source, name in ((cert, "server.crt"), (key, "server.key")):
            path = os.path.join(self.server.data, name)
            shutil.copyfile(source, path)
            os.chmod(path, 0o600)
            if self.server.user:
                os.chown(path, self.server.user.pw_uid, self.server.user.pw_gid)

    def psql_complaint(self):
        return subprocess.run([os.path.join(postgres.programs(), "psql"), "-X", "-d", self.url, "-c", "SELECT 1"],
                              capture_output=True, text=True).stderr

    def test_verify_full_accepts_only_the_right_authority_and_name(self):
        right, wrong = (Authority(os.path.join(self.folder, name), name) for name in ("right", "wrong"))
        self.install(right, ("localhost",))
        self.server.configure("ssl = on\n")
        self.server.reload()
        self.url = self.url.replace("127.0.0.1", "localhost") + f"?sslmode=verify-full&sslrootcert={right.ca}"
        self.start_all(1)
        self.assertEqual(self.sql("SELECT count(*), bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
                                  " WHERE application_name = 'fantail-coordinator'"), "2|t")
        job_id = self.run_job()
        for authority, host, why in ((wrong, "localhost", "certificate verify failed"),
                                     (right, "elsewhere", 'does not match host name "localhost"')):
            self.install(authority, (host,))
            self.server.reload()
            wait_until(lambda why=why: why in self.psql_complaint(), "the other certificate")
            self.end_connections()
            line = self.assert_only_durable_jobs_wait("no_tls", words=("no TLS",))
            self.assertIn(why, line["why"])
            self.install(right, ("localhost",))
            self.server.reload()
            self.wait_for_state("ready")
        self.assert_goes_on(job_id)


if __name__ == "__main__":
    main()
