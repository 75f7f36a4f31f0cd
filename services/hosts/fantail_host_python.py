#!/usr/bin/env python3
"""fantail-host-python [OPTION VALUE]... MODULE:FUNCTION: calls a Python function for every item.

The function gets the item as decoded JSON, and returns the item's value. A table in docs/protocol.md shows how Python values
are converted to JSON. A parameter named `common` gets the job's common value. A parameter named `traceparent` or `tracestate`
gets the span of the item (W3C Trace Context), or None. If the function raises an exception or calls sys.exit(), the item
fails. The output that the function prints goes to standard error.

If MODULE:FUNCTION is a class whose instances can be called, this program makes one instance and calls it for every item.

--batch N                the function gets a list of up to N items, and returns a list with one value for each of them
--concurrency N          the function is an async function, and up to N items run at the same time; see below
--setup MODULE:FUNCTION  this function is called once, without arguments, before the task's function is loaded
--folder PATH            the task's folder; default: the working directory

The task's folder is the first entry of sys.path. So the task's modules take precedence over libraries of the same name, even
over those that this program uses itself. But this program itself continues to use the libraries.

If the function cannot be loaded, this program writes the traceback to standard error and ends with status 1. Without an
argument of the form MODULE:FUNCTION, this program ends with status 2.

When the function is loaded, this program writes the line #ready to stdout. After that, each line on stdin is one item, except
control lines, which begin with '#' and get no answer. Each item gets one line on stdout, in the same order: {"value":...} or
{"error":{...}}. The main thread writes answers together, when it has no more items or when many characters are buffered. If an
item takes a long time, a helper thread writes the answers to the items before it. So a finished answer does not wait for the
next item. After writing these answers, the helper thread writes the line #flushed. #flushed means that all finished answers
are written, and that the answer of the present item will be written before the next item begins. So the worker knows which
item runs.

With --concurrency, an item is the line {"id":N,"item":...}, and its answer has the same id. Each item is an asyncio task in the
one event loop of this program, and begins when its line is read. The worker never sends more than N items that have no answer
yet. The line #cancel ID cancels the task of an item, which then gets an answer like any other item. A line that an item prints
to sys.stdout or sys.stderr is written as #log ID TEXT, so that the worker knows which item has printed it. If an item blocks
the event loop, a helper thread writes #blocked ID, and #blocked 0 when the loop runs again. The setup
function and the task's function are loaded while the loop runs, and the setup function may be an async function too.
"""
import sys

# The modules that the interpreter imports before it runs a program, and three modules that nearly all libraries need. A module
# of the task does not replace these modules. The set is made before the other imports, because they import more built-in
# modules.
OF_INTERPRETER = frozenset(sys.builtin_module_names) & frozenset(sys.modules) | {
    "__main__", "_collections_abc", "_sitebuiltins", "abc", "codecs", "encodings", "genericpath", "importlib", "io", "os",
    "posixpath", "site", "stat", "types", "warnings", "zipimport"}

import _thread
import binascii
import json
import os
import select
import time
import traceback
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from json.encoder import encode_basestring_ascii as encode_string

READ_BYTES = 1 << 18
FLUSH_CHARS = 1 << 18
PERIOD_S = 0.02
IDLE_PERIODS = 25
TRACEBACK_BYTES = 2048
CO_COROUTINE, CO_ASYNC_GENERATOR = 0x80, 0x200  # copied from the module inspect, whose import is slow
WATCH_S = 0.3  # an item that blocks the event loop for about this time is named
BATCH_WAIT_MS = 1  # how long a batch that is not full waits for the next item
LOG_CHARACTERS = 16384  # a longer printed line becomes several #log lines of up to 64 KiB, which the worker does not divide
CAUSE_CHARACTERS = 65536  # the worker refuses an error of more than 1 MiB; a character takes up to 12 bytes


