"""Runs in a process of a worker. Reads calls from standard input and answers them.

python _process.py START           in a private fleet. START is a file that the package has written: the pickle of a dict
                                   with `path` and `argv` for sys, `initializer`, `authkey` for multiprocessing, and
                                   `folder` for the files of answers
python -m fantail._serve_calls     as the task `python-call` of a fleet that others use, too

The lines have the format for a program with ids (docs/protocol.md). An item is the base64 of the pickle of (function,
form, calls, versions, attached). `function` is a pickle. `calls` is the pickle of a list of calls. `versions` has the
versions of Python and cloudpickle of the client; None in a private fleet. `attached` has pieces of shared objects, by their
keys: (size of the object, offset of the piece, piece).

The answer is the base64 of the pickle of (results, failures, seconds). `failures` is a dict: its keys are the indices of
the calls without a result, and its values are (kind, text, pickle of the exception or None, traceback).

In a private fleet, large calls and large answers are in files, and a path takes the place of their pickle.

This file is started often, so it imports little. This file does not import the package fantail, because calls may not
need the package. """
from __future__ import annotations

import binascii
import os
import sys
import time
import _pickle as pickle

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from typing import Any, Iterable, Iterator, Optional

    Failure = tuple[str, str, Optional[bytes], str]

ONE, STAR, FULL = 0, 1, 2  # form: function(call), function(*call), function(*call[0], **call[1])
READ_BYTES = 1 << 20
KEPT_FUNCTIONS = 32
KEPT_OBJECTS = 32
LARGE_BYTES = 1 << 18  # calls and answers that are larger go through files
ALIGNMENT = 64  # as NumPy aligns its arrays
PROTOCOL = 5
BATCH_S = 0.05  # the batches of a map without a chunk size take about this time
MOST_AT_ONCE = 256  # maximum number of coroutines in a batch, if its map has no chunk size

state: dict[str, Any] = {"is_child": False, "broken": None, "cloud": None, "versions": None, "folder": None, "files": 0,
                         "loop": None}
functions: dict[bytes, Any] = {}
objects: dict[str, Any] = {}
incomplete: dict[str, Incomplete] = {}  # shared objects whose pieces arrive with the calls


def dumps(value: Any, buffers: Optional[list[pickle.PickleBuffer]] = None) -> bytes:
    """Like _pickling.dumps(). The objects of __main__ came to this process by value, and must go back by value."""
    callback = None if buffers is None else buffers.append
    try:
        data = pickle.dumps(value, PROTOCOL, buffer_callback=callback)
        if b"__main__" not in data:
            return data
    except Exception:
        pass
    if state["cloud"] is None:
        state["cloud"] = load_cloud()
    if buffers:
        buffers.clear()
    return bytes(state["cloud"].dumps(value, PROTOCOL, callback))


def load_cloud() -> Any:
    from importlib import util
    spec = util.spec_from_file_location("fantail_cloud", os.path.join(os.path.dirname(os.path.abspath(__file__)), "_cloud.py"))
    assert spec and spec.loader
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_object(path: str, data: bytes, buffers: Iterable[pickle.PickleBuffer]) -> int:
    """Writes a pickle and its buffers into a new file, and returns the size of the file. The file has, in this order: two
    numbers of 8 bytes (the size of the pickle, and the number of buffers), the offset and the size of each buffer, the pickle,
    and the buffers."""
    views = [buffer.raw() for buffer in buffers]
    at = 16 + 16 * len(views) + len(data)
    numbers = [len(data), len(views)]
    for view in views:
        at += -at % ALIGNMENT
        numbers += at, view.nbytes
        at += view.nbytes
    try:
        with open(path, "xb") as file:
            file.write(b"".join(number.to_bytes(8, "little") for number in numbers) + data)
            for offset, view in zip(numbers[2::2], views):
                file.seek(offset)
                file.write(view)
            file.truncate(at)
    except OSError:
        os.unlink(path)
        raise
    return at


