"""Python functions in processes that may crash: concurrent.futures and multiprocessing.Pool on a fantail fleet.

    import fantail

    with fantail.Executor() as executor:
        print(list(executor.map(abs, range(-3, 3))))

docs/python.md describes the package.
"""
from ._errors import FantailError, FleetError, InitializerError, ItemError, NotPicklable, ProgramsNotFound
from ._executor import Executor, Future
from ._pool import Pool

__all__ = ["Executor", "FantailError", "FleetError", "Future", "InitializerError", "ItemError", "NotPicklable", "Pool",
           "ProgramsNotFound"]
__version__ = "0.1.0"
