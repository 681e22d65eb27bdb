"""Tests that change for good the process that they run in."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import ParamSpec, TypeVar

import pytest

P = ParamSpec("P")
T = TypeVar("T")


def alone(function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Return what a module's function answers, or raise what it raises, called in a new process that ends then.

    What listens to Python's audit events cannot be taken back, say; and before Python 3.12, with a Python function
    listening, a thread that starts while another does cannot be traced: coverage is not measured there.
    """
    with pytest.MonkeyPatch.context() as patched:
        for name in ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG"):
            patched.delenv(name, raising=False)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            return pool.submit(function, *arguments, **options).result()
