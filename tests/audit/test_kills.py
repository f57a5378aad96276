"""The audit catches every server that is broken in one way, and no correct one."""

import threading
from dataclasses import replace
from typing import Any

from qrlogin.audit import CHECKS, Outcome, audit
from tests.audit import tutorial
from tests.audit.kill_table import PAGE, drawn, kills, page_with
from tests.audit.server import FLAWS, Asked, Server, target
from tests.tables import for_each_row
from tests.wire.sites import wsgiref_server

#: What the audit must find in the tutorial's server, the worst first.
TUTORIAL = [
    "stranger-collects",
    "claimed-account",
    "no-credential",
    "forged-credential",
    "other-confirms",
    "reuse",
    "used-code",
    "second-scan",
    "race-scan",
    "stranger-polls",
    "confirm-unscanned",
    "no-store",
]


@for_each_row("typed", [False, True])
def test_a_correct_server_without_qrlogin_passes(typed: bool) -> None:
    report = audit(target(Server(typed=typed)))
    assert report.exit_status == 0, report.text()
    # Only one check does not fit: that of typed codes, or that of codes which are addresses.
    skipped = [each.check.name for each in report.having(Outcome.NOT_APPLICABLE)]
    assert skipped == ["get-code" if typed else "guesses"]


class Replacing(Server):
    """It answers a repeated collect with a new session, and ends the earlier one."""

    def __init__(self) -> None:
        super().__init__("a login is collected twice")
        self.one_at_a_time, self.last = threading.Lock(), dict[str, str]()

    def on_collect(self, asked: Asked) -> dict[str, Any]:
        with self.one_at_a_time:
            answer = super().on_collect(asked)
            self.sessions.pop(self.last.get(asked.fields["id"], ""), None)
            self.last[asked.fields["id"]] = next(reversed(self.sessions))
        return answer


def test_a_repeat_that_ends_the_earlier_session_passes_if_the_target_says_who_is_logged_in() -> (
    None
):
    names = ["reuse", "used-code", "race-collect"]
    replacing = target(Replacing())
    assert audit(replacing, only=names).exit_status == 0
    assert {*audit(replace(replacing, who=None), only=names).failed} == {*names}


def test_every_broken_server_is_caught() -> None:
    missed = [flaw for flaw, caught in kills().items() if not caught]
    assert not missed
    assert len(FLAWS) >= 50


def test_every_check_catches_a_server() -> None:
    caught = {name for names in kills().values() for name in names}
    assert caught == {check.name for check in CHECKS} - {"works"}


def test_the_tables_in_the_docs_are_current() -> None:
    page = PAGE.read_text("utf-8")
    assert page_with(drawn(), page) == page, "run .venv/bin/python -m tests.audit.kill_table"


@for_each_row("flaw, check", [("", ""), ("any browser collects", "stranger-collects")])
def test_a_server_is_audited_over_http(flaw: str, check: str) -> None:
    application = Server(*([flaw] if flaw else []))
    server = wsgiref_server(0, application)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        report = audit(target(application, f"http://127.0.0.1:{server.server_port}"))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert not report.having(Outcome.ERROR), report.text()
    assert (check in report.failed) if check else not report.failed, report.text()


def test_the_server_of_the_usual_tutorial_fails() -> None:
    report = audit(tutorial.target())
    assert report.failed == TUTORIAL
    assert report.exit_status == 1
