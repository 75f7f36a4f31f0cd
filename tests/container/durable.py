"""Runs the fleet of deploy/compose.yaml with the job store of deploy/compose.store.yaml. A durable job outlives each
coordinator and the container of the database, and its results are read through HAProxy. Then durable_fleet.py runs many
jobs.

The image postgres:17 is in a registry, which may not be reachable. Without this image, the test uses an image with Debian's
PostgreSQL. Like postgres:17, that image reads POSTGRES_PASSWORD_FILE and keeps its data in /var/lib/postgresql/data.
"""
import json
import os
import subprocess
import tempfile

import durable_fleet
from compose_fleet import PORT, Fleet
from engine import ROOT, check, failures, run, say, wait_for

URL = f"http://127.0.0.1:{PORT}/v1/jobs"
ITEMS = 1500
STAND_IN = "fantail-test-postgres"
DOCKERFILE = """
ARG BASE=debian:trixie-slim
FROM ${BASE}
ARG DEBIAN_FRONTEND=noninteractive
RUN apt-get update -q && apt-get install -q -y --no-install-recommends postgresql && rm -rf /var/lib/apt/lists/*
COPY start /
VOLUME ["/var/lib/postgresql/data"]
STOPSIGNAL SIGINT
ENTRYPOINT ["sh", "/start"]
"""
START = """
set -eu
bin=$(echo /usr/lib/postgresql/*/bin) data=/var/lib/postgresql/data
user="setpriv --reuid postgres --regid postgres --clear-groups"
if [ ! -e $data/PG_VERSION ]; then
    chown postgres $data
    install -m 600 -o postgres "$POSTGRES_PASSWORD_FILE" /tmp/password
    $user $bin/initdb -D $data -U postgres -A scram-sha-256 --pwfile /tmp/password -E UTF8 --locale C.UTF-8
    rm /tmp/password
    echo "host all all all scram-sha-256" >> $data/pg_hba.conf
fi
exec $user $bin/postgres -D $data -c "listen_addresses=*" -c unix_socket_directories=
"""


def postgres_image(network):
    """Returns postgres:17 if the engine has this image. If the engine does not have it, builds and returns an image
    with Debian's PostgreSQL."""
    if subprocess.run(["docker", "image", "inspect", "postgres:17"], capture_output=True).returncode == 0:
        return "postgres:17"
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("Dockerfile", DOCKERFILE), ("start", START)):
            with open(f"{folder}/{name}", "w", encoding="ascii") as out:
                out.write(text)
        run("docker", "build", "-q", "--network", network, "-t", STAND_IN, folder)
    return STAND_IN


def make_files(folder):
    """Makes the two secret files with the commands in the comment at the top of compose.store.yaml. Returns the variables
    that name these files."""
    with open(ROOT + "/deploy/compose.store.yaml", encoding="utf-8") as file:
        lines = [line.removeprefix("#").strip() for line in file if line.startswith("#   ")]
    commands = lines[:next(i for i, line in enumerate(lines) if "compose" in line)]
    os.mkdir(folder + "/deploy")
    run("sh", "-euc", "\n".join(commands), cwd=folder)
    os.chmod(folder, 0o755)
    return {"FANTAIL_STORE_URL": folder + "/deploy/store.url", "FANTAIL_STORE_PASSWORD": folder + "/deploy/store.password"}


def ask(*arguments):
    """Sends a request through HAProxy. Returns the JSON of the answer; {} if there is none."""
    said = run("curl", "-s", "-m", "20", *arguments, check=False)
    try:
        return json.loads(said)
    except ValueError:
        return {}


def done(job):
    return ask(f"{URL}/{job}").get("counts", {}).get("succeeded", 0)


def show(network="host"):
    image = postgres_image(network)
    with tempfile.TemporaryDirectory() as folder:
        fleet = Fleet("compose.store.yaml", {**make_files(folder), "FANTAIL_POSTGRES_IMAGE": image})
        try:
            fleet.up(2, 1)
            fleet.wait("coordinator", 2)
            fleet.wait("worker", 1)
            one_job(fleet, image)
            fleet.up(2, 2)
            fleet.wait("worker", 2)
            durable_fleet.replace_all(fleet, 2)
            durable_fleet.survive(fleet, 2)
        finally:
            if failures:
                print(fleet.compose("logs", "--no-color", "--tail", "60")[-12000:])
            fleet.compose("down", "-v", "-t", "10")


def one_job(fleet, image):
    body = json.dumps({"task": "sleep", "items": [0.1] * ITEMS, "chunk_size": 2})
    submitted = {}

    def submit():
        submitted.update(ask(URL, "-H", "Prefer: respond-async", "-H", "Idempotency-Key: one", "-d", body))
        return submitted.get("durable")

    wait_for("a durable job", submit)
    job = submitted.get("id")
    say(f"        durable job with a database of {image}, two coordinators and HAProxy")
    wait_for("its first answers", lambda: done(job) > 0)
    for name in fleet.containers("coordinator"):
        before = done(job)
        run("docker", "kill", name)
        run("docker", "rm", "-v", name)
        fleet.up(2, 1)
        check(wait_for("more answers", lambda least=before: done(job) > least), f"the job goes on after {name} was killed")
    before = done(job)
    [database] = fleet.containers("postgres")
    run("docker", "rm", "-f", database)
    fleet.up(2, 1)
    check(wait_for("more answers", lambda: done(job) > before), "the job goes on after the database was replaced")
    check(wait_for("the end", lambda: ask(f"{URL}/{job}").get("status") == "succeeded", 180), "the job succeeds")
    lines = [json.loads(line) for line in run("curl", "-sS", f"{URL}/{job}/results").splitlines()]
    indexes = [line["index"] for line in lines if line["type"] == "result"]
    check(indexes == list(range(ITEMS)), f"{len(indexes)} of {ITEMS} results, in order")