class Answers:
    """The answer lines that are not written yet."""

    def __init__(self, fd):
        self.fd = fd
        self.lines = []
        self.lock = _thread.allocate_lock()
        self.needs_main = True  # attend() must be called before the next item: the helper is asleep, or has asked for a flush
        self.flush_asked = False  # the helper has asked for a flush after the present item, and has written #flushed
        self.is_serving = False  # the main thread runs items, and does not wait for more
        self.wake = None
        self.is_child = False  # this process is a child that the task has forked, not the host

    def flush(self):
        with self.lock:
            self._write_lines()

    def _write_lines(self):
        # The main thread may append lines during this call. So this function removes only the lines that it writes.
        count = len(self.lines)
        if not count:
            return
        data = "".join(self.lines[:count]).encode()
        del self.lines[:count]
        self.flush_asked = False
        self._write(data)

    def _write(self, data):
        data = memoryview(data)
        try:
            while data:
                data = data[os.write(self.fd, data):]
        except BrokenPipeError:
            os._exit(0)

    def attend(self):
        """Does what the helper has asked for, and wakes or starts the helper. If needs_main is set, call it before an item
        runs. This call is not needed if the item is the only one that has arrived and there are no unwritten answers."""
        with self.lock:
            self._write_lines()
            self.needs_main = self.flush_asked
        if self.wake is None:
            self.wake = _thread.allocate_lock()
            self.wake.acquire()
            _thread.start_new_thread(self._run_helper, ())
        elif self.wake.locked():
            self.wake.release()

    def _run_helper(self):
        idle = 0
        while True:
            time.sleep(PERIOD_S)
            idle = 0 if self.lines else idle + 1
            if self.lines:
                self.flush()
            elif self.is_serving and not self.flush_asked:
                self._say_flushed()
            if idle > IDLE_PERIODS:
                with self.lock:
                    self.needs_main = True
                self.wake.acquire()
                idle = 0

    def _say_flushed(self):
        """Asks the main thread to flush after the present item. If there are no unwritten answers, also writes #flushed. If
        the main thread appends an answer after the check below, it sees the request and flushes."""
        with self.lock:
            self.flush_asked = self.needs_main = True
            if self.lines:
                self._write_lines()
            else:
                self._write(b"#flushed\n")


NOT_A_TIME = "NaT cannot be expressed in JSON; return None or a string instead"
NOT_FINITE = "NaN and infinity cannot be expressed in JSON; return None or a string instead"


def type_name(value):
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def refuse(value, why="cannot be expressed in JSON"):
    raise TypeError(f"a value of type {type_name(value)} {why}")


def of_library(module, name):
    """Returns a class of a library. If the library is not imported, no value can have that class, so returns ()."""
    found = getattr(sys.modules.get(module), name, None)
    return found if isinstance(found, type) else ()


def from_numpy(value):
    """Converts a NumPy scalar or array."""
    numpy, kind = sys.modules["numpy"], value.dtype.kind
    if kind in "Mm" and numpy.isnat(value).any():
        raise ValueError(NOT_A_TIME)
    if kind == "M":
        return numpy.datetime_as_string(value).tolist()
    if kind == "m":
        return (value / numpy.timedelta64(1, "s")).tolist()
    if kind == "c":
        refuse(value, "has complex numbers, which JSON does not have")
    if kind == "f" and value.dtype.itemsize > 8:
        return value.astype("f8").tolist()
    return value.tolist()


def is_table(value):
    """Returns whether the value is a DataFrame of any library."""
    return any(base.__name__ in ("DataFrame", "LazyFrame") for base in type(value).__mro__)


def from_time(value):
    """Converts a datetime, date, time or timedelta, including those of pandas. Returns any other value unchanged."""
    if isinstance(value, (of_library("datetime", "date"), of_library("datetime", "time"))):
        if value != value:
            raise ValueError(NOT_A_TIME)
        return value.isoformat()
    if isinstance(value, of_library("datetime", "timedelta")):
        return value.total_seconds()
    return value


def scalar(value):
    """Converts a scalar to a value that json can encode. Returns any other value unchanged."""
    converted = from_time(value)
    if converted is not value:
        return converted
    if isinstance(value, of_library("decimal", "Decimal")):
        if not value.is_finite():
            raise ValueError(NOT_FINITE)
        return str(value)
    if isinstance(value, (of_library("uuid", "UUID"), of_library("ipaddress", "_IPAddressBase"))):
        return str(value)
    if isinstance(value, of_library("fractions", "Fraction")):
        return str(value)
    if isinstance(value, of_library("enum", "Enum")):
        return value.value
    if isinstance(value, of_library("numpy", "generic")):
        return from_numpy(value)
    if hasattr(value, "__fspath__"):
        return os.fspath(value)
    return value


