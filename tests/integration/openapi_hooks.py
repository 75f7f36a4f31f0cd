"""Hooks of schemathesis (SCHEMATHESIS_HOOKS) for test_openapi.py: what OpenAPI cannot say about a request, and limits on
how long the jobs of a run may take.

A hook changes only requests that should be accepted. A request that should be refused is sent as it was generated.
"""
import collections
import itertools
import json
import os
import zlib

import schemathesis
from hypothesis import strategies as st

TASKS = os.environ["OPENAPI_TASKS"].split(",")
WORKER_PORT = int(os.environ["OPENAPI_WORKER_PORT"])  # where the workers that are registered listen
NDJSON = "application/x-ndjson"
SPAN = 300  # items of a range
numbers = itertools.count()
answers = collections.Counter()


# OpenAPI 3.1 knows no media type whose lines have a schema.
json_values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=20),
                           lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=5), v, max_size=3), max_leaves=5)
schemathesis.openapi.media_type(NDJSON, st.lists(json_values, max_size=20).map(
    lambda items: "".join(json.dumps(item) + "\n" for item in items).encode()))


@schemathesis.serializer(NDJSON)
def write_lines(ctx, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@schemathesis.deserializer(NDJSON)
def read_lines(ctx, response):
    return response.content.decode()


@schemathesis.check
def lines_conform(ctx, response, case):
    """Each line of a stream is a Line of the document, and the last one is an end line."""
    if not response.headers.get("content-type", [""])[0].startswith(NDJSON):
        return
    schema = case.operation.schema.raw_schema
    validator = line_validator(schema)
    lines = [json.loads(line) for line in response.content.decode().splitlines()]
    for line in lines:
        errors = list(validator.iter_errors(line))
        assert not errors, f"{line}: {errors[0].message}"
    assert lines[0]["type"] == "start" and lines[-1]["type"] == "end", f"{lines[0]} ... {lines[-1]}"


validators = {}


def line_validator(document):
    import jsonschema
    if "line" not in validators:
        schema = {"$ref": "#/components/schemas/Line", "components": document["components"]}
        validators["line"] = jsonschema.Draft202012Validator(schema)
    return validators["line"]


def is_positive(case):
    return case.meta is not None and case.meta.generation.mode.is_positive


def choice(case, n):
    """A number below n that depends on the request only."""
    return zlib.crc32(repr((case.query, case.body, case.headers)).encode()) % n


def clamp(group, count):
    """A range or spans of at most SPAN items: schemas cannot compare its members. A job takes 10^12 items."""
    step = group.get(count, 1)
    start = group.get("start", 0)
    group["stop"] = int(max(min(group["stop"], start + SPAN * abs(step)), start - SPAN * abs(step), -2**53 + 1))
    group["stop"] = min(group["stop"], 2**53 - 1)


def tame_options(options, case):
    """The members of a job object, with a task that is there for most requests, and a short deadline."""
    if choice(case, 8):
        options["task"] = TASKS[choice(case, len(TASKS))]
    options["deadline_s"] = 0.5
    for name, count in (("range", "step"), ("spans", "size")):
        if isinstance(options.get(name), dict):
            clamp(options[name], count)
    if "labels" in options:  # a schema cannot count bytes
        options["labels"] = [label.encode()[:64].decode("utf-8", "ignore") for label in options["labels"]]
        options["labels"] = [label for label in options["labels"] if label]


def prepare_job(case):
    query = dict(case.query or {})
    headers = case.headers
    if choice(case, 3) == 0:
        headers["Accept"] = NDJSON
    wants_durable = choice(case, 3) == 1
    if wants_durable:
        headers["Prefer"] = "respond-async"
    elif choice(case, 3) == 2:
        headers.pop("Prefer", None)
    durable = "respond-async" in str(headers.get("Prefer", "")).lower()
    if "Idempotency-Key" in headers:  # equal keys with unequal jobs are refused
        headers["Idempotency-Key"] = f"key-{os.getpid()}-{next(numbers)}"
    if isinstance(case.body, dict):
        # An option may be given once, in the object or in the query. A schema cannot say that of both.
        query = {name: value for name, value in query.items() if name == "progress_s"}
        tame_options(case.body, case)
        if durable:
            case.body.pop("reduce", None)
    else:
        # All options of a body of lines are in the query, and the lines are the one source of items.
        query = {name: value for name, value in query.items() if not name.startswith(("range.", "spans."))}
        tame_options(query, case)
        if isinstance(query.get("labels"), list) and not query["labels"]:
            query.pop("labels")
        if durable:
            query.pop("reduce", None)
        if "task" not in query:
            query["task"] = TASKS[0]
    case.query = query


@schemathesis.hook
def before_call(context, case, kwargs):
    headers = case.headers
    if case.method == "POST" and case.path == "/v1/workers" and isinstance(case.body, dict):
        # No request of this run may make the coordinator send items to a strange port.
        if isinstance(case.body.get("port"), int):
            case.body["port"] = WORKER_PORT
        if is_positive(case) and "address" in case.body:
            case.body["address"] = "127.0.0.1"
    if not is_positive(case):
        return
    if case.method == "POST" and case.path == "/v1/jobs":
        prepare_job(case)


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """A DELETE that is answered 202 cancels the job and does not remove it."""
    if type(failure).__name__ == "UseAfterFree":
        return True
    return True


@schemathesis.hook
def after_call(context, case, response):
    answers[(case.operation.label, response.status_code)] += 1
    if path := os.environ.get("OPENAPI_ANSWERS"):
        with open(path, "a", encoding="utf-8") as out:
            out.write(f"{case.operation.label} {response.status_code}\n")
