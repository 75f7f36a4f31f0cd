"""Shared by all container tests: functions that run commands, make checks, and print the results."""
import os
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROJECT = f"fantail-test-{os.getpid()}"
START = time.monotonic()
failures = []


def say(text):
    print(f"{time.monotonic() - START:6.1f} s  {text}", flush=True)


def check(good, text):
    say(("ok      " if good else "FAILED  ") + text)
    if not good:
        failures.append(text)


def run(*command, **options):
    options = {"check": True, "text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **options}
    try:
        return subprocess.run(command, **options).stdout.strip()
    except subprocess.CalledProcessError as error:
        print(error.output[-4000:])
        raise


def wait_for(what, condition, limit_s=60):
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    check(False, f"{what} within {limit_s} s")
    return False


def inspect(container, what):
    return run("docker", "inspect", "-f", "{{" + what + "}}", container)


def healthy(container):
    return inspect(container, ".State.Health.Status") == "healthy"


def stop(container, limit_s):
    """Runs docker stop. Returns how long docker stop took, and the exit status of the container."""
    begun = time.monotonic()
    run("docker", "stop", "-t", str(limit_s), container)
    return time.monotonic() - begun, inspect(container, ".State.ExitCode")


def url_of(container, port):
    address = inspect(container, "range .NetworkSettings.Networks}}{{.IPAddress}}{{end")
    return f"http://{address}:{port}"