spent = {}  # keeps the items of the iterators in the current value, because an iterator can be read only once


def to_json(value):
    """Converts a value that json cannot encode by itself."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return binascii.b2a_base64(value, newline=False).decode()
    converted = scalar(value)
    if converted is not value:
        return converted
    if is_table(value):
        refuse(value, "is not converted, because there are several ways to do that; return value.to_dict(\"records\") "
                      "for a DataFrame of pandas, or value.to_dicts() for one of polars")
    if isinstance(value, of_library("numpy", "ndarray")):
        return from_numpy(value)
    if isinstance(value, type):
        refuse(value)
    fields = getattr(value, "__dataclass_fields__", None)
    if fields is not None:
        return {name: getattr(value, name) for name in fields if hasattr(value, name)}
    if hasattr(value, "model_dump"):  # pydantic
        return value.model_dump()
    for convert in "tolist", "to_list":  # arrays and columns of many libraries: array, torch, pandas, polars
        if callable(getattr(value, convert, None)):
            return getattr(value, convert)()
    if hasattr(value, "keys") and hasattr(value, "__getitem__"):
        return {key: value[key] for key in value.keys()}
    if id(value) in spent:
        return spent[id(value)][1]
    if hasattr(value, "__iter__"):
        items = list(value)
        if hasattr(value, "__next__"):
            spent[id(value)] = value, items
        return items
    return refuse(value)


def plain_key(key):
    """Returns a key of a dict as a string. If the module json supports the type of the key, the string is the same as the one
    that json would make."""
    if key is None or isinstance(key, (bool, int, float)):
        return key if isinstance(key, str) else encode_other(key)
    converted = scalar(key)
    if converted is key:
        raise TypeError(f"a key of type {type_name(key)} cannot be expressed in JSON: keys are strings")
    return converted if isinstance(converted, str) else plain_key(converted)


def with_plain_keys(value, depth=0):
    """Returns the same value with string keys in all dicts."""
    if depth > 500:
        raise ValueError("the value is nested too deeply, or contains itself")
    if isinstance(value, dict):
        plain = {}
        for key, member in value.items():
            name = key if isinstance(key, str) else plain_key(key)
            if name in plain:
                raise ValueError(f"two keys of a dict are both {encode_string(name)} in JSON")
            plain[name] = with_plain_keys(member, depth + 1)
        return plain
    if isinstance(value, (list, tuple)):
        return [with_plain_keys(member, depth + 1) for member in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    return with_plain_keys(to_json(value), depth + 1)


encode_other = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=True, default=to_json).encode


def encode_any(value):
    """Encodes a value of any type. Converts the parts that json cannot encode by itself."""
    try:
        return encode_other(value)
    except TypeError as error:
        if not str(error).startswith("keys must be"):
            raise
    except ValueError as error:
        if "JSON compliant" in str(error):
            raise ValueError(NOT_FINITE) from None
        raise
    return encode_other(with_plain_keys(value))


def encode(value):
    kind = type(value)
    if kind is int:
        return int.__repr__(value)
    if kind is str:
        return encode_string(value)
    try:
        return encode_any(value)
    finally:
        spent.clear()


decoder = json.JSONDecoder()


def decode(line):
    """Decodes one item. Tries the scanner first, because the scanner is several times faster than json.loads() and usually
    sufficient."""
    try:
        value, end = decoder.scan_once(line, 0)
        if end == len(line):
            return value
    except StopIteration:
        pass
    return decoder.decode(line)


def place_in_task(file, line):
    """Returns a place such as "ocr.py:12"; None if the file is not the task's own."""
    start = os.path.join(task_folder, "")  # ends with a slash
    if not line or not file.startswith(start) or "/site-packages/" in file:
        return None
    return f"{file[len(start):]}:{line}"


def place_of(error, frames):
    """Returns the innermost place of the task's own code in the frames; None if there is none."""
    place = None
    while frames:
        place = place_in_task(frames.tb_frame.f_code.co_filename, frames.tb_lineno) or place
        frames = frames.tb_next
    if isinstance(error, SyntaxError):  # a SyntaxError has no frame of the code that it is about
        place = place_in_task(error.filename or "", error.lineno) or place
    return place


