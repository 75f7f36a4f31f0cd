#!/usr/bin/env python3
"""Searches for the best parameters of a classifier with scikit-learn, through joblib.

    pip install './clients/python[joblib]' scikit-learn
    python3 hyper_parameters.py

If a process is killed, for example because memory is short, loky ends the search with TerminatedWorkerError, which does
not say which call has failed. fantail raises an ItemError that has the cause, the signal and the standard error of the
process.
"""
import fantail.joblib
import joblib
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC


def main():
    fantail.joblib.register()
    search = GridSearchCV(SVC(), {"C": [0.1, 1, 10], "gamma": [0.01, 0.1, 1]}, n_jobs=2)
    with joblib.parallel_config(backend="fantail"):
        search.fit(*load_iris(return_X_y=True))
    print(f"C={search.best_params_['C']} gamma={search.best_params_['gamma']}: {search.best_score_:.2f}")


if __name__ == "__main__":
    main()
