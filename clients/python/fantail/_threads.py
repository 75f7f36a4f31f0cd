"""Runs in a process of a worker, before its first call."""
from __future__ import annotations

import os
import pickle
from typing import Optional


def limit_threads(variables: "dict[str, str]", pickled: Optional[bytes]) -> None:
    """Sets the environment variables by which libraries such as BLAS choose how many threads they start. A library
    reads the variables when it is imported, so this module imports none of these libraries. If the pickle of an
    initializer is given, calls the initializer afterwards."""
    os.environ.update(variables)
    if pickled is not None:
        initializer, arguments = pickle.loads(pickled)
        initializer(*arguments)
