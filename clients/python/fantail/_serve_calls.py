"""python -m fantail._serve_calls: the program of the task `python-call` of a fleet that others use, too.

Python warns about a module that is imported before it is run with -m, and the package imports _process.py. So this program
is a module of its own.
"""
from ._process import main

if __name__ == "__main__":
    main()
