"""Checks arguments: texts, numbers, lists and mappings. A wrong argument raises a TypeError that names the argument.

Python iterates over the characters of a string and over the keys of a mapping. Where several values are expected, a string or
a mapping is usually a mistake: labels="nightly" would be seven labels. So strings and mappings are refused.
"""
from __future__ import annotations

import numbers
import operator
import reprlib
from collections.abc import Iterator, Mapping, Set
from typing import Any, Callable, Optional, TypeVar

T = TypeVar("T")


def _wrong(name: str, expected: str, value: Any) -> TypeError:
    return TypeError(f"{name} must be {expected}, not {reprlib.repr(value)}")


def optional(read: Callable[[str, Any], T], name: str, value: Any) -> Optional[T]:
    return None if value is None else read(name, value)


def text_of(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong(name, "a string", value)
    return value


def number_of(name: str, value: Any) -> float:
    if not isinstance(value, numbers.Real):
        raise _wrong(name, "a number", value)
    return float(value)


def whole_of(name: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise _wrong(name, "a whole number", value) from None


def iterator_of(name: str, value: Any, expected: str = "an iterable") -> Iterator[Any]:
    """Accepts a string and a mapping too, as concurrent.futures and multiprocessing do."""
    try:
        return iter(value)
    except TypeError as error:
        raise _wrong(name, expected, value) from error


def values_of(name: str, value: Any, expected: str = "an iterable such as a list") -> Iterator[Any]:
    if isinstance(value, (str, bytes, bytearray, Mapping)):
        raise _wrong(name, expected, value)
    return iterator_of(name, value, expected)


def texts_of(name: str, value: Any, expected: str = "a list of strings") -> list[str]:
    texts = list(values_of(name, value, expected))
    if not all(isinstance(text, str) for text in texts):
        raise _wrong(name, expected, texts)
    return texts


def task_names(task: Any) -> list[str]:
    """Returns the tasks of a pipeline, or the one task. A set is refused, because it has no order."""
    expected = "the name of a task, or a list of names"
    if isinstance(task, Set):
        raise _wrong("task", expected, task)
    names = [task] if isinstance(task, str) else texts_of("task", task, expected)
    if not names or not all(names):
        raise _wrong("task", expected, task)
    return names


def mapping_of(name: str, value: Any, expected: str = "a mapping such as a dict") -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(name, expected, value)
    return dict(value)


def switch_of(name: str, value: Any) -> dict[Any, Any]:
    """Returns the options of a feature that can also be switched on and off with a bool."""
    if isinstance(value, bool):
        return {"enabled": value}
    return mapping_of(name, value, "a bool, or a mapping such as a dict")
