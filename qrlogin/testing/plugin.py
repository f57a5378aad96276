"""The pytest plugin: a clock to turn. In the conftest.py at the root:

pytest_plugins = ["qrlogin.testing.plugin"]
"""

from collections.abc import Iterator

import pytest

from qrlogin.testing.clock import Clock


@pytest.fixture
def qrlogin_clock() -> Iterator[Clock]:
    """The clock of all stores in memory, for this test."""
    with Clock() as clock:
        yield clock
