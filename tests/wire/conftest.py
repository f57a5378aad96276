"""Fixtures: a test that takes `mount` runs with an endpoint of each colour."""

from collections.abc import Iterator
from typing import get_args

import pytest

from tests.wire.mount import Colour, Mount


@pytest.fixture(params=get_args(Colour))
def colour(request: pytest.FixtureRequest) -> Colour:
    chosen: Colour = request.param
    return chosen


@pytest.fixture
def mount(colour: Colour) -> Iterator[Mount]:
    with Mount(colour) as mounted:
        yield mounted
