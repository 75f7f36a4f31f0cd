"""Every argument of the Python package that takes a list, a mapping, a text or a number refuses a wrong type, with an
error that names the argument."""
import asyncio
import collections
import inspect
import json
import re
import types

import fantail_testing as ft
import python_calls as calls
from test_python_executor import WHY_NOT, setUpModule  # noqa: F401

if not WHY_NOT:
    import fantail
    import fantail.aio
    from fantail._remote import job_body

URL = "http://127.0.0.1:1"  # nothing connects to it
KINDS = ("Client", "Job", "aio.Client", "aio.Job", "Executor", "Pool")
SEVERAL = re.compile(r"Iterable|Sequence|Mapping|Retry|Tasks")  # in the annotation of an argument that takes several values

TEXT, BYTES, NUMBER, DICT, LIST, SET = "nightly", b"nightly", 3, {"a": 1}, ["a"], {"a"}
NO_VALUES = (TEXT, BYTES, NUMBER, DICT)
WRONG = {  # what an argument with this name refuses
    "items": NO_VALUES,
    "initargs": NO_VALUES,
    "args": NO_VALUES,
    "labels": (*NO_VALUES, ["a", 1], [LIST]),
    "task": (NUMBER, BYTES, DICT, SET, [], [""], ["a", 1]),
    "retry": (TEXT, NUMBER, True, LIST, [("a", 1)]),
    "hedge": (TEXT, NUMBER, LIST),
    "kwds": (TEXT, NUMBER, None, LIST, [("a", 1)]),
    # Each of these two arguments may be a string or a mapping, as in concurrent.futures and multiprocessing.
    "iterable": (NUMBER, None),
    "iterables": (NUMBER, None),
    # These take one text. If a list were accepted, str() of the list would be sent.
    "status": (NUMBER, LIST), "label": (NUMBER, LIST), "created_after": (NUMBER, LIST), "created_before": (NUMBER, LIST),
    "reduce": (NUMBER, LIST), "notify": (NUMBER, DICT), "idempotency_key": (NUMBER, BYTES), "id": (NUMBER, None),
}
NUMBERS = {  # values that are not numbers, or not whole numbers
    "reconnect_s": (TEXT, LIST), "timeout": (TEXT, LIST), "start": (TEXT, 0.5), "chunksize": (TEXT, 2.5),
    "max_workers": (TEXT, 2.5), "processes": (TEXT, 2.5), "max_tasks_per_child": (TEXT, 2.5),
    "deadline_s": (TEXT, LIST),
}
WRONG.update(NUMBERS, url=(NUMBER, LIST), token=(NUMBER, LIST))
FILTERS = {"task": (NUMBER, LIST)}  # arguments of Client.jobs, and what they refuse
GIVEN = {"task": "square", "items": [1], "func": calls.square, "fn": calls.square, "iterable": [1]}


def called(function, **arguments):
    """Calls a function with these arguments and with the other arguments that it needs. Waits for the first result of
    the call."""
    parameters = inspect.signature(function).parameters
    needed = [name for name, p in parameters.items() if p.kind == p.VAR_POSITIONAL or p.default is p.empty]
    positional = [arguments.pop(name, GIVEN.get(name)) for name in needed]
    result = function(*positional, **arguments)
    if inspect.iscoroutine(result):
        return asyncio.run(result)
    if inspect.isasyncgen(result):
        return asyncio.run(result.__anext__())
    return next(result) if inspect.isgenerator(result) else result


