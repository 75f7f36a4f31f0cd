"""Objects that each process of a fleet gets only once, however many calls use them.

An object is kept in a file of a folder that only this user can enter. The pickle of the object refers to the file, so
the pickle is small. The processes of a private fleet map the file into their memory, and share its pages. The
processes of a fleet with a URL cannot read the file. The engine sends it in pieces to each process that asks for it.
"""
from __future__ import annotations

import atexit
import contextlib
import hashlib
import itertools
import os
import pickle
import shutil
import sys
import tempfile
import threading
import types
import weakref
from typing import Any, Generic, Optional, Sequence, TypeVar

from ._fleet import PREFIX, locked, parent_folder, sweep
from ._pickling import collector, dumps_named
from ._process import write_object

T = TypeVar("T")

_lock = threading.Lock()
_numbers = itertools.count(1)
_stored: "weakref.WeakValueDictionary[str, Stored]" = weakref.WeakValueDictionary()
_folder: "Optional[tuple[int, str, int]]" = None  # process, path, lock


class Stored:
    """An object in a file. The file is removed when this Stored is deleted."""

    def __init__(self, key: str, path: str) -> None:
        self.key = key
        self.path = path
        self.size = os.path.getsize(path)
        self._finalizer = weakref.finalize(self, _remove, path, os.getpid())
        self._finalizer.atexit = False  # _remove_folder() removes all files

    def piece(self, offset: int, most: int) -> bytes:
        with open(self.path, "rb") as file:
            file.seek(offset)
            return file.read(most)

    def __reduce__(self) -> Any:
        found = getattr(collector, "stored", None)
        if found is not None:
            found.append(self)
        return _objects.load, (self.key, self.path)


class Shared(Generic[T]):
    """What shared() returns. `value` is the object. A call gets the object itself in place of this handle."""

    def __init__(self, value: T) -> None:
        self.value = value
        buffers: list[pickle.PickleBuffer] = []
        self._stored = store(dumps_named(value, "the shared object", buffers), buffers)

    def __reduce__(self) -> Any:
        return self._stored.__reduce__()

    def __repr__(self) -> str:
        return f"<fantail.shared {type(self.value).__name__}>"


def shared(value: T) -> "Shared[T]":
    """Keeps a large object for many calls, and returns a handle. Pass the handle to calls as an argument, or use it in a
    function: the call gets the object. Each process reads the object once. All calls of a process get the same object,
    so no call may change it."""
    return Shared(value)


def store(data: bytes, buffers: "Sequence[pickle.PickleBuffer]") -> Stored:
    """Writes a pickle and its buffers to a file. Equal content is stored only once."""
    digest = hashlib.blake2b(data, digest_size=16)
    for buffer in buffers:
        view = buffer.raw()
        digest.update(b"%d," % view.nbytes)
        digest.update(view)
    key = digest.hexdigest()
    with _lock:
        found = _stored.get(key)
        if found is None:
            found = _stored[key] = _written(key, data, buffers)
        return found


def store_for_once(data: bytes, buffers: "Sequence[pickle.PickleBuffer]") -> Stored:
    """Writes a pickle and its buffers to a file of their own, for one unit of work."""
    with _lock:
        return _written("", data, buffers)


def _written(key: str, data: bytes, buffers: "Sequence[pickle.PickleBuffer]") -> Stored:
    path = os.path.join(_own_folder(), f"object-{next(_numbers)}")
    write_object(path, data, buffers)
    return Stored(key, path)


def _own_folder() -> str:
    global _folder
    if _folder is None or _folder[0] != os.getpid():
        sweep()
        _stored.clear()
        path = tempfile.mkdtemp(prefix=PREFIX, dir=parent_folder())
        _folder = os.getpid(), path, locked(path)
    return _folder[1]


def _remove(path: str, owner: int) -> None:
    if owner == os.getpid():
        with contextlib.suppress(OSError):
            os.unlink(path)


@atexit.register
def _remove_folder() -> None:
    if _folder is not None and _folder[0] == os.getpid():
        shutil.rmtree(_folder[1], ignore_errors=True)


def _load(key: str, path: str) -> Any:
    """Takes the place of load_object() of _process.py in this process."""
    raise pickle.UnpicklingError("a shared object can be read only in a process of a fleet")


# The pickle of an object refers to the function `load` of the module fantail_objects. In a process of a fleet,
# _process.py makes this module, so that the process need not import the package fantail.
_objects: Any = sys.modules.get("fantail_objects") or types.ModuleType("fantail_objects")
if not hasattr(_objects, "load"):
    _load.__module__, _load.__name__, _load.__qualname__ = "fantail_objects", "load", "load"
    _objects.load = _load
    sys.modules["fantail_objects"] = _objects
