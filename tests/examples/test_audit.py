"""The audit of `qrlogin.audit`, against the three examples as their READMEs start them."""

import pytest

from qrlogin.audit import Outcome, audit
from tests.audit import ours
from tests.examples.running import ALL, InStrict, Running
from tests.security_rows import row

#: Left out are rfc8628, and the application of wechat_open: their clients get a token that no page
#: of the examples accepts. `tests/audit/test_ours.py` audits them on a server of its own.
DIALECTS = ("wechat", "wechat_open", "taobao", "newlogin", "bilibili", "jd")


@pytest.mark.long
def test_the_audit_finds_nothing(example: Running) -> None:
    """Expiry and rotation are not tried here, because the server's clock cannot be moved."""
    target = ours.example_functions().target(example.origin, page=ours.page_of, lifetime=600)
    report = audit(target)
    skipped = {each.check.name for each in report.having(Outcome.NOT_APPLICABLE)}
    assert report.exit_status == 0, report.text()
    assert skipped == {"expired-code", "expired-approval", "superseded", "guesses", "private-data"}


@row(31)
@pytest.mark.matrix
@pytest.mark.parametrize("name", ALL)
def test_the_audit_finds_nothing_with_the_strict_policy(name: str) -> None:
    """Every phone types the three digits of the screen; without them, none approves."""
    with InStrict(ALL[name]) as running:
        for has_match_codes in (False, True):
            functions = ours.example_functions(has_match_codes=has_match_codes)
            target = functions.target(running.origin, page=ours.page_of, lifetime=600)
            report = audit(target)
            if has_match_codes:
                assert report.exit_status == 0, report.text()
            else:
                assert [each.reason for each in report.having(Outcome.ERROR)] == [
                    "confirm was refused to an honest phone"
                ]


@pytest.mark.matrix
@pytest.mark.parametrize("name", ALL)
def test_the_audit_finds_nothing_in_the_other_dialects(name: str) -> None:
    """They answer a repeated request again, with the same session."""
    with Running(ALL[name], QRLOGIN_DIALECTS="all", QRLOGIN_MAX_WAITING="0") as running:
        for dialect in DIALECTS:
            functions = ours.example_functions()
            report = audit(ours.spoken_over_http(dialect, running.origin, functions, "session"))
            assert report.exit_status == 0, report.text()
            assert len(report.results) - len(report.having(Outcome.NOT_APPLICABLE)) >= 29
