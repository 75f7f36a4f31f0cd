"""Writes items and options as the JSON of a job object."""
from __future__ import annotations

import dataclasses
import json
import os
from json.encoder import encode_basestring_ascii
from typing import Any, Iterable, Mapping, Optional, Sequence, Union

from .arguments import task_names

MAX_ITEM_BYTES = 64 << 20

Tasks = Union[str, Sequence[str]]


def _plain(value: Any) -> Any:
    """Returns what is sent for an object that json does not know."""
    if hasattr(value, "tolist"):
        return value.tolist()  # arrays and numbers of NumPy
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    raise TypeError(f"a value of the type {type(value).__name__} cannot be sent as JSON")


_encoder = json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=_plain)


def to_json(value: Any) -> bytes:
    """Raises a TypeError, ValueError or RecursionError if the value cannot be sent."""
    kind = type(value)
    if kind is int:
        text = repr(value)
    elif kind is str:
        text = encode_basestring_ascii(value)
    else:
        text = _encoder.encode(value)
    return text.encode("ascii")


def item_to_json(item: Any) -> bytes:
    data = to_json(item)
    if len(data) > MAX_ITEM_BYTES:
        raise ValueError(f"the item has {len(data)} bytes as JSON, and at most {MAX_ITEM_BYTES} bytes can be sent")
    return data


def named_to_json(what: str, value: Any) -> bytes:
    """Raises a TypeError or a ValueError that names the value, if the value cannot be sent."""
    try:
        return to_json(value)
    except (TypeError, ValueError, RecursionError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{what} cannot be sent: {error}") from error


class JobHead:
    """The job object up to its items."""

    def __init__(self, task: Tasks, common: Any, options: Mapping[str, Any]) -> None:
        """An option whose value is None is left out."""
        self.tasks = task_names(task)
        self._options = {name: value for name, value in options.items() if value is not None}
        self._common = b"" if common is None else b',"common":' + named_to_json("common", common)
        self.max_attempts = dict(self._options.get("retry") or {}).get("max_attempts")
        for name, value in self._options.items():
            named_to_json(name, value)  # so that a wrong option is noticed immediately

    def with_items(self, items: Iterable[bytes], deadline_s: Optional[float] = None) -> bytes:
        options = dict(self._options, task=self.tasks if len(self.tasks) > 1 else self.tasks[0])
        if deadline_s is not None:
            options["deadline_s"] = deadline_s
        return b'%s%s,"items":[%s]}' % (to_json(options)[:-1], self._common, b",".join(items))