def read_object(view: memoryview) -> Any:
    """Rebuilds the object from the content of a file that write_object() has written. The buffers of the object are not
    copied: they stay parts of the view."""
    numbers = view[:16].cast("Q")
    places = view[16:16 + 16 * numbers[1]].cast("Q")
    at = 16 + places.nbytes
    buffers = [view[places[i]:places[i] + places[i + 1]] for i in range(0, len(places), 2)]
    return pickle.loads(view[at:at + numbers[0]], buffers=buffers)


def read_file(path: str) -> memoryview:
    with open(path, "rb", buffering=0) as file:
        content = bytearray(os.fstat(file.fileno()).st_size)
        view = memoryview(content)
        left = view
        while left:
            count = file.readinto(left)
            if not count:
                raise EOFError(path)
            left = left[count:]
    return view


class Incomplete:
    """The content of a shared object of which some pieces may be missing."""

    def __init__(self, size: int) -> None:
        self.content = bytearray(size)
        self.pieces: dict[int, int] = {}  # the size of each piece, by its offset

    def add(self, offset: int, piece: bytes) -> None:
        self.content[offset:offset + len(piece)] = piece
        self.pieces[offset] = len(piece)

    def missing(self) -> int:
        """Returns the offset of the first missing piece. If all pieces are there, it is the size of the content."""
        at = 0
        while at in self.pieces:
            at += self.pieces[at]
        return at


def add_pieces(attached: dict[str, tuple[int, int, bytes]]) -> None:
    for key, (size, offset, piece) in attached.items():
        if key in objects:
            continue
        if key not in incomplete and len(incomplete) >= KEPT_OBJECTS:
            del incomplete[next(iter(incomplete))]
        incomplete.setdefault(key, Incomplete(size)).add(offset, piece)


class MissingObject(Exception):
    """The client must send a piece of a shared object. The arguments are the key and the offset of the piece."""


def load_object(key: str, path: str) -> Any:
    """Returns the shared object with this key. The file, or the content that the client has sent, has the form that
    write_object() writes. The pages of a file are shared by all processes; a page that a call changes is copied."""
    if key in objects:
        return objects[key]
    if state["versions"] is None and os.path.exists(path):
        import mmap
        with open(path, "rb") as file:
            view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    else:
        found = incomplete.get(key)
        at = found.missing() if found else 0
        if not found or at < len(found.content):
            raise MissingObject(key, at)
        view = memoryview(incomplete.pop(key).content)
    value = read_object(view)
    if len(objects) >= KEPT_OBJECTS:
        del objects[next(iter(objects))]
    objects[key] = value
    return value


def function_of(data: bytes) -> Any:
    found = functions.get(data)
    if found is not None:
        return found
    function = pickle.loads(data)
    # A call may change a callable object, so each batch gets a new copy of the object. A plain function is kept for
    # later batches.
    if type(function) in (type(dumps), type(len), type):
        if len(functions) >= KEPT_FUNCTIONS:
            functions.clear()
        functions[data] = function
    return function


