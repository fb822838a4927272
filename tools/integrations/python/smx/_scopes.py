# SPDX-License-Identifier: MIT
"""What measures a block or a function: `with`, `async with`, or a decorator.

A decorated coroutine function is measured until its coroutine is done, a generator function until
its generator is.
"""
from __future__ import annotations

import functools
import inspect
from time import perf_counter_ns
from typing import Any, Callable, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class Scope:
    """A block that is measured."""

    __slots__ = ()

    def __enter__(self) -> Any:
        raise NotImplementedError

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Any:
        return self.__enter__()

    async def __aexit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self.__exit__(kind, error, traceback)

    def _another(self) -> Scope:
        """One for a call of its own: calls overlap."""
        return self

    def __call__(self, function: F) -> F:
        wrapper: Any
        if inspect.isasyncgenfunction(function):
            raise TypeError("an asynchronous generator cannot be decorated: "
                            "use `async with` in it")
        if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
                getattr(function, "__call__", None)):
            @functools.wraps(function)
            async def wrapper(*args: Any, **named: Any) -> Any:
                with self._another():
                    return await function(*args, **named)
        elif inspect.isgeneratorfunction(function):
            @functools.wraps(function)
            def wrapper(*args: Any, **named: Any) -> Any:
                with self._another():
                    return (yield from function(*args, **named))
        else:
            @functools.wraps(function)
            def wrapper(*args: Any, **named: Any) -> Any:
                with self._another():
                    return function(*args, **named)
        return wrapper


class Timer(Scope):
    """How long a block takes, for a histogram or a gauge."""

    __slots__ = ("_metric", "_start")

    def __init__(self, metric: Any) -> None:
        self._metric = metric

    def _another(self) -> Timer:
        return Timer(self._metric)

    def __enter__(self) -> Timer:
        self._start = perf_counter_ns()
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self._metric._took_ns(perf_counter_ns() - self._start)

    def labels(self, *values: Any, **named: Any) -> None:
        """Say the labels in the block, where they are known only then."""
        self._metric = self._metric.labels(*values, **named)


class InProgress(Scope):
    """Whether a block is being executed, for a gauge."""

    __slots__ = ("_gauge",)

    def __init__(self, gauge: Any) -> None:
        self._gauge = gauge

    def __enter__(self) -> None:
        self._gauge.inc()

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self._gauge.dec()


class Exceptions(Scope):
    """Whether a block ends by an exception, for a counter."""

    __slots__ = ("_counter", "_kinds")

    def __init__(self, counter: Any, kinds: Any) -> None:
        self._counter = counter
        self._kinds = kinds

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if isinstance(error, self._kinds):
            self._counter.inc()