def as_text(error, frames):
    """Returns the text of the error, and its traceback with only the given frames."""
    try:
        cause = "".join(traceback.format_exception_only(type(error), error)).strip()
        return cause, "".join(traceback.format_exception(type(error), error, frames))
    except Exception:
        # From Python 3.13 on, formatting imports library modules. The task may have a module of the same name, and importing
        # that module may fail.
        cause = f"{type(error).__name__}: {error}"
        return cause, cause + "\n"


def describe(error):
    if isinstance(error, MemoryError):
        return '{"error":{"name":"out_of_memory","cause":"MemoryError"}}\n'
    frames = error.__traceback__
    if frames and frames.tb_frame.f_code.co_filename == load.__code__.co_filename:
        frames = frames.tb_next  # without the frame of this file
    cause, trace = as_text(error, frames)
    place = place_of(error, frames)
    more = ',"place":' + encode_string(place) if place else ""
    if len(cause) > CAUSE_CHARACTERS:
        more += ',"cut":{"cause":%d}' % len(cause.encode("utf-8", "surrogatepass"))
    cause, trace = cause[:CAUSE_CHARACTERS], trace[-TRACEBACK_BYTES:]
    return '{"error":{"name":"task_error","cause":%s,"traceback":%s%s}}\n' % (encode_string(cause), encode_string(trace), more)


def report_load_failure(error):
    """Writes the traceback without the frames of this program. The last line ends with the place in the task's code, or with
    the task's folder if no code of the task is at fault. So the last line alone is enough to find the mistake."""
    frames = error.__traceback__
    while frames:
        file = frames.tb_frame.f_code.co_filename
        if file != load.__code__.co_filename and not file.startswith("<frozen importlib"):
            break
        frames = frames.tb_next
    place = place_of(error, frames) or f"in the folder {task_folder}"
    text = as_text(error, frames)[1].rstrip("\n") + f" ({place})\n"
    data = text.encode("utf-8", "backslashreplace")
    while data:
        data = data[os.write(2, data):]


OPTIONS = ("--batch", "--concurrency", "--setup", "--folder")
EXTRAS = ("common", "traceparent", "tracestate")


class TaskFinder:
    """Finds the task's modules, even those that have the name of a built-in module. Without this finder, the
    interpreter would look for a built-in module first."""

    def __init__(self, folder):
        self.folder = folder
        self.names = {entry.partition(".")[0] for entry in os.listdir(folder)} - OF_INTERPRETER

    def find_spec(self, name, path=None, target=None):
        spec = PathFinder.find_spec(name, [self.folder]) if path is None and name in self.names else None
        return spec if spec and spec.has_location else None


def library_module(name):
    """Imports a module of the standard library, even if the task has a module of the same name."""
    path, finders = sys.path, sys.meta_path
    sys.path, sys.meta_path = path[1:], [finder for finder in finders if not isinstance(finder, TaskFinder)]
    try:
        return __import__(name)
    finally:
        sys.path, sys.meta_path = path, finders


def wanted_extras(function):
    """Returns the keyword arguments that the function takes besides the item. The values of these arguments are still None."""
    code = getattr(function, "__code__", None)
    if code:
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    else:
        try:  # inspect is slow to import, and seldom needed
            names = library_module("inspect").signature(function).parameters
        except Exception:
            names = ()
    return {name: None for name in EXTRAS if name in names}


def sets_extra(line, extras):
    """Returns whether the function can see the value of this control line."""
    word = line[1:].partition(" ")[0]
    return word in extras or word == "traceparent" and "tracestate" in extras


def apply_control(line, extras):
    """Sets the keyword argument that a control line names. The value is for the items after this line."""
    word, _, value = line[1:].partition(" ")
    if word == "traceparent" and "tracestate" in extras:
        extras["tracestate"] = None
    if word in extras:
        extras[word] = json.loads(value) if word == "common" else value or None


