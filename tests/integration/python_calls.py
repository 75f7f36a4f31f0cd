"""Functions that the tests of the Python package run in other processes. Also adds the package to sys.path.

A process of a worker imports this module by its name. So the module must not import anything that is slow to import or
that changes the process.
"""
import dataclasses
import os
import pickle
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PACKAGE = os.path.join(ROOT, "clients", "python")
if PACKAGE not in sys.path:
    sys.path.insert(0, PACKAGE)

kept = []


@dataclasses.dataclass
class Point:
    x: int
    y: float

    def shifted(self, by):
        return Point(self.x + by, self.y)


class Block:
    """Has data that pickle need not copy, as a NumPy array has. The id of each process that unpickles a Block is added to a
    file."""

    def __init__(self, data, path):
        self.data, self.path = data, path

    def __reduce_ex__(self, protocol):
        return rebuild_block, (pickle.PickleBuffer(self.data), self.path)


def rebuild_block(data, path):
    with open(path, "ab", buffering=0) as file:
        file.write(b"%d\n" % os.getpid())
    return Block(data, path)


def byte_of(block, index):
    return block.data[index], os.getpid()


def fill(block, byte):
    block.data[0] = byte
    return block.data[0]


class Unloadable(Exception):
    """Can be pickled, but cannot be unpickled."""

    def __init__(self, first, second):
        super().__init__(f"{first} {second}")


class Unpicklable(Exception):
    def __reduce__(self):
        raise TypeError("not this one")


def die_at_thousands(n):
    if n % 1000 == 500:
        os._exit(3)
    return n


def log_and_square(n):
    import logging
    logging.getLogger("fantail.test").debug("in the lock of logging")
    return n * n


def has_imported(name):
    return name in sys.modules


def square(x):
    return x * x


def add(x, y=0):
    return x + y


def same(value):
    return value


def die_at(number, x):
    if x == number:
        os.kill(os.getpid(), 9)
    return x


def raise_at(number, x):
    if x == number:
        raise ValueError(f"{x} is not wanted")
    return x


def raise_it(error):
    raise error


def stop_at(number, x):
    if x == number:
        raise StopIteration
    return x


def complain_and_die(text):
    print(text, file=sys.stderr, flush=True)
    os.abort()


def say_pid_and_sleep(path):
    """Writes the id of this process to a file, and never ends by itself."""
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(str(os.getpid()))
    os.rename(path + ".new", path)
    time.sleep(3600)


def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.01)
    return path


class FileEvent:
    """An event that processes of workers can wait for."""

    def __init__(self, path):
        self.path = path

    def wait(self):
        return wait_for(self.path)

    def set(self):
        with open(self.path, "w", encoding="ascii"):
            pass


def pid(_=None):
    return os.getpid()


def keep(value):
    kept.append(value)


def get_kept(_=None):
    return list(kept)


def fork_and_return(x):
    """Forks a child, which also returns from this function. The child must not send an answer, because only its parent may
    answer."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    return x


def squares_of_nested(numbers):
    import fantail
    with fantail.Executor(1) as executor:
        return list(executor.map(square, numbers))
