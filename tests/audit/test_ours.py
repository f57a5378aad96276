"""The audit finds nothing in what is built with qrlogin."""

from collections.abc import Collection

import pytest

from qrlogin import STRICT
from qrlogin.audit import Outcome, Target, audit
from tests.audit import ours
from tests.security_rows import row
from tests.tables import for_each_row
from tests.wire.sites import SITES

ALIKE = dict.fromkeys(ours.SHOWN, "A•••e")
#: The fewest checks that fit each kind of target.
LEAST = {"library": 23, "dialect": 29, "native": 33, "demo": 38}


def finds(target: Target, least: int, expected: Collection[str] = ()) -> None:
    """Fails unless the audit finds what is `expected`, with at least this number of checks."""
    report = audit(target)
    assert not report.having(Outcome.ERROR), report.text()
    assert {*report.failed} == {*expected}, report.text()
    made = len(report.results) - len(report.having(Outcome.NOT_APPLICABLE))
    assert made >= least, report.text()


@row(66)
def test_the_library_with_masks_that_are_alike() -> None:
    """Once the phone has confirmed, the browser asks with the full name."""
    finds(ours.library(shown=ALIKE), LEAST["library"])


def test_accounts_without_different_names_are_found() -> None:
    """Without a full name the browser asks with the mask, and a display name need not be unique."""
    for names in (dict.fromkeys(ours.NAMES, ""), dict.fromkeys(ours.NAMES, "Alice")):
        finds(ours.library(ALIKE, names), LEAST["library"], ["equal-masks"])


def test_the_demo() -> None:
    finds(ours.demo(), LEAST["demo"])


@row(31)
def test_the_demo_with_match_codes() -> None:
    """Every phone of the audit types the digits of the screen, as if an attacker had passed them
    on.
    """
    finds(ours.demo(STRICT), LEAST["demo"])


@pytest.mark.matrix
@for_each_row("name", ours.DIALECTS)
def test_every_other_dialect(name: str) -> None:
    finds(ours.dialect(name), LEAST["dialect"])


@pytest.mark.matrix
@for_each_row("name", ["rfc8628", "wechat_open, an application"])
def test_the_dialects_whose_clients_get_a_token_over_http(name: str) -> None:
    """On a real server. The examples accept no such token, so they cannot be asked."""
    with ours.dialect_over_http(name) as target:
        finds(target, LEAST["dialect"])


@pytest.mark.parametrize(
    "name",
    [
        "bare WSGI",
        "bare ASGI",
        # The examples are built on the same two adapters.
        pytest.param("Flask", marks=pytest.mark.matrix),
        pytest.param("FastAPI", marks=pytest.mark.matrix),
    ],
)
def test_the_native_dialect_over_http(name: str) -> None:
    """Bare WSGI, bare ASGI, Flask and FastAPI, on real servers."""
    with SITES[name](None) as site:
        finds(ours.bare(site.url, site.clock), LEAST["native"])