class Arguments(ft.FantailTest):
    def functions(self):
        """Yields (name, function) for all functions of the package that a program can call."""
        executor, pool = fantail.Executor(1), fantail.Pool(1)
        self.addCleanup(pool.terminate)
        self.addCleanup(executor.shutdown)
        objects = {"Client": fantail.Client(URL), "aio.Client": fantail.aio.Client(URL), "Executor": executor, "Pool": pool}
        objects.update({"Job": objects["Client"].job("x"), "aio.Job": objects["aio.Client"].job("x")})
        for kind in KINDS:
            yield kind, type(objects[kind])
            for name, function in inspect.getmembers(objects[kind], callable):
                if not name.startswith("_"):
                    yield f"{kind}.{name}", function

    def test_a_wrong_value_is_refused_by_the_name_of_the_argument(self):
        tried = collections.Counter()
        for where, function in self.functions():
            for name, parameter in inspect.signature(function).parameters.items():
                if SEVERAL.search(str(parameter.annotation)):
                    self.assertIn(name, WRONG, f"{where}: add the argument to the table")
                elif name not in WRONG or parameter.kind == parameter.VAR_POSITIONAL:
                    continue
                if where.endswith("submit") and name == "deadline_s":
                    continue  # the service checks it, like the other options of a job
                for value in (FILTERS if where.endswith("jobs") else {}).get(name, WRONG[name]):
                    with self.subTest(f"{where}({name}={value!r})"):
                        self.assertRaisesRegex(TypeError, rf"^{name}\b.* must be .*, not ", called, function, **{name: value})
                        tried[name] += 1
        self.assertEqual(set(tried), set(WRONG))

    def test_the_value_is_in_the_message_but_not_all_of_a_long_one(self):
        client = fantail.Client(URL)
        with self.assertRaises(TypeError) as caught:
            client.submit("square", [1], labels="nightly")
        self.assertEqual(str(caught.exception), "labels must be a list of strings, not 'nightly'")
        with self.assertRaises(TypeError) as caught:
            client.map("square", "x" * 100000)
        self.assertLess(len(str(caught.exception)), 100)

    def test_iterables_and_mappings_of_all_kinds_are_accepted(self):
        def body(**options):
            return json.loads(job_body(**{**dict.fromkeys(
                ("common", "labels", "reduce", "notify", "item_timeout_s", "deadline_s", "max_concurrency", "max_rate",
                 "priority", "chunk_size", "retry", "hedge", "tolerated_failure_count", "tolerated_failure_percentage")),
                "task": "square", "items": [1], **options}))
        for items in ([1, 2], (1, 2), range(1, 3), iter([1, 2]), {1: 0, 2: 0}.keys()):
            self.assertEqual(body(items=items)["items"], [1, 2])
        for labels in (["a", "b"], ("a", "b"), (text for text in "ab"), {"a": 0, "b": 0}.keys()):
            self.assertEqual(body(labels=labels)["labels"], ["a", "b"])
        self.assertEqual(body(task=("a", "b"))["task"], ["a", "b"])
        self.assertEqual(body(retry=types.MappingProxyType({"max_attempts": 1}))["retry"], {"max_attempts": 1})
        self.assertEqual([body(hedge=hedge)["hedge"] for hedge in (True, {"enabled": False})],
                         [{"enabled": True}, {"enabled": False}])

    def test_an_option_that_cannot_be_sent_is_named(self):
        client = fantail.Client(URL)
        for options, kind in (({"common": {1}}, TypeError), ({"common": float("nan")}, ValueError),
                              ({"retry": {"max_attempts": {1}}}, TypeError), ({"priority": object()}, TypeError)):
            [name] = options
            self.assertRaisesRegex(kind, f"^{name} cannot be sent: ", client.map, "square", [1], **options)
            self.assertRaisesRegex(kind, f"^{name} cannot be sent: ", client.submit, "square", [1], **options)

    def test_a_wrong_chunksize_does_not_harm_the_pool(self):
        with fantail.Executor(1) as executor, fantail.Pool(1) as pool:
            for function in (executor.map, pool.map, pool.imap, pool.map_async, pool.imap_unordered, pool.starmap):
                for size in (0, -3):
                    self.assertRaisesRegex(ValueError, f"^chunksize must be at least 1, not {size}$", function, calls.add, [(1, 2)],
                                           chunksize=size)
            self.assertEqual((pool.map(calls.square, [2]), list(executor.map(calls.square, [2]))), ([4], [4]))

    def test_strings_are_iterables_of_a_pool_and_an_executor(self):
        with fantail.Executor(1) as executor, fantail.Pool(1) as pool:
            self.assertEqual(list(executor.map(calls.add, "ab", "cd")), ["ac", "bd"])
            self.assertEqual(pool.map(calls.same, "ab"), ["a", "b"])
            self.assertEqual(list(pool.imap(calls.same, {"a": 1})), ["a"])

    def test_an_executor_refuses_what_is_no_url(self):
        for kind in fantail.Executor, fantail.Pool:
            for url in (3, [URL], fantail.aio.Client(URL)):
                self.assertRaisesRegex(TypeError, "^url must be a URL or a fantail.Client, not ", kind, url=url)

    def test_an_unknown_argument_names_the_class_that_the_caller_used(self):
        for kind in fantail.Client, fantail.aio.Client:
            self.assertRaisesRegex(TypeError, r"^(Client\.)?__init__\(\) got .*'tokn'", kind, tokn=3)


if __name__ == "__main__":
    ft.main()
