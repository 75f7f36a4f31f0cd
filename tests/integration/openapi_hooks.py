"""Hooks of schemathesis (SCHEMATHESIS_HOOKS) for test_openapi_requests.py: rules for requests that OpenAPI cannot
express, and limits for the duration of jobs.

If a request should be refused, it is sent as it was generated, apart from the port in a registration.
"""
import itertools
import json
import os
import zlib

import schemathesis
from hypothesis import strategies as st

TASKS = os.environ["OPENAPI_TASKS"].split(",")
WORKER_PORT = int(os.environ["OPENAPI_WORKER_PORT"])  # the port in all registrations of workers
MEMBERS = "worker", "port", "address", "version", "tasks", "leaving"  # the members of a registration
NDJSON, EVENTS = "application/x-ndjson", "text/event-stream"
SPAN = 300  # the maximum number of items in a range
numbers = itertools.count()
statuses = {}  # the status of each answer, by the id of the case


# OpenAPI 3.1 cannot give a schema for the lines of an NDJSON body, so the bodies are made here.
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
    """Checks that each line of a stream matches the schema Line of the document, that the first line is a start line, and
    that the last line is an end line."""
    if not response.headers.get("content-type", [""])[0].startswith(NDJSON):
        return
    validator = validator_of(case, "Line")
    lines = [json.loads(line) for line in response.content.decode().splitlines()]
    for line in lines:
        errors = list(validator.iter_errors(line))
        assert not errors, f"{line}: {errors[0].message}"
    assert lines[0]["type"] == "start" and lines[-1]["type"] == "end", f"{lines[0]} ... {lines[-1]}"


@schemathesis.deserializer(EVENTS)
def read_events(ctx, response):
    return response.content.decode()


@schemathesis.check
def events_conform(ctx, response, case):
    """Checks that the data of each event matches the schema DurableJob, and that the last event is the end of the job."""
    if not response.headers.get("content-type", [""])[0].startswith(EVENTS):
        return
    validator = validator_of(case, "DurableJob")
    blocks = [block.splitlines() for block in response.content.decode().split("\n\n")]
    events = [dict(line.split(": ", 1) for line in block) for block in blocks if any(line.startswith("event: ") for line in block)]
    for event in events:
        assert sorted(event) == ["data", "event", "id"], event
        errors = list(validator.iter_errors(json.loads(event["data"])))
        assert not errors, f"{event}: {errors[0].message}"
    assert [event["event"] == "end" for event in events] == [False] * (len(events) - 1) + [True], events


validators = {}


def validator_of(case, name):
    """Returns a validator of one schema of the document."""
    import jsonschema
    if name not in validators:
        schema = {"$ref": f"#/components/schemas/{name}", "components": case.operation.schema.raw_schema["components"]}
        validators[name] = jsonschema.Draft202012Validator(schema)
    return validators[name]


def is_positive(case):
    return case.meta is not None and case.meta.generation.mode.is_positive


def choice(case, n):
    """Returns a number below n that depends only on the request."""
    return zlib.crc32(repr((case.query, case.body, case.headers)).encode()) % n


def clamp(group, count):
    """Limits a range or spans to SPAN items. Without this limit, a job could have 10^12 items. The schema cannot set
    the limit, because a schema cannot compare `stop` with `start`."""
    step = group.get(count, 1)
    start = group.get("start", 0)
    group["stop"] = int(max(min(group["stop"], start + SPAN * abs(step)), start - SPAN * abs(step), -2**53 + 1))
    group["stop"] = min(group["stop"], 2**53 - 1)


def short(label):
    """Returns the first 64 bytes of a label, because a schema cannot count bytes."""
    return label.encode()[:64].decode("utf-8", "ignore")


def tame_options(options, case):
    """Changes the options of a job, so that it has a short deadline, few items and, in most requests, a task that exists."""
    if choice(case, 8):
        options["task"] = TASKS[choice(case, len(TASKS))]
    options["deadline_s"] = 0.5
    for name in ("notify", "notify.url"):  # this coordinator allows no host for notices
        options.pop(name, None)
    for name, count in (("range", "step"), ("spans", "size")):
        if isinstance(options.get(name), dict):
            clamp(options[name], count)
    if "labels" in options:
        options["labels"] = [short(label) for label in options["labels"]]


def prepare_job(case):
    query = dict(case.query or {})
    headers = case.headers
    if choice(case, 3) == 0:
        headers["Accept"] = NDJSON
    durable = choice(case, 7) > 2
    headers.pop("Prefer", None)
    if durable:
        headers["Prefer"] = ("respond-async", "wait=20", "respond-async, wait=1", "wait=0")[choice(case, 7) - 3]
    if "Idempotency-Key" in headers:  # a second job with the same key is refused
        headers["Idempotency-Key"] = f"key-{os.getpid()}-{next(numbers)}"
    if isinstance(case.body, dict):
        # An option may be either in the object or in the query, but not in both. A schema cannot express this rule.
        query = {name: value for name, value in query.items() if name == "progress_s"}
        tame_options(case.body, case)
    else:
        # These requests have a body of lines without an options line. So all options are in the query, and the lines
        # are the only items.
        query = {name: value for name, value in query.items() if not name.startswith(("range.", "spans."))}
        tame_options(query, case)
        if isinstance(query.get("labels"), list) and not query["labels"]:
            query.pop("labels")
        if "task" not in query:
            query["task"] = TASKS[0]
    case.query = query


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Declares that each call needs a token, because this coordinator has token files. So the check ignored_auth covers
    each call."""
    for part in [raw_schema] + [operation for item in raw_schema["paths"].values() for operation in item.values()]:
        if isinstance(part, dict) and "security" in part:
            part["security"] = [scheme for scheme in part["security"] if scheme]


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.method == "POST" and case.path == "/v1/workers" and isinstance(case.body, dict):
        # No request of this run may make the coordinator send items to any other port.
        if isinstance(case.body.get("port"), int):
            case.body["port"] = WORKER_PORT
        if is_positive(case):
            # A registration has at most 2048 bytes, and no \u0000 anywhere. A schema cannot express these rules for
            # unknown members.
            case.body = {name: value for name, value in case.body.items() if name in MEMBERS} | {"later": [1]}
            if "address" in case.body:
                case.body["address"] = "127.0.0.1"
    if not is_positive(case):
        return
    if case.method == "POST" and case.path == "/v1/jobs":
        prepare_job(case)
    elif case.method == "PATCH" and isinstance(case.body, dict) and "deadline_s" in case.body:
        case.body["deadline_s"] = 0.5
    elif case.query and isinstance(case.query.get("label"), str):
        case.query["label"] = short(case.query["label"])


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Ignores the report that a job still exists after a DELETE that was answered with 202: this DELETE only cancels the job.
    After a DELETE that was answered with 204, the job must not exist."""
    return not (type(failure).__name__ == "UseAfterFree" and statuses.get(failure.deleted_case_id) == 202)


@schemathesis.hook
def after_call(context, case, response):
    statuses[case.id] = response.status_code
    kind = response.headers.get("content-type", [""])[0]
    with open(os.environ["OPENAPI_ANSWERS"], "a", encoding="utf-8") as out:
        out.write(f"{case.operation.label} {response.status_code} {kind}\n")
