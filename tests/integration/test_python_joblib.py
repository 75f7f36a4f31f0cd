"""The backend of joblib: joblib's own tests of Parallel, scikit-learn, and processes that die. joblib, scikit-learn and pytest
are installed from PyPI into a virtual environment.

Excluded from joblib's test_parallel, with the reason:

    test_error_capture
        uses an attribute that only joblib's own backends have
    test_auto_memmap_on_arrays_from_generator, test_memmapping_leaks
        expect numpy.memmap objects and their files; test_large_arrays_are_sent_once_to_each_process is ours
"""
import os
import re
import subprocess
import textwrap

import fantail_testing as ft
import python_calls as calls
from example_pages import ExamplesTest
from python_venv import make_class_venv

EXCLUDED = ("test_error_capture", "test_auto_memmap_on_arrays_from_generator", "test_memmapping_leaks")
PACKAGES = ("joblib==1.6.0", "scikit-learn", "pytest", "cloudpickle")  # the changes below fit this version of joblib
# Changes to joblib's test_parallel.py, so that its tests run with our backend instead of joblib's own.
CHANGES = (
    ("RETURN_GENERATOR_BACKENDS = BACKENDS.copy()", 'RETURN_GENERATOR_BACKENDS = {"fantail": BACKENDS["fantail"]}'),
    ('PROCESS_BACKENDS = ["multiprocessing", "loky"]', 'PROCESS_BACKENDS = ["fantail"]'),
    ('PARALLEL_BACKENDS = PROCESS_BACKENDS + ["threading"]', "PARALLEL_BACKENDS = PROCESS_BACKENDS"),
    ("ALL_VALID_BACKENDS = [None] + sorted(BACKENDS.keys())", 'ALL_VALID_BACKENDS = ["fantail"]'),
    ("for backend_str in BACKENDS]", 'for backend_str in ["fantail"]]'),
    ('    ALL_VALID_BACKENDS.append(mp.get_context("spawn"))', "    pass"),
    ("from ._openmp_test_helper", "from joblib.test._openmp_test_helper"))
HEAD = """
    import os, sys
    import fantail, fantail.joblib, joblib
    fantail.joblib.register()
    if __name__ == "__main__":
"""


class Joblib(ExamplesTest):
    TIME_LIMIT_S = 900

    @classmethod
    def setUpClass(cls):
        cls.python = make_class_venv(cls, *PACKAGES)

    def run_python(self, *arguments):
        env = self.environment(PYTHONPATH=f"{calls.PACKAGE}{os.pathsep}{self.folder}", FANTAIL_BIN=ft.BIN,
                               TMPDIR=self.folder)
        return subprocess.run([self.python, *arguments], cwd=self.folder, env=env, capture_output=True, text=True,
                              check=False)

    def output_of(self, script):
        path = os.path.join(self.folder, "script.py")
        ft.write_file(path, textwrap.dedent(HEAD) + textwrap.indent(textwrap.dedent(script), "    "))
        ended = self.run_python(path)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        return ended.stdout.splitlines()

    def test_joblibs_tests_pass(self):
        [path] = self.output_of("import joblib.test.test_parallel as tests; print(tests.__file__)")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for old, new in CHANGES:
            self.assertEqual(text.count(old), 1, old)
            text = text.replace(old, new)
        ft.write_file(os.path.join(self.folder, "test_parallel_fantail.py"), text)
        # The tests start other Python programs, which must know the backend too.
        ft.write_file(os.path.join(self.folder, "sitecustomize.py"), "import fantail.joblib\nfantail.joblib.register()\n")
        ended = self.run_python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", f"not ({' or '.join(EXCLUDED)})",
                                "test_parallel_fantail.py")
        self.assertEqual(ended.returncode, 0, ended.stdout[-8000:])
        passed = int(re.search(r"(\d+) passed", ended.stdout).group(1))
        self.assertGreater(passed, 300)
        print(ended.stdout.splitlines()[-1])

    def test_scikit_learn_runs_on_it(self):
        best, same = self.output_of("""
            from sklearn.datasets import load_iris
            from sklearn.model_selection import GridSearchCV
            from sklearn.svm import SVC
            grid = {"C": [0.1, 1, 10], "gamma": [0.01, 0.1, 1]}
            search = GridSearchCV(SVC(), grid, n_jobs=2)
            with joblib.parallel_config(backend="fantail"):
                found = search.fit(*load_iris(return_X_y=True)).best_params_
            print(found["C"], found["gamma"])
            print(found == GridSearchCV(SVC(), grid).fit(*load_iris(return_X_y=True)).best_params_)
        """)
        self.assertEqual((best, same), ("1 0.1", "True"))

    def test_the_example_and_the_same_with_loky(self):
        self.check_page(self.python, "hyper_parameters")
        lines = self.output_of_example(self.python, "hyper_parameters", "with_loky.py", "kill")
        self.assertEqual((len(lines), lines[1]), (2, "C=1 gamma=0.1: 0.98"))
        self.assertIn("TerminatedWorkerError", lines[0])

    def test_a_killed_process_fails_one_call_and_the_next_parallel_works(self):
        lines = self.output_of("""
            with joblib.parallel_config(backend="fantail", n_jobs=2):
                try:
                    joblib.Parallel()(joblib.delayed(lambda n: os.kill(os.getpid(), 9) if n == 7 else n)(n) for n in range(20))
                except fantail.ItemError as error:
                    print(error.name, error.signal)
                print(joblib.Parallel()(joblib.delayed(abs)(-n) for n in range(5)))
        """)
        self.assertEqual(lines, ["crashed 9", "[0, 1, 2, 3, 4]"])

    def test_large_arrays_are_sent_once_to_each_process(self):
        lines = self.output_of("""
            import numpy, fantail._work
            payload, sizes = fantail._work.Work.payload, []
            def counted(work, versions):
                sizes.append(len(payload(work, versions)))
                return payload(work, versions)
            fantail._work.Work.payload = counted
            data = numpy.arange(1 << 20, dtype="f8")
            with joblib.parallel_config(backend="fantail", n_jobs=2):
                sums = joblib.Parallel()(joblib.delayed(lambda array, n: float(array[n]))(data, n) for n in range(500))
                again = joblib.Parallel()(joblib.delayed(lambda arrays, n: float(arrays["x"][n]))({"x": data}, n) for n in range(9))
            print(sums == [float(n) for n in range(500)], again == [float(n) for n in range(9)], max(sizes) < 100000)
        """)
        self.assertEqual(lines, ["True True True"])

    def test_threads_of_libraries_are_limited_before_they_are_imported(self):
        lines = self.output_of("""
            with joblib.parallel_config(backend="fantail", n_jobs=2, inner_max_num_threads=3):
                print(joblib.Parallel()(joblib.delayed(lambda: os.environ.get("OMP_NUM_THREADS"))() for _ in range(2)))
        """)
        self.assertEqual(lines, ["['3', '3']"])


if __name__ == "__main__":
    ft.main()
