"""Computes a Fibonacci number in the slow way: the usual CPU-bound example for process pools."""


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
