#!/usr/bin/env python3
"""fantail-host-python MODULE:FUNCTION: calls a Python function for every item.

The function gets the item, which is decoded JSON, and returns its value: anything that JSON can express. Generators, sets
and other iterables become arrays. A parameter named `common` gets the job's common value. A parameter named `traceparent`
or `tracestate` gets the span that the item belongs to (W3C Trace Context), or None. An exception is the item's error. What
the function prints goes to the worker's log. The working directory is on sys.path.

Each line on stdin is one item. A line that begins with '#' is a control line and gets no answer. Each item gets one line on
stdout, in the same order: {"value":...} or {"error":{...}}. The main thread writes answers together, when it has no more
items. If an item takes long, a helper thread writes the answers before it, so that no answer waits for the next item.
"""
import _thread
import json
import os
import sys
import time
from json.encoder import encode_basestring_ascii as encode_string

READ_BYTES = 1 << 18
FLUSH_CHARS = 1 << 18
PERIOD_S = 0.02
IDLE_PERIODS = 25
TRACEBACK_BYTES = 2048


class Answers:
    """The answer lines that are not written yet."""

    def __init__(self, fd):
        self.fd = fd
        self.lines = []
        self.lock = _thread.allocate_lock()
        self.helper_awake = False  # the helper exists and does not sleep
        self.wake = None
        self.is_child = False  # this process is not the host: the task has forked it

    def flush(self):
        with self.lock:
            # The main thread may append meanwhile, so only the lines that are written now are removed.
            count = len(self.lines)
            data = memoryview("".join(self.lines[:count]).encode())
            del self.lines[:count]
            try:
                while data:
                    data = data[os.write(self.fd, data):]
            except BrokenPipeError:
                os._exit(0)

    def need_helper(self):
        """Call it before an item runs while answers wait."""
        self.helper_awake = True
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
            if idle > IDLE_PERIODS:
                self.helper_awake = False
                self.wake.acquire()
                idle = 0


def to_json(value):
    """For values that json does not encode by itself: iterables become arrays."""
    if hasattr(value, "__iter__") and not isinstance(value, (bytes, bytearray, memoryview)):
        return list(value)
    raise TypeError(f"a value of type {type(value).__name__} cannot be expressed in JSON")


encode_other = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=True, default=to_json).encode


def encode(value):
    kind = type(value)
    if kind is int:
        return int.__repr__(value)
    if kind is str:
        return encode_string(value)
    return encode_other(value)


decoder = json.JSONDecoder()


def decode(line):
    """Decodes one item. The scanner alone is several times faster than json.loads(), and usually enough."""
    try:
        value, end = decoder.scan_once(line, 0)
        if end == len(line):
            return value
    except StopIteration:
        pass
    return decoder.decode(line)


def describe(error):
    if isinstance(error, MemoryError):
        return '{"error":{"name":"out_of_memory","cause":"MemoryError"}}\n'
    import traceback

    cause = "".join(traceback.format_exception_only(type(error), error)).strip()
    frames = error.__traceback__.tb_next  # without the frame of this file
    trace = "".join(traceback.format_exception(type(error), error, frames))[-TRACEBACK_BYTES:]
    return (
        '{"error":{"name":"task_error","cause":%s,"traceback":%s}}\n'
        % (encode_string(cause), encode_string(trace))
    )


EXTRAS = ("common", "traceparent", "tracestate")


def wanted_extras(function):
    """The keyword arguments that the function takes besides the item, without values yet."""
    code = getattr(function, "__code__", None)
    if code:
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    else:
        import inspect  # slow to import, and seldom needed

        try:
            names = inspect.signature(function).parameters
        except (TypeError, ValueError):
            names = ()
    return {name: None for name in EXTRAS if name in names}


def apply_control(line, extras):
    """Sets the keyword argument that a control line names, for the items after it."""
    word, _, value = line[1:].partition(" ")
    if word == "traceparent" and "tracestate" in extras:
        extras["tracestate"] = None
    if word in extras:
        extras[word] = json.loads(value) if word == "common" else value or None


def load(name):
    module_name, _, function_name = name.partition(":")
    if not module_name or not function_name:
        sys.exit(f"fantail-host-python: {name}: the argument must be MODULE:FUNCTION")
    sys.path.insert(0, os.getcwd())
    __import__(module_name)
    target = sys.modules[module_name]
    for part in function_name.split("."):
        target = getattr(target, part)
    if not callable(target):
        sys.exit(f"fantail-host-python: {name} is not a function")
    return target


def blocks_of_lines(fd):
    """Yields lists of the whole lines that have arrived. A last line without a newline was cut off and is not an item."""
    parts = []
    while True:
        block = os.read(fd, READ_BYTES)
        if not block:
            return
        cut = block.rfind(b"\n")
        if cut < 0:
            parts.append(block)
            continue
        parts.append(block[:cut])
        yield b"".join(parts).decode("utf-8", "surrogateescape").split("\n")
        parts = [block[cut + 1:]]


def serve(function, items_fd, answers):
    extras = wanted_extras(function)
    answer = answers.lines.append
    for lines in blocks_of_lines(items_fd):
        left, size = len(lines), 0
        for line in lines:
            left -= 1
            if line.startswith("#"):
                apply_control(line, extras)
                continue
            try:
                item = decode(line)
                value = function(item, **extras) if extras else function(item)
                text = '{"value":%s}\n' % encode(value)
            except Exception as error:
                text = describe(error)
            if answers.is_child:
                os._exit(0)
            answer(text)
            size += len(text)
            if size > FLUSH_CHARS or not left:
                answers.flush()
                size = 0
            elif not answers.helper_awake:
                answers.need_helper()
        answers.flush()


def claim_stdio():
    """Lets the task neither read items nor print between the answers."""
    items_fd, answers_fd = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    sys.stdout.reconfigure(line_buffering=True)
    return items_fd, answers_fd


def isolate_child(items_fd, answers):
    """Runs in a process that the task has forked. It has copies of our pipes, and of answers that it must not write again.
    Its copy of the lock may be held by a thread that was not copied."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, items_fd, inheritable=False)
    os.dup2(null, answers.fd, inheritable=False)
    os.close(null)
    answers.lock = _thread.allocate_lock()
    answers.is_child = True


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    items_fd, answers_fd = claim_stdio()
    answers = Answers(answers_fd)
    os.register_at_fork(after_in_child=lambda: isolate_child(items_fd, answers))
    function = load(sys.argv[1])
    try:
        serve(function, items_fd, answers)
    finally:
        answers.flush()


if __name__ == "__main__":
    main()
