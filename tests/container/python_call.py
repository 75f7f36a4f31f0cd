"""Runs Python functions on a fleet of the images fantail-coordinator and fantail-worker-python-call. The client runs in a
container of the worker's image, so it has the same version of Python."""
import os

from engine import check, healthy, inspect, run, wait_for

OPEN = ["-e", "FANTAIL_INSECURE=true", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
CLIENT = """
import os, sys
import fantail
url = sys.argv[1]
offset = 5
with fantail.Executor(url=url) as executor:
    print(sum(executor.map(lambda x: x + offset, range(10000))))
    print(executor.submit(os.getuid).result())
    results = list(executor.map(lambda x: os._exit(3) if x == 7 else x, range(20), return_exceptions=True))
    print([type(r).__name__ for r in results].count("int"), results[7].name)
"""
OTHER_VERSION = """
import sys
import fantail, fantail._remote_fleet
fantail._remote_fleet._versions = lambda: ("3.7", "1.6.0")
with fantail.Executor(url=sys.argv[1]) as executor:
    print(executor.submit(abs, -1).exception())
"""
WITHOUT_TASK = """
import sys
import fantail
try:
    fantail.Executor(url=sys.argv[1])
except fantail.TaskNotFound as error:
    print("TaskNotFound", error)
"""


def address(container):
    return inspect(container, "range .NetworkSettings.Networks}}{{.IPAddress}}{{end")


def client(script, url):
    return run("docker", "run", "--rm", *OPEN, "--entrypoint", "python3", "fantail-worker-python-call", "-c", script, url)


def show():
    containers = []

    def start(image, *arguments):
        containers.append(run("docker", "run", "-d", *OPEN, image, *arguments).splitlines()[-1])
        wait_for(f"{image} healthy", lambda: healthy(containers[-1]))
        return address(containers[-1])

    def coordinator_for(worker_image):
        return f"http://{start('fantail-coordinator', '--workers', f'static://{start(worker_image)}:8081')}:8080"
    try:
        url = coordinator_for("fantail-worker-python-call")
        printed = client(CLIENT, url).split("\n")
        check(printed == ["50045000", "65532", "19 crashed"], f"functions on a fleet of images: {printed}")
        printed = client(OTHER_VERSION, url)
        check("versions_differ" in printed and "Python 3.7" in printed and "Python 3.1" in printed,
              f"a client with another version of Python: {printed}")
        tasks = run("docker", "run", "--rm", "--entrypoint", "ls", "fantail-worker-python", "/tasks")
        check(tasks == "", "fantail-worker-python has no task python-call")
        printed = client(WITHOUT_TASK, coordinator_for("fantail-worker-examples"))
        check("TaskNotFound" in printed and "has no task python-call" in printed, f"a fleet without the task: {printed}")
    finally:
        if os.environ.get("V"):
            for container in containers:
                print(run("docker", "logs", container))
        for container in containers:
            run("docker", "rm", "-f", "-v", container)