def text_of(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__


def failure_of(error: BaseException, kind: str = "raised") -> Failure:
    """Describes an exception. Omits the first frames of the traceback, because they belong to this file."""
    import traceback
    frames = error.__traceback__
    while frames and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    try:
        text = "".join(traceback.format_exception(type(error), error, frames))
    except Exception:
        text = text_of(error) + "\n"
    if isinstance(error, SystemExit):
        return "exited", str(error.code), None, text
    if kind != "raised":
        return kind, text_of(error), None, text
    try:
        data = dumps(error)
        pickle.loads(data)  # many exceptions can be pickled but not rebuilt
    except BaseException as why:
        return "exception_not_picklable", f"{text_of(error)} (it cannot be pickled: {text_of(why)})", None, text
    return kind, text_of(error), data, text


def run_calls(function: Any, form: int, calls: list[Any]) -> tuple[list[Any], dict[int, Failure]]:
    """Runs the calls, and returns (results, failures). A call that raises does not stop the calls after it."""
    results: list[Any] = []
    failures: dict[int, Failure] = {}
    rest = iter(calls)
    if form == STAR:
        from itertools import starmap
        steps: Iterator[Any] = starmap(function, rest)
    else:
        steps = map(function if form == ONE else lambda call: function(*call[0], **call[1]), rest)
    while len(results) < len(calls):
        try:
            results.extend(steps)  # if a call raises, keeps the results of the calls before it
            if len(results) == len(calls):
                break
            raise StopIteration  # a call has raised StopIteration, which looks like the end of the steps
        except BaseException as error:
            if state["is_child"]:
                raise
            failures[len(results)] = failure_of(error)
            results.append(None)
    return results, failures


def is_coroutine(value: Any) -> bool:
    kind = type(value)
    return hasattr(kind, "__await__") and hasattr(kind, "send")


def event_loop() -> Any:
    """Returns the event loop of all coroutines. The initializer and the calls may keep connections that belong to it."""
    if state["loop"] is None:
        import asyncio
        state["loop"] = asyncio.new_event_loop()
    return state["loop"]


def run_coroutines(results: list[Any], failures: dict[int, Failure]) -> None:
    """Runs the coroutines among the results at the same time, and puts their results and failures in their places."""
    from asyncio import gather

    async def run(index: int) -> None:
        coroutine, results[index] = results[index], None
        try:
            results[index] = await coroutine
        except BaseException as error:
            if not state["is_child"]:
                failures[index] = failure_of(error)
        if state["is_child"]:
            os._exit(0)  # the coroutine has called fork(), and has ended in the child too

    async def run_all() -> None:
        await gather(*(run(index) for index, result in enumerate(results) if is_coroutine(result)))

    event_loop().run_until_complete(run_all())


def packed(answer: tuple[Any, ...]) -> bytes:
    """Returns the pickle of the answer. If the answer is large, writes it to a file and returns the pickle of the
    file's path."""
    if state["folder"] is None:
        return dumps(answer)
    buffers: list[pickle.PickleBuffer] = []
    data = dumps(answer, buffers)
    if len(data) + sum(buffer.raw().nbytes for buffer in buffers) > LARGE_BYTES:
        state["files"] += 1
        path = os.path.join(state["folder"], f"answer-{os.getpid()}-{state['files']}")
        try:
            write_object(path, data, buffers)
            return pickle.dumps(path, PROTOCOL)
        except OSError:  # the disk is full
            pass
    return dumps(answer) if buffers else data


def answer_of(function: Any, form: int, calls: list[Any], started: float, used: float) -> bytes:
    """Runs the calls and returns the answer. started, used: the time and the processor time when work on the item began."""
    results, failures = run_calls(function, form, calls)
    seconds = time.perf_counter() - started
    if not any(map(is_coroutine, results[:1])):
        try:
            return packed((results, failures, seconds))
        except BaseException:  # one of the results may be a coroutine
            pass
    if any(map(is_coroutine, results)):
        run_coroutines(results, failures)
        # Coroutines mostly wait, and they wait at the same time. So the size of the next batches is computed from the
        # processor time. The least value limits these batches to MOST_AT_ONCE coroutines.
        seconds = max(time.process_time() - used, BATCH_S * len(calls) / MOST_AT_ONCE)
    return pickled(results, failures, seconds)


def pickled(results: list[Any], failures: dict[int, Failure], seconds: float) -> bytes:
    """Returns the answer. A result that cannot be pickled becomes a failure, and the other results are kept."""
    try:
        return packed((results, failures, seconds))
    except BaseException:
        pass
    for index, result in enumerate(results):
        try:
            dumps(result)
        except BaseException as error:
            kind = type(result)
            text = f"a result of type {kind.__module__}.{kind.__qualname__} cannot be pickled: {text_of(error)}"
            failures[index] = "result_not_picklable", text, None, ""
            results[index] = None
    return dumps((results, failures, seconds))


def misfit(theirs: Optional[tuple[str, str]]) -> str:
    """Returns why this process may be unable to read objects of the client; "" if the versions fit. The minor version of
    Python must be the same, because functions are sent as bytecode."""
    (python, cloudpickle), other = state["versions"] or ("", ""), theirs or ("?", "?")
    if other[0] == python and other[1].split(".")[0] == cloudpickle.split(".")[0]:
        return ""
    return (f"the client has Python {other[0]} and cloudpickle {other[1]}, but the worker has Python {python} and "
            f"cloudpickle {cloudpickle}; they need the same Python 3.N and the same major version of cloudpickle")


def answer_to(item: bytes) -> bytes:
    function_data, form, calls_data, versions, sent = pickle.loads(binascii.a2b_base64(item))
    started, used = time.perf_counter(), time.process_time()
    if versions != state["versions"] and misfit(versions):
        return pickle.dumps((None, {0: ("versions_differ", misfit(versions), None, "")}, 0.0), PROTOCOL)
    if state["broken"]:
        return pickle.dumps((None, {0: state["broken"]}, 0.0), PROTOCOL)
    kind = "function_not_unpicklable"
    try:
        add_pieces(sent)
        function = function_of(function_data)
        kind = "call_not_unpicklable"
        calls = read_object(read_file(calls_data)) if type(calls_data) is str else pickle.loads(calls_data)
    except MissingObject as missing:
        return pickle.dumps((None, {0: ("missing_object", "%s %d" % missing.args, None, "")}, 0.0), PROTOCOL)
    except BaseException as error:
        return pickle.dumps((None, {0: failure_of(error, kind)}, 0.0), PROTOCOL)
    return answer_of(function, form, calls, started, used)


def lines_of(fd: int) -> Iterator[bytes]:
    parts: list[bytes] = []
    while True:
        block = os.read(fd, READ_BYTES)
        if not block:
            return
        *whole, rest = block.split(b"\n")
        for line in whole:
            parts.append(line)
            yield b"".join(parts)
            parts.clear()
        parts.append(rest)


def write_all(fd: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left):]


