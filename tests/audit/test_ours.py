"""The audit finds nothing in what is built with qrlogin, except what is listed here."""

from collections.abc import Mapping

import pytest

from qrlogin.audit import Outcome, Target, audit
from tests.audit import ours
from tests.tables import for_each_row
from tests.wire.sites import SITES

#: What the audit finds, by dialect, with the reason.
KNOWN: Mapping[str, Mapping[str, str]] = {
    # The scope of an OAuth client is shown to the person on the phone as the client sent it.
    "rfc8628": {"free-text": "a scope is a text of the client's choice"},
}
#: What it finds in the small applications of tests/wire/sites.py, which have Flask's defaults.
KNOWN_SITES: Mapping[str, Mapping[str, str]] = {
    "Flask": {"cookies": "Flask sets no SameSite on its session's cookie"},
}
#: The fewest checks that fit each kind of target.
LEAST = {"library": 23, "dialect": 29, "native": 33, "demo": 38}


def finds_nothing(target: Target, least: int, known: Mapping[str, str] | None = None) -> None:
    report = audit(target)
    assert not report.having(Outcome.ERROR), report.text()
    assert {*report.failed} == {*(known or {})}, report.text()
    made = len(report.results) - len(report.having(Outcome.NOT_APPLICABLE))
    assert made >= least, report.text()


def test_the_library() -> None:
    finds_nothing(ours.library(), LEAST["library"])


def test_masks_that_are_alike_are_found() -> None:
    """The browser shows what the application passes as `shown_as`, also for a look-alike."""
    shown = dict.fromkeys(ours.SHOWN, "A•••e")
    finds_nothing(ours.library(shown), LEAST["library"], {"equal-masks": "masks are not unique"})


def test_the_demo() -> None:
    finds_nothing(ours.demo(), LEAST["demo"])


@for_each_row("name", ours.DIALECTS)
def test_every_other_dialect(name: str) -> None:
    finds_nothing(ours.dialect(name), LEAST["dialect"], KNOWN.get(name))


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
        finds_nothing(ours.bare(site.url, site.clock), LEAST["native"], KNOWN_SITES.get(name))
