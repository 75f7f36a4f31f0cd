"""A variant of cloudpickle that refuses an open file. cloudpickle itself would send a copy of the file's content, and
the function would mistake the copy for the file.

This file imports nothing from the package, because _process.py loads it without the package.
"""
from __future__ import annotations

import collections
import io
import pickle
import sys
from typing import Any

import cloudpickle

_table: Any = cloudpickle.CloudPickler.dispatch_table
_reduce_file = _table[io.TextIOWrapper]


def _refuse_file(file: io.TextIOWrapper) -> Any:
    if file is sys.stdout or file is sys.stderr:
        return _reduce_file(file)  # sys.stdout and sys.stderr are sent by name
    raise pickle.PicklingError("an open file cannot be sent to another process; send its path, and open the file there")


class _Pickler(cloudpickle.CloudPickler):  # type: ignore[misc, unused-ignore]
    dispatch_table = collections.ChainMap({io.TextIOWrapper: _refuse_file}, _table)


def dumps(value: Any, protocol: int, buffer_callback: Any = None) -> bytes:
    with io.BytesIO() as out:
        _Pickler(out, protocol, buffer_callback).dump(value)
        return out.getvalue()
