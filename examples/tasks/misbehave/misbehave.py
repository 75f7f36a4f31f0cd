"""Misbehaves in the way that the item names, for tests. The answer to an item without "do" is the item itself.

  {"do": "crash", "signal": 9}       ends by a signal          {"do": "exit", "code": 3}        ends
  {"do": "hang"}                     sleeps for ever           {"do": "burn"}                   computes for ever
  {"do": "sleep", "seconds": 1}      sleeps, then answers      {"do": "error"}                  answers with an error
  {"do": "garbage"}                  a line that is not JSON   {"do": "half"}                   half a line, then hangs
  {"do": "half_exit"}                half a line, then ends    {"do": "many", "lines": 3}       too many lines
  {"do": "huge", "bytes": 100000000} a huge value              {"do": "endless"}                a line without end
  {"do": "close"}                    closes stdout, hangs      {"do": "noise", "bytes": 100000} floods stderr
  {"do": "memory"}                   allocates memory for ever {"do": "child"}                  leaves a child behind
  {"do": "close_stdin"}              closes stdin, hangs       {"do": "empty"}                  an empty line
  {"do": "pid"}                      answers its process id    {"do": "ignore_term"}            ignores SIGTERM, hangs
  {"do": "nan"}                      answers NaN, not JSON     {"do": "count"}                  answers how many items came
  {"do": "kill_worker"}              kills its worker
"""
import json
import os
import signal
import subprocess
import sys
import time

count = 0


def out(text):
    data = text.encode()
    while data:
        data = data[os.write(1, data):]


def value(v):
    out('{"value":%s}\n' % json.dumps(v, separators=(",", ":")))


def hang():
    while True:
        time.sleep(1000)


def crash(item):
    sys.stderr.write("about to crash\n")
    sys.stderr.flush()
    os.kill(os.getpid(), item.get("signal", 9))
    hang()


def kill_worker(item):
    os.kill(os.getppid(), 9)
    hang()


def endless(item):
    out('{"value":"')
    while True:
        out("x" * 65536)


def noise(item):
    left = item.get("bytes", 100000)
    while left > 0:
        left -= os.write(2, b"n" * 99 + b"\n")
    value("noisy")


def burn(item):
    while True:
        pass


def memory(item):
    held = []
    while True:
        held.append(bytearray(b"m") * (16 << 20))


def child(item):
    started = subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL)
    value(started.pid)


def close_and_hang(fd):
    os.close(fd)
    hang()


def ignore_term(item):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    hang()


def half(item):
    out('{"value":')
    hang()


def half_exit(item):
    out('{"value":')
    os._exit(0)


def slow(item):
    time.sleep(item.get("seconds", 1))
    value(item)


DEEDS = {
    "crash": crash,
    "kill_worker": kill_worker,
    "exit": lambda item: os._exit(item.get("code", 3)),
    "hang": lambda item: hang(),
    "burn": burn,
    "sleep": slow,
    "error": lambda item: out('{"error":{"name":"task_error","cause":"as requested"}}\n'),
    "garbage": lambda item: out("this is not JSON\n"),
    "half": half,
    "half_exit": half_exit,
    "many": lambda item: out('{"value":"many"}\n' * item.get("lines", 3)),
    "huge": lambda item: value("x" * item.get("bytes", 100000000)),
    "endless": endless,
    "close": lambda item: close_and_hang(1),
    "close_stdin": lambda item: close_and_hang(0),
    "noise": noise,
    "memory": memory,
    "child": child,
    "empty": lambda item: out("\n"),
    "pid": lambda item: value(os.getpid()),
    "ignore_term": ignore_term,
    "nan": lambda item: out('{"value":NaN}\n'),
    "count": lambda item: value(count),
}

for line in sys.stdin:
    if line.startswith("#"):
        continue
    count += 1
    item = json.loads(line)
    deed = DEEDS.get(item.get("do")) if isinstance(item, dict) else None
    if deed:
        deed(item)
    else:
        value(item)
