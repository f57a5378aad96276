"""A test that is one table: it runs every row, and its failure lists the rows that failed.

It is for rows that take microseconds. As parametrized items, hundreds of them would take each
worker longer to collect than to run. `in_matrix` is for rows that take seconds.
"""

import functools
import inspect
import reprlib
from collections.abc import Callable, Iterable
from typing import Any

import pytest


def for_each_row(
    names: str, rows: Iterable[Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """`pytest.mark.parametrize` as one test. A row fills the parameters `names`; tables multiply.

    The rows share the fixtures of the test, so a test that changes something must create it itself.
    """
    columns, table = [name.strip() for name in names.split(",")], list(rows)
    assert table, "a table without rows proves nothing"

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def every_row(**fixtures: Any) -> None:
            failed = []
            for row in table:
                values = dict(zip(columns, row if len(columns) > 1 else (row,), strict=True))
                try:
                    test(**fixtures, **values)
                except (Exception, pytest.fail.Exception) as error:
                    failed.append((values, error))
            if failed:
                said = [
                    f"{len(failed)} of {len(table)} rows failed",
                    *(_said(*each) for each in failed[:20]),
                ]
                raise AssertionError("\n".join(said)) from failed[0][1]

        signature = inspect.signature(test)
        others = [each for name, each in signature.parameters.items() if name not in columns]
        assert len(others) == len(signature.parameters) - len(columns), (
            f"{test.__name__} does not take {names}"
        )
        every_row.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
        return every_row

    return decorate


def in_matrix(rows: Iterable[Any]) -> list[Any]:
    """Rows of `pytest.mark.parametrize` for `make matrix` alone: others prove the same rule."""
    return [
        pytest.param(*(row if isinstance(row, tuple) else (row,)), marks=pytest.mark.matrix)
        for row in rows
    ]


def _said(values: dict[str, object], error: BaseException) -> str:
    row = ", ".join(f"{name}={reprlib.repr(value)}" for name, value in values.items())
    return f"{row}: {type(error).__name__}: {error}"
