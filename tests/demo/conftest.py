"""Fixtures: a demo as a process, or its bare application. The browser is that of tests/browser."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from qrlogin import MemoryStore, QRLogin
from qrlogin.demo.dialects import DIALECTS
from qrlogin.demo.site import Site
from qrlogin.keys import new_key
from qrlogin.policy import STANDARD
from tests.browser.conftest import chromium, loop, pytest_pyfunc_call
from tests.demo.running import ORIGIN, Clock, RunningDemo

__all__ = ["chromium", "loop", "pytest_pyfunc_call"]


@pytest.fixture(scope="session")
def demo() -> Iterator[RunningDemo]:
    """One demo for all tests that only log in and out."""
    with RunningDemo() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def site(clock: Clock) -> Site:
    """The application without a socket, at `ORIGIN`, with a stopped clock."""
    policy = replace(STANDARD, user_codes=True)
    qr = QRLogin(
        MemoryStore(now=clock.now),
        secret_keys=[new_key()],
        verification_uri=f"{ORIGIN}/qr",
        policy=policy,
    )
    return Site(qr, tuple(DIALECTS))
