"""The audit of `qrlogin.audit`, against the three examples as their READMEs start them."""

import time
from functools import partial

import pytest

from qrlogin.audit import Outcome, Target, audit
from qrlogin.demo.players import Player
from tests.audit import ours
from tests.audit.test_ours import KNOWN, finds_nothing
from tests.examples.running import ALL, Running


@pytest.mark.long
def test_the_audit_finds_nothing(example: Running) -> None:
    """Not tried here, because the server's clock cannot be moved: expiry and rotation."""
    target = ours.example_functions().target(example.origin, page=ours.page_of, lifetime=600)
    report = audit(target)
    skipped = {each.check.name for each in report.having(Outcome.NOT_APPLICABLE)}
    assert report.exit_status == 0, report.text()
    assert skipped == {"expired-code", "expired-approval", "superseded", "guesses", "private-data"}
