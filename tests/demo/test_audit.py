"""The audit of `qrlogin.audit`, against the demo as a process."""

import pytest

from qrlogin.audit import Outcome, audit
from tests.audit import ours
from tests.demo.running import RunningDemo


def test_the_audit_finds_nothing(demo: RunningDemo) -> None:
    """Expiry and rotation are tried in tests/audit, where the demo's clock can be moved."""
    report = audit(ours.demo_functions().target(demo.origin, page=ours.page_of, lifetime=600))
    skipped = {each.check.name for each in report.having(Outcome.NOT_APPLICABLE)}
    assert report.exit_status == 0, report.text()
    assert skipped == {
        *("expired-code", "expired-approval", "superseded", "guesses", "private-data"),
        "other-site",  # the demo's phones have a token, which no other site can send
    }


@pytest.mark.matrix
@pytest.mark.parametrize("name", ["taobao", "newlogin", "bilibili", "jd"])
def test_the_audit_finds_nothing_in_dialects_that_hold_no_poll(name: str) -> None:
    with RunningDemo("--dialects", "all") as demo:
        target = ours.spoken_over_http(name, demo.origin, ours.demo_functions(), "demo-session")
        report = audit(target)
    assert report.exit_status == 0, report.text()
