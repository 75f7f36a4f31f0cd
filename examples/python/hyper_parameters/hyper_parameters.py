#!/usr/bin/env python3
"""Searches for the best parameters of a classifier with scikit-learn, through joblib.

    pip install './clients/python[joblib]' scikit-learn
    python3 hyper_parameters.py            prints the best parameters
    python3 hyper_parameters.py kill       first, a search fails, because one of its processes is killed
"""
import os
import signal
import sys

import fantail.joblib
import joblib
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC

GRID = {"C": [0.1, 1, 10], "gamma": [0.01, 0.1, 1]}


class Hungry(SVC):
    """With one pair of parameters, this classifier kills its process, as the kernel does when memory is short."""

    def fit(self, *arguments):
        if (self.C, self.gamma) == (10, 1):
            sys.stderr.write("C=10 gamma=1: a large matrix\n")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().fit(*arguments)


def search(classifier):
    found = GridSearchCV(classifier, GRID, n_jobs=2).fit(*load_iris(return_X_y=True))
    return f"C={found.best_params_['C']} gamma={found.best_params_['gamma']}: {found.best_score_:.2f}"


def main():
    fantail.joblib.register()
    with joblib.parallel_config(backend="fantail"):
        if sys.argv[1:] == ["kill"]:
            try:
                search(Hungry())
            except fantail.ItemError as error:
                print(f"{error.name}, signal {error.signal}, standard error: {error.stderr.strip()}")
        print(search(SVC()))


if __name__ == "__main__":
    main()
