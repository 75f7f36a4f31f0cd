"""A Fibonacci number, computed the slow way: the CPU-bound example that process pools are usually shown with."""


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
