"""Reads the file of a job store while its coordinator runs. The coordinator locks the file, so this module reads a
copy."""
import contextlib
import os
import shutil
import sqlite3
import tempfile


def read_number(path, sql):
    """Runs the statement on a copy of the file. The result of the statement must be a single number, which is returned.
    Returns 0 if there is no file, if the file changed while it was copied, or if the value is null."""
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(OSError, sqlite3.DatabaseError):
        copy = os.path.join(folder, "copy.db")
        shutil.copy(path, copy)
        if os.path.exists(path + "-wal"):  # after a regular end of the coordinator, there is no log
            shutil.copy(path + "-wal", copy + "-wal")
        with contextlib.closing(sqlite3.connect(copy)) as db:
            return db.execute(sql).fetchone()[0] or 0
    return 0
