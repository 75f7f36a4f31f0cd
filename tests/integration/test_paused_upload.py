"""A job ends while its upload is paused. The coordinator reads and drops the rest of the upload, and the client gets
its answer."""

import fantail_testing as ft
from fantail_testing import FantailTest, wait_until


class PausedUpload(FantailTest):
    def test_a_job_that_ends_while_its_upload_is_paused_is_answered(self):
        fleet = self.fleet(processes=1, tasks=ft.EXAMPLE_TASKS)
        items = [{"do": "sleep", "seconds": 1, "padding": "y" * 10000}] * 3000
        answer = fleet.job({"task": "misbehave", "deadline_s": 1, "items": items})
        self.assertEqual(answer.json["status"], "timed_out")
        wait_until(lambda: fleet.request("GET", "/v1/jobs").json["jobs"] == [], "no job left")

    def test_a_broken_task_is_refused_by_name_and_stops_no_other(self):
        tasks = self.tasks(broken={"mode": "exec", "command": ["x"], "wat": 1},
                           echo={"mode": "stream", "command": ["cat"], "envelope": False})
        fleet = self.fleet(tasks=tasks)
        self.assert_problem(fleet.job({"task": "broken", "items": [1, 2, 3]}), 422, "/task", ["wat"])
        self.assertEqual(fleet.job({"task": "echo", "items": [1]}).json["results"], [1])


if __name__ == "__main__":
    ft.main()
