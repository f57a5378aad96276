"""The audit of `qrlogin.audit`, against the three examples as their READMEs start them."""

from collections.abc import Mapping

import pytest

from qrlogin.audit import Outcome, audit
from tests.audit import ours
from tests.examples.running import ALL, Running

#: Left out are rfc8628, and the application of wechat_open: their clients get a token that no page
#: of the examples accepts. `tests/audit/test_ours.py` audits them in the process.
DIALECTS = ("wechat", "wechat_open", "taobao", "newlogin", "bilibili", "jd")
#: What the audit finds, by example.
KNOWN: Mapping[str, set[str]] = {
    "Flask": set(),
    "FastAPI": set(),
    # These dialects answer a repeated request again, for a browser whose answer was lost. The other
    # two examples keep the session in the cookie, under the login's id. Django starts a new one on
    # the server each time, so a copy of the browser's cookies gives a second session.
    "Django": {"reuse", "used-code", "race-collect"},
}


@pytest.mark.long
def test_the_audit_finds_nothing(example: Running) -> None:
    """Expiry and rotation are not tried here, because the server's clock cannot be moved."""
    target = ours.example_functions().target(example.origin, page=ours.page_of, lifetime=600)
    report = audit(target)
    skipped = {each.check.name for each in report.having(Outcome.NOT_APPLICABLE)}
    assert report.exit_status == 0, report.text()
    assert skipped == {"expired-code", "expired-approval", "superseded", "guesses", "private-data"}


@pytest.mark.matrix
@pytest.mark.parametrize("name", ALL)
def test_the_audit_finds_in_the_other_dialects_what_is_known(name: str) -> None:
    found = set[str]()
    with Running(ALL[name], QRLOGIN_DIALECTS="all", QRLOGIN_MAX_WAITING="0") as running:
        for dialect in DIALECTS:
            functions = ours.example_functions()
            report = audit(ours.spoken_over_http(dialect, running.origin, functions, "session"))
            assert not report.having(Outcome.ERROR), report.text()
            assert {*report.failed} <= KNOWN[name], report.text()
            assert len(report.results) - len(report.having(Outcome.NOT_APPLICABLE)) >= 28
            found |= {*report.failed}
    assert found == KNOWN[name]
