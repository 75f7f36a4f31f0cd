"""The demo, which `scripts/demo` builds and runs, as a new user sees it."""
import os
import subprocess

import fantail_testing as ft
from fantail_testing import FantailTest


class Demo(FantailTest):
    TIME_LIMIT_S = 240

    def test_the_demo_prints_the_number_of_primes_after_losing_a_worker_and_leaves_nothing(self):
        ended = subprocess.run([os.path.join(ft.ROOT, "examples", "demo.sh"), ft.BUILD], capture_output=True, text=True,
                               timeout=200, env=self.environment(), stdin=subprocess.DEVNULL)
        said = ended.stdout + ended.stderr
        self.assertEqual(ended.returncode, 0, said)
        self.assertIn("348513", ended.stdout)
        self.assertIn("kill -9", ended.stdout)
        self.assertRegex(ended.stdout, r"; [1-9]\d* spans were sent again")
        self.assertRegex(ended.stdout, r'\n  \{"type":"result","index":\d+,"value":\{"')
        self.assertRegex(ended.stdout, r'\n  \{"type":"end",')
        self.assertEqual(ended.stderr, "")
        self.assertNotRegex(said, ft.SANITIZER_WORDS)


if __name__ == "__main__":
    ft.main()
