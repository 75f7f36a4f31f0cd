"""Python functions in processes that may crash: concurrent.futures and multiprocessing.Pool on a fantail fleet.

    import fantail

    with fantail.Executor() as executor:
        print(list(executor.map(abs, range(-3, 3))))

And the named tasks of a fleet:

    client = fantail.Client("http://127.0.0.1:8080")
    print(list(client.map("square", range(10))))

fantail.aio has the same client for asyncio. docs/python.md describes the package.
"""
from typing import TYPE_CHECKING, Any

from ._errors import (FantailError, FleetError, InitializerError, ItemError, JobFailed, JobNotFound, NoJobStore,
                      NotFantail, NotPicklable, ProgramsNotFound, Refused, TaskNotFound, TlsError, TokenRefused,
                      Unreachable, WaitTimeout)
from ._executor import Executor, Future
from ._pool import Pool
from ._version import VERSION

if TYPE_CHECKING:
    from ._client import Client, Job
    from ._core.objects import JobStatus, Task
    from ._shared import Shared, shared

__all__ = ["Client", "Executor", "FantailError", "FleetError", "Future", "InitializerError", "ItemError", "Job",
           "JobFailed", "JobNotFound", "JobStatus", "NoJobStore", "NotFantail", "NotPicklable", "Pool",
           "ProgramsNotFound", "Refused", "Shared", "Task", "TaskNotFound", "TlsError", "TokenRefused", "Unreachable",
           "WaitTimeout", "shared"]
__version__ = VERSION

# These modules import ssl and asyncio, which a program with a private fleet does not need.
_LATER = {"Client": "_client", "Job": "_client", "JobStatus": "_core.objects", "Shared": "_shared", "Task": "_core.objects",
          "aio": "aio", "shared": "_shared"}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib
    module = importlib.import_module(f"{__name__}.{_LATER[name]}")
    value = module if name == "aio" else getattr(module, name)
    globals()[name] = value
    return value
