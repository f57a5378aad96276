"""Browsers leave a server with threads. `python -m tests.faults.threaded` has a thousand."""

import asyncio

import pytest

from tests.faults.herds import WITNESSES
from tests.faults.threaded import leave

BROWSERS = 500


@pytest.mark.matrix
def test_browsers_that_leave_a_server_with_threads_leave_nothing_behind() -> None:
    """Nor does one that stays get an error, or the news of another login."""
    row = asyncio.run(leave(BROWSERS))
    print(f"\n{row.line()}", end=" ")
    assert row.problem == ""
    assert row.answers == {"200 scanned": WITNESSES}
