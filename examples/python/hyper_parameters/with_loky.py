#!/usr/bin/env python3
"""hyper_parameters.py with loky, which is joblib's own backend.

    python3 with_loky.py            prints the best parameters
    python3 with_loky.py kill       first, a search fails, because one of its processes is killed
"""
import sys

from hyper_parameters import Hungry, search
from joblib.externals.loky.process_executor import TerminatedWorkerError
from sklearn.svm import SVC


def main():
    if sys.argv[1:] == ["kill"]:
        try:
            search(Hungry())
        except TerminatedWorkerError as error:
            print(f"TerminatedWorkerError: {' '.join(str(error).split())}")
    print(search(SVC()))


if __name__ == "__main__":
    main()
