"""The backend "fantail" of joblib.

    import fantail.joblib
    import joblib

    fantail.joblib.register()
    with joblib.parallel_config(backend="fantail", n_jobs=4):
        ...   # joblib.Parallel, and everything in scikit-learn that has n_jobs

docs/python.md describes it.
"""
from __future__ import annotations

import io
import os
import pickle
import sys
from concurrent.futures import CancelledError
from typing import Any, Callable, Optional, Sequence, Union

import cloudpickle
from joblib._parallel_backends import AutoBatchingMixin, FallbackToBackend, ParallelBackendBase, SequentialBackend
from joblib.parallel import register_parallel_backend

from ._client import Client
from ._executor import Executor, Future, processors
from ._pickling import dumps_named
from ._shared import Stored, store
from ._threads import limit_threads
from ._work import Function

LARGE_ARRAY_BYTES = 1 << 20

_kept: "Optional[tuple[Any, Executor]]" = None  # the latest executor, and its options with the id of this process


def register() -> None:
    """Makes the backend known to joblib under the name "fantail"."""
    register_parallel_backend("fantail", Backend)


def _executor_for(n_jobs: Optional[int], url: "Optional[Union[str, Client]]", item_timeout_s: Optional[float],
                  variables: "dict[str, str]", initializer: Any = None, initargs: "Sequence[Any]" = ()) -> Executor:
    """Returns an executor with these options. The latest executor is used again, because its processes have imported
    what the calls need."""
    global _kept
    pickled = dumps_named((initializer, tuple(initargs)), "the initializer") if initializer else None
    uses_managers = "multiprocessing.managers" in sys.modules  # processes need the key of managers when they start
    options = os.getpid(), uses_managers, n_jobs, url, item_timeout_s, tuple(variables.items()), pickled
    if _kept and _kept[0] == options and _kept[1]._engine.is_open:
        return _kept[1]
    if _kept:
        _kept[1].shutdown(wait=False)
    if url and not initializer:
        _kept = options, Executor(n_jobs, url, item_timeout_s=item_timeout_s)
    else:
        _kept = options, Executor(n_jobs, url, item_timeout_s=item_timeout_s, initializer=limit_threads,
                                  initargs=(variables, pickled))
    return _kept[1]


class Backend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
    """url, item_timeout_s, initializer and initargs are those of fantail.Executor: parallel_config(backend="fantail",
    url=...)."""

    supports_retrieve_callback = True
    supports_inner_max_num_threads = True

    def __init__(self, nesting_level: Optional[int] = None, inner_max_num_threads: Optional[int] = None, *,
                 url: "Optional[Union[str, Client]]" = None, item_timeout_s: Optional[float] = None,
                 initializer: Optional[Callable[..., object]] = None, initargs: "Sequence[Any]" = (), **more: Any) -> None:
        super().__init__(nesting_level=nesting_level, inner_max_num_threads=inner_max_num_threads, **more)
        self._url = url
        self._item_timeout_s = item_timeout_s
        self._initializer = initializer, initargs
        self._executor: Optional[Executor] = None
        self._futures: "set[Future]" = set()
        self._arrays = Arrays()

    def effective_n_jobs(self, n_jobs: Optional[int]) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None:
            return 1
        if n_jobs > 0:
            return n_jobs
        most = _executor_for(None, self._url, self._item_timeout_s, {})._engine.slots if self._url else processors()
        return max(most + 1 + n_jobs, 1)

    def configure(  # pyright: ignore[reportIncompatibleMethodOverride]
            self, n_jobs: int = 1, parallel: Any = None, prefer: Any = None, require: Any = None,
            initializer: Optional[Callable[..., object]] = None, initargs: "Sequence[Any]" = (), **_options: Any) -> int:
        """Ignores `_options`, which say how joblib's own backends keep arrays in files."""
        if initializer is not None:
            self._initializer = initializer, initargs
        count = self.effective_n_jobs(n_jobs)
        if count == 1:
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        self.parallel = parallel
        variables = {} if self._url else self._prepare_worker_env(n_jobs=count)
        self._executor = _executor_for(None if self._url and n_jobs < 0 else count, self._url, self._item_timeout_s,
                                       variables, *self._initializer)
        return count

    def submit(self, func: Callable[[], Any], callback: Optional[Callable[[Any], Any]] = None) -> Future:
        assert self._executor
        data, stored = self._arrays.dumps(func)
        future = self._executor._submit(Function(data, stored), pickle.dumps([((), {})], 5), [])
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    apply_async = submit  # the name before joblib 1.5

    def retrieve_result_callback(self, out: Any) -> Any:
        try:
            return out.result()
        except CancelledError:
            raise RuntimeError("the call was cancelled, because this Parallel object was ended") from None

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Cancels the running calls. The executor stays usable."""
        for future in list(self._futures):
            future.cancel()

    def terminate(self) -> None:
        """Forgets the arrays of this call, but keeps the executor for the next call of Parallel."""
        self._arrays = Arrays()
        self.reset_batch_stats()

    stop_call = terminate


class Arrays:
    """Sends a large NumPy array only once to each process while one Parallel call runs, as joblib's own backends do.
    The arrays are recognised by their identity, so they must not change while the Parallel call runs."""

    def __init__(self) -> None:
        self._stored: "dict[int, tuple[Any, Stored]]" = {}

    def dumps(self, value: Any) -> "tuple[bytes, list[Stored]]":
        """Returns the pickle, and the shared objects that it refers to."""
        found: "list[Stored]" = []
        arrays = self._stored
        numpy = sys.modules.get("numpy")
        array_type = numpy.ndarray if numpy else ()

        class Pickler(cloudpickle.CloudPickler):  # type: ignore[misc, unused-ignore]
            def reducer_override(self, obj: Any) -> Any:
                if type(obj) is not array_type or obj.nbytes < LARGE_ARRAY_BYTES or obj.dtype.hasobject:
                    return super().reducer_override(obj)
                if id(obj) not in arrays:
                    buffers: "list[pickle.PickleBuffer]" = []
                    arrays[id(obj)] = obj, store(pickle.dumps(obj, 5, buffer_callback=buffers.append), buffers)
                found.append(arrays[id(obj)][1])
                return found[-1].__reduce__()
        with io.BytesIO() as out:
            Pickler(out, pickle.HIGHEST_PROTOCOL).dump(value)
            return out.getvalue(), found