def prefer_task_modules(folder):
    """Removes each module from sys.modules if the task has a module of the same name. So the next import gets the task's
    module. This program itself keeps using the modules that it has already imported."""
    finder = TaskFinder(folder)
    shadowed = {name for name in finder.names if name in sys.modules and finder.find_spec(name)}
    for name in list(sys.modules):
        if name.partition(".")[0] in shadowed:
            del sys.modules[name]
    sys.meta_path.insert(0, finder)


own_modules = {}  # modules of the task that sys.modules does not have, because the interpreter uses their names


def import_task(module_name, folder):
    """Returns the task's module. If the interpreter uses a module of the same name, the interpreter's module stays in
    sys.modules."""
    if module_name in own_modules:
        return own_modules[module_name]
    spec = PathFinder.find_spec(module_name, [folder]) if module_name in OF_INTERPRETER else None
    if spec is None or not spec.has_location:
        __import__(module_name)
        return sys.modules[module_name]
    module = own_modules[module_name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


task_folder = os.getcwd()


def enter_folder(folder):
    """Makes this process import modules from the task's folder first."""
    global task_folder
    task_folder = folder
    if sys.path and sys.path[0] == os.path.dirname(os.path.realpath(__file__)):
        del sys.path[0]  # the directory of this program has no modules for the task
    sys.path.insert(0, folder)
    prefer_task_modules(folder)


def is_async(function):
    """Returns whether this is an async function, or an object that can be called like an async function."""
    code = getattr(function, "__code__", None) or getattr(getattr(type(function), "__call__", None), "__code__", None)
    return bool(getattr(code, "co_flags", 0) & (CO_COROUTINE | CO_ASYNC_GENERATOR))


def load(name, folder):
    """Returns the function MODULE:FUNCTION."""
    module_name, _, function_name = name.partition(":")
    if not module_name or not function_name:
        print(f"fantail-host-python: {name} in the folder {folder}: the argument must be MODULE:FUNCTION", file=sys.stderr)
        sys.exit(2)
    target = import_task(module_name, folder)
    for part in function_name.split("."):
        target = getattr(target, part)
    if not callable(target):
        sys.exit(f"fantail-host-python: {name} in the folder {folder} is not a function")
    return target


def made_from(target):
    """If the task is a class whose instances can be called, returns an instance. In all other cases, returns the task
    itself."""
    is_called = isinstance(target, type) and any("__call__" in vars(base) for base in target.__mro__)
    return target() if is_called else target


def refuse_async(function, name, folder):
    if is_async(function):
        sys.exit(f"fantail-host-python: {name} in the folder {folder} is an async function. Set \"concurrency\" in task.json: "
                 "the number of items that one process runs at the same time")


def load_task(name, setup, folder):
    """Runs the setup function, and returns the task's function."""
    if setup:
        prepare = load(setup, folder)
        refuse_async(prepare, setup, folder)
        prepare()
    target = load(name, folder)
    refuse_async(target, name, folder)
    function = made_from(target)
    refuse_async(function, name, folder)
    return function


def read_lines(fd, parts):
    """Calls read() once. Returns a list of the whole lines that have arrived. The list may be empty. At the end of the input,
    returns None. `parts` keeps the unfinished line."""
    block = os.read(fd, READ_BYTES)
    if not block:
        return None
    cut = block.rfind(b"\n")
    if cut < 0:
        parts.append(block)
        return []
    lines = b"".join([*parts, block[:cut]]).decode("utf-8", "surrogateescape").split("\n")
    parts[:] = [block[cut + 1:]]
    return lines


def blocks_of_lines(fd):
    """Yields lists of whole lines as they arrive. If the last line has no newline, it was cut off and is not an item."""
    parts = []
    while (lines := read_lines(fd, parts)) is not None:
        if lines:
            yield lines


def flush_prints(prints=(sys.stdout, sys.stderr)):
    """Writes what the task has printed without a newline, so that it comes before the answer. Without this function, that text
    would be lost if this process were killed at the end of a run. A task may have replaced or closed the streams."""
    for stream in prints:
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass


def serve(function, items_fd, answers):
    extras = wanted_extras(function)
    answer = answers.lines.append
    for lines in blocks_of_lines(items_fd):
        left, size = len(lines), 0
        answers.is_serving = True
        if left > 1 and answers.needs_main:
            answers.attend()
        for line in lines:
            left -= 1
            if line.startswith("#"):
                apply_control(line, extras)
                continue
            try:
                item = decode(line)
                value = function(item, **extras) if extras else function(item)
                text = '{"value":%s}\n' % encode(value)
            except BaseException as error:  # also catches sys.exit(), so that it ends the item and not this process
                if answers.is_child:
                    raise
                text = describe(error)
            if answers.is_child:
                os._exit(0)
            answer(text)
            size += len(text)
            if size > FLUSH_CHARS or not left:
                flush_prints()
                answers.flush()
                size = 0
            elif answers.needs_main:
                answers.attend()
        answers.flush()
        answers.is_serving = False


def batch_fault(values, count):
    """Returns what is wrong with the value that the function returned for `count` items; None if nothing is."""
    if isinstance(values, list):
        if len(values) == count:
            return None
        return f"the function returned {len(values)} values for a batch of {count} items"
    return f"the function must return a list with one value for each item of its batch, and not a value of type {type_name(values)}"


def as_list(values):
    """Converts a list, a tuple, an array or a generator to a list of its values. Returns any other value unchanged."""
    if isinstance(values, (str, bytes, bytearray, set, frozenset)) or hasattr(values, "keys") or is_table(values):
        return values
    return list(values) if hasattr(values, "__iter__") else values


def answer_of(value):
    """Returns the answer line for one value of a batch. If the value is an exception, the exception is the error of the
    item."""
    if isinstance(value, BaseException):
        return describe(value)
    try:
        return '{"value":%s}\n' % encode(value)
    except BaseException as error:
        return describe(error)


def run_batch(function, lines, extras, answers):
    """Returns the answer lines of a batch. If the function raises an exception, each half of the batch runs again, until the
    item at fault is alone. The items of each half are decoded again, because the function may have changed them."""
    try:
        items = [decode(line) for line in lines]
        values = as_list(function(items, **extras))
    except BaseException as error:
        if answers.is_child:
            raise
        if len(lines) == 1:
            return [describe(error)]
    else:
        if answers.is_child:
            os._exit(0)
        fault = batch_fault(values, len(lines))
        return [describe(TypeError(fault))] * len(lines) if fault else [answer_of(value) for value in values]
    half = len(lines) // 2
    return run_batch(function, lines[:half], extras, answers) + run_batch(function, lines[half:], extras, answers)


def serve_batches(function, most, items_fd, answers):
    """Like serve(), for a function that gets a list of up to `most` items. Items that have arrived together, and items that
    arrived while the function was running, are in one list."""
    extras = wanted_extras(function)
    more = select.poll()
    more.register(items_fd, select.POLLIN)
    batch = []

    def run():
        if batch:
            answers.lines.extend(run_batch(function, batch, extras, answers))
            flush_prints()
            answers.flush()
            batch.clear()

    for lines in blocks_of_lines(items_fd):
        for line in lines:
            if line.startswith("#"):
                if sets_extra(line, extras):
                    run()
                apply_control(line, extras)
                continue
            batch.append(line)
            if len(batch) == most:
                run()
        if batch and not more.poll(BATCH_WAIT_MS):
            run()
    run()


class Prints:
    """Takes the place of sys.stdout or sys.stderr. `say` gets each line that an item prints, and the item's id. Output that no
    item has printed goes to the stream."""

    def __init__(self, stream, current_id, say):
        self.stream, self.current_id, self.say = stream, current_id, say
        self.begun = {}  # item id: the unfinished line of the item

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def write(self, text):
        item_id = self.current_id.get()
        if item_id is None:
            return self.stream.write(text)
        *lines, rest = (self.begun.pop(item_id, "") + text).split("\n")
        for line in lines:
            self.say(item_id, line)
        if len(rest) > LOG_CHARACTERS:  # not all of the rest is kept, so that an endless line takes limited time and memory
            whole = (len(rest) - 1) // LOG_CHARACTERS * LOG_CHARACTERS
            self.say(item_id, rest[:whole])
            rest = rest[whole:]
        if rest:
            self.begun[item_id] = rest
        return len(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def end(self, item_id):
        if item_id in self.begun:
            self.say(item_id, self.begun.pop(item_id))


class Coroutines:
    """Runs the items of an async function at the same time, each as an asyncio task."""

    def __init__(self, items_fd, answers):
        import asyncio
        import contextvars
        import inspect
        import concurrent.futures.thread  # noqa: F401, asyncio imports it late, when the task's modules take precedence
        self.asyncio, self.inspect, self.items_fd, self.answers = asyncio, inspect, items_fd, answers
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.function = self.extras = None
        self.parts = []
        self.tasks = {}  # the task of each item that has no answer yet, by id
        self.has_ended = self.loop.create_future()  # the end of the input
        self.unwritten = 0  # characters; if not 0, flush() will be called
        self.current_id = contextvars.ContextVar("fantail_item", default=None)
        self.prints = [Prints(stream, self.current_id, self.log) for stream in (sys.stdout, sys.stderr)]
        sys.stdout, sys.stderr = self.prints
        self.has_turned = False  # the loop has run since watch() last asked it to
        self.wake_watch = _thread.allocate_lock()
        self.wake_watch.acquire()

    def watch(self):
        """Runs in a thread of its own. Repeatedly checks that the loop runs, and names the item that blocks the loop."""
        while True:
            blocked = None
            self.has_turned = False
            self.loop.call_soon_threadsafe(self.turn)
            time.sleep(WATCH_S)
            while not self.has_turned:
                found = self.running_id()
                if found and found != blocked:
                    self.say_blocked(found)
                    blocked = found
                time.sleep(WATCH_S)
            if blocked:
                self.say_blocked("0")
            if not self.tasks:
                self.wake_watch.acquire()

    def turn(self):
        self.has_turned = True

    def say_blocked(self, item_id):
        self.answers.lines.append(f"#blocked {item_id}\n")
        self.answers.flush()

    def running_id(self):
        """Returns the id of the item whose code runs now; None if it is not known. Called by the thread of watch()."""
        task = self.asyncio.current_task(self.loop)
        if hasattr(task, "get_context"):  # Python 3.12; also finds the item of a task that an item has started
            return task.get_context().get(self.current_id)
        return next((item_id for item_id, other in list(self.tasks.items()) if other is task), None)

    def log(self, item_id, line):
        if self.answers.is_child:
            os.write(2, (line + "\n").encode("utf-8", "backslashreplace"))
            return
        line = line.encode("utf-8", "backslashreplace").decode()
        for at in range(0, len(line) or 1, LOG_CHARACTERS):
            self.answers.lines.append(f"#log {item_id} {line[at:at + LOG_CHARACTERS]}\n")
        self.answers.flush()

    def run(self, coroutine):
        """Runs a coroutine in the loop. A task may call sys.exit(), which ends run_until_complete() but not this program."""
        task = self.loop.create_task(coroutine)
        while True:
            try:
                return self.loop.run_until_complete(task)
            except (SystemExit, KeyboardInterrupt):
                if task.done():
                    raise

    async def load(self, name, setup, folder):
        if setup:
            made = load(setup, folder)()
            if hasattr(made, "__await__"):
                await made
        self.function = made_from(load(name, folder))
        if not self.is_coroutine_function(self.function):
            sys.exit(f"fantail-host-python: {name} in the folder {folder} is not an async function, but \"concurrency\" in "
                     "task.json needs one. Write \"async def\", or remove \"concurrency\"")
        self.extras = wanted_extras(self.function)

    def is_coroutine_function(self, function):
        """Also recognises an async function in a functools.partial or in a decorator's wrapper."""
        while function is not None:
            called = getattr(type(function), "__call__", None)
            if any(map(self.inspect.iscoroutinefunction, (function, called))):
                return True
            function = getattr(function, "func", None) or getattr(function, "__wrapped__", None)
        return False

    async def serve(self):
        _thread.start_new_thread(self.watch, ())
        self.loop.add_reader(self.items_fd, self.on_readable)
        await self.has_ended
        if self.tasks:
            await self.asyncio.wait(list(self.tasks.values()))
        self.flush()

    def on_readable(self):
        lines = read_lines(self.items_fd, self.parts)
        if lines is None:
            self.loop.remove_reader(self.items_fd)
            self.has_ended.set_result(None)
            return
        if self.answers.needs_main:
            self.answers.attend()
        if self.wake_watch.locked():
            self.wake_watch.release()
        for line in lines:
            if line.startswith("#cancel "):
                if line[8:] in self.tasks:
                    self.loop.call_soon(self.tasks[line[8:]].cancel)  # later, because answer() must have begun
            elif line.startswith("#"):
                apply_control(line, self.extras)
            else:
                begin, _, text = line.partition(',"item":')
                item_id = begin[6:]  # after {"id":
                self.tasks[item_id] = self.loop.create_task(self.answer(item_id, text[:-1], dict(self.extras)))

    async def answer(self, item_id, text, extras):
        self.current_id.set(item_id)
        try:
            value = await self.function(decode(text), **extras)
            line = '{"id":%s,"value":%s}\n' % (item_id, encode(value))
        except BaseException as error:
            line = '{"id":%s,%s' % (item_id, describe(error)[1:])
        for prints in self.prints:
            prints.end(item_id)
        if self.answers.is_child:
            os._exit(0)  # the task has forked, and the other items belong to the host
        del self.tasks[item_id]
        self.answers.lines.append(line)
        if not self.unwritten:
            self.loop.call_soon(self.flush)
        self.unwritten += len(line)
        if self.unwritten > FLUSH_CHARS:
            self.flush()

    def flush(self):
        self.answers.flush()
        self.unwritten = 0


def claim_stdio():
    """Takes stdin and stdout away from the task, so that it cannot read items or print between the answers."""
    items_fd, answers_fd = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    sys.stdout.reconfigure(line_buffering=True)
    return items_fd, answers_fd


def write_lines_of_c():
    """Makes C code of the task, such as an extension that calls printf(), write each line immediately. Without this function,
    the C library would keep the lines until the process ends, because standard output is a pipe."""
    try:
        import ctypes
    except ImportError:  # some builds of Python do not have it
        return
    libc, by_line = ctypes.CDLL(None), 1  # _IOLBF
    libc.setvbuf(ctypes.c_void_p.in_dll(libc, "stdout"), None, by_line, ctypes.c_size_t(0))


def isolate_child(items_fd, answers):
    """Runs in a process that the task has forked. This process has copies of our pipes and of unwritten answers, and must not
    use these copies. The forked process's copy of the lock may stay locked for ever, because the thread that would release the
    lock does not exist in this process."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, items_fd, inheritable=False)
    os.dup2(null, answers.fd, inheritable=False)
    os.close(null)
    answers.lock = _thread.allocate_lock()
    answers.is_child = True


def read_arguments(arguments):
    """Returns MODULE:FUNCTION and the options. Ends the program if the arguments are wrong."""
    options = {}
    while len(arguments) > 2 and arguments[0] in OPTIONS:
        options[arguments[0]] = arguments[1]
        arguments = arguments[2:]
    most = options.get("--batch", "1"), options.get("--concurrency", "1")
    if len(arguments) != 1 or arguments[0].startswith("-") or not all(n.isdecimal() and int(n) for n in most):
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    return arguments[0], options


def main():
    if sys.argv[1:] == ["--help"]:
        print(__doc__)
        return
    name, options = read_arguments(sys.argv[1:])
    items_fd, answers_fd = claim_stdio()
    write_lines_of_c()
    answers = Answers(answers_fd)
    os.register_at_fork(after_in_child=lambda: isolate_child(items_fd, answers))
    coroutines = Coroutines(items_fd, answers) if "--concurrency" in options else None
    try:
        enter_folder(options.get("--folder") or os.getcwd())
        if coroutines:
            coroutines.run(coroutines.load(name, options.get("--setup"), task_folder))
        else:
            function = load_task(name, options.get("--setup"), task_folder)
    except Exception as error:
        report_load_failure(error)
        sys.exit(1)
    answers.lines.append("#ready\n")
    answers.flush()
    try:
        if coroutines:
            coroutines.run(coroutines.serve())
        elif "--batch" in options:
            serve_batches(function, int(options["--batch"]), items_fd, answers)
        else:
            serve(function, items_fd, answers)
    finally:
        answers.flush()


if __name__ == "__main__":
    main()
