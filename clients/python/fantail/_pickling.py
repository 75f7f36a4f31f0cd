"""Turns functions, arguments and exceptions into bytes. Uses pickle if another process can read the result of pickle,
and otherwise cloudpickle."""
from __future__ import annotations

import contextlib
import pickle
import sys
import threading
from types import FunctionType, MethodType
from typing import Any, Iterator, Optional

from ._errors import NotPicklable

_DEPTH = 6


collector = threading.local()  # `stored` is the list to which shared objects are added when they are pickled, or None


@contextlib.contextmanager
def collected() -> "Iterator[list[Any]]":
    """Yields a list, which gets the shared objects that are pickled inside the `with` block. The files of these objects
    are needed until the calls have ended."""
    outer = getattr(collector, "stored", None)
    found: list[Any] = []
    collector.stored = found
    try:
        yield found
    finally:
        collector.stored = outer


def dumps(value: Any, buffers: "Optional[list[pickle.PickleBuffer]]" = None) -> bytes:
    """Returns the pickle of the value. An object of __main__ is sent by cloudpickle, because pickle sends only its
    name, which no other process can find. `buffers` gets the large parts of the value, such as the data of arrays. With
    `buffers`, the large parts are not copied into the pickle."""
    callback = None if buffers is None else buffers.append
    try:
        data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL, buffer_callback=callback)
        if b"__main__" not in data and not _has_modules_by_value():
            return data
    except Exception:  # a __reduce__ of the user may raise any exception
        pass
    from . import _cloud  # this import takes as long as the start of a fleet, so it is done only if needed
    if buffers:
        buffers.clear()
    return _cloud.dumps(value, pickle.HIGHEST_PROTOCOL, callback)


def _has_modules_by_value() -> bool:
    """Returns whether the program has called cloudpickle.register_pickle_by_value()."""
    cloudpickle = sys.modules.get("cloudpickle")
    return cloudpickle is not None and bool(cloudpickle.list_registry_pickle_by_value())


def dumps_named(value: Any, what: str, buffers: "Optional[list[pickle.PickleBuffer]]" = None) -> bytes:
    """Like dumps(), but the exception names the object that cannot be pickled."""
    try:
        return dumps(value, buffers)
    except Exception as error:
        raise NotPicklable(f"{describe_fault(value, what)}: {error}") from error


def describe_fault(value: Any, what: str) -> str:
    """Returns a sentence that names the innermost object that cannot be pickled, and the path to that object."""
    path, found = _innermost(value, what, _DEPTH, set())
    kind = type(found)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"{path} cannot be pickled (an object of type {name})"


def _innermost(value: Any, path: str, depth: int, seen: set[int]) -> tuple[str, Any]:
    seen.add(id(value))
    for name, part in _parts(value) if depth else ():
        if id(part) in seen:
            continue
        try:
            dumps(part)
        except Exception:
            return _innermost(part, f"{path}, {name}", depth - 1, seen)
    return path, value


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, MethodType):
        yield "the object of the method", value.__self__
    if isinstance(value, FunctionType):
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or ()):
            try:
                yield f"its variable {name!r}", cell.cell_contents
            except ValueError:  # the cell is not assigned yet
                pass
        for name in value.__code__.co_names:
            if name in value.__globals__:
                yield f"the global {name!r}", value.__globals__[name]
    elif isinstance(value, dict):
        for key, part in list(value.items()):
            yield f"the entry {key!r:.40}", part
    elif isinstance(value, (list, tuple, set, frozenset)):
        for index, part in enumerate(value):
            yield f"element {index}", part
    elif not isinstance(value, type):
        for name, part in list(getattr(value, "__dict__", {}).items()):
            yield f"its attribute {name!r}", part


def name_of(function: Any) -> Optional[str]:
    return getattr(function, "__qualname__", None) or repr(function)[:80]