def serve(items_fd: int, answers_fd: int) -> None:
    for line in lines_of(items_fd):
        before, _, item = line.rstrip(b'"}').partition(b',"item":"')
        try:
            answer = answer_to(item)
        except BaseException:
            if not state["is_child"]:
                raise
            os._exit(1)
        if state["is_child"]:
            os._exit(0)  # the function has called fork(), and has returned in the child too
        write_all(answers_fd, b'%s,"value":"%s"}\n' % (before, binascii.b2a_base64(answer, newline=False)))


def claim_stdio() -> tuple[int, int]:
    """Prevents the calls from reading the items, and from printing into the answers."""
    items_fd, answers_fd = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    sys.stdout = open(1, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)

    def isolate_child() -> None:
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, items_fd, inheritable=False)
        os.dup2(null, answers_fd, inheritable=False)
        os.close(null)
        state["is_child"] = True

    os.register_at_fork(after_in_child=isolate_child)
    return items_fd, answers_fd


def prepare(path: str) -> None:
    with open(path, "rb") as file:
        start = pickle.load(file)
    sys.path[:] = start["path"]
    sys.argv[:] = start["argv"]
    state["folder"] = start["folder"]
    if start["authkey"]:
        from multiprocessing import process
        process.current_process().authkey = start["authkey"]
    if start["initializer"] is None:
        return
    try:
        function, arguments = pickle.loads(start["initializer"])
        result = function(*arguments)
        if is_coroutine(result):
            event_loop().run_until_complete(result)
    except BaseException as error:
        kind, text, data, trace = failure_of(error)
        state["broken"] = "initializer", text, data, trace


def make_objects_module() -> None:
    """Makes the module fantail_objects. The pickle of a shared object refers to its function `load`, see _shared.py."""
    module = sys.modules.setdefault("fantail_objects", type(sys)("fantail_objects"))
    load_object.__module__, load_object.__name__, load_object.__qualname__ = "fantail_objects", "load", "load"
    module.load = load_object  # type: ignore[attr-defined]


def main() -> None:
    items_fd, answers_fd = claim_stdio()
    make_objects_module()
    if len(sys.argv) > 1:
        prepare(sys.argv[1])
    else:
        import cloudpickle
        state["versions"] = "%d.%d" % sys.version_info[:2], cloudpickle.__version__
    write_all(answers_fd, b"#ready\n")
    serve(items_fd, answers_fd)


if __name__ == "__main__":
    main()
