"""Computes a Fibonacci number by plain recursion, which is slow: the usual CPU-bound example for process pools."""


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
