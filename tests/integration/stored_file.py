"""Reads the file of a job store past its coordinator, which locks the file while it runs."""
import contextlib
import os
import shutil
import sqlite3
import tempfile


def read_number(path, sql):
    """The number that the statement has as its only value, in a copy of the file. 0: there is no file, the copy was made
    while the file changed, or the value is null."""
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(OSError, sqlite3.DatabaseError):
        copy = os.path.join(folder, "copy.db")
        shutil.copy(path, copy)
        shutil.copy(path + "-wal", copy + "-wal")
        with contextlib.closing(sqlite3.connect(copy)) as db:
            return db.execute(sql).fetchone()[0] or 0
    return 0
