"""What an auditor reads: the report, JSON, the exit status, the command, and pytest's output."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from qrlogin.__main__ import main
from qrlogin.audit import (
    CHECKS,
    Answer,
    Browser,
    Login,
    Outcome,
    Sent,
    Session,
    Severity,
    Target,
    audit,
)
from qrlogin.audit.flaws import entropy
from tests.audit.kill_table import PAGE
from tests.audit.server import Server, target
from tests.tables import for_each_row

#: A file with a target, for the command: a server that is broken in one way, or a correct one.
FILE = """
from tests.audit.server import Server, target as target_of

target = target_of(Server({flaw!r}))
correct = lambda: target_of(Server())
nothing = 3
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    path = tmp_path / "audit_login.py"
    path.write_text(FILE.format(flaw="any browser collects"), "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))  # restores the path that the command extends
    return str(path)


def examples() -> list[str]:
    """The Python blocks of the page."""
    page = PAGE.read_text("utf-8")
    return re.findall(r"^```python.*?\n(.*?)^```", page, re.DOTALL | re.M)


# The command


def test_the_command_says_what_was_seen_and_what_to_do(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", file]) == 1
    lines = capsys.readouterr().out
    found = lines.index("FAILED  critical  stranger-collects")
    assert "Seen: a browser without cookies collected the login of alice" in lines[found:]
    assert "Do:   Give the browser a secret when it begins" in lines[found:]
    assert lines.index("FAILED  medium  bystander") > found, "the worst comes first"
    assert "Passed:" in lines
    assert "41 checks: 37 passed, 3 failed, 1 not applicable, 0 error" in lines


def test_the_failure_in_the_docs_is_one_that_the_command_prints(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = re.search(r"^```text\n(FAILED.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.M)
    assert shown
    main(["audit", file])
    assert shown[1] in capsys.readouterr().out


def test_the_command_prints_json(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", file, "--json", "--only", "reuse", "--only", "stranger-collects"]) == 1
    read = json.loads(capsys.readouterr().out)
    assert (read["exit_status"], read["counts"]["failed"]) == (1, 1)
    by_name = {each["name"]: each for each in read["checks"]}
    assert {*by_name} == {"works", "reuse", "stranger-collects"}
    caught = by_name["stranger-collects"]
    assert (caught["outcome"], caught["severity"], caught["study"]) == ("failed", "critical", "F1")
    assert caught["reason"]
    assert caught["advice"]
    assert by_name["reuse"]["outcome"] == "passed"


def test_a_name_after_the_file_is_a_target_or_a_function_that_makes_one(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", f"{file}:correct"]) == 0
    assert "40 passed, 0 failed" in capsys.readouterr().out


def test_a_command_without_a_target_says_what_is_missing(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for named, said in (
        ("nowhere.py", "there is no file nowhere.py"),
        (f"{file}:nothing", "has no nothing: make one with qrlogin.audit.Target(...)"),
        (f"{file}:absent", "has no absent"),
    ):
        assert main(["audit", named]) == 2
        assert said in capsys.readouterr().err
    assert main(["audit", file, "--only", "everything"]) == 2
    assert "no check is called everything" in capsys.readouterr().err


def test_the_command_lists_the_checks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(CHECKS) == 41


# Errors


def broken_function(name: str) -> Target:
    """A correct server, of whose five functions one raises."""

    def fails(*_: object) -> bool:
        raise KeyError("state")

    made = target(Server())
    changes: dict[str, Callable[..., bool]] = {name: fails}
    return replace(made, **changes)  # type: ignore[arg-type]


@for_each_row("name", ["begin", "poll", "scan", "confirm", "collect"])
def test_a_function_that_fails_proves_nothing(name: str) -> None:
    report = audit(broken_function(name))
    (only,) = report.results
    assert (only.check.name, only.outcome, report.exit_status) == ("works", Outcome.ERROR, 2)
    assert re.fullmatch(r"KeyError in fails, line \d+: 'state'", only.reason)
    assert "no other check was made" in report.text()


def test_an_honest_login_that_does_not_work_stops_the_audit() -> None:
    for changes, said in (
        ({"confirm": lambda phone, code: False}, "confirm was refused to an honest phone"),
        ({"collect": lambda browser, login: None}, "collect returned no session"),
        ({"collect": lambda browser, login: Session("eve")}, "collect returned eve"),
        ({"poll": lambda browser, login: "confirmed"}, 'poll returned "confirmed" for a new'),
        ({"poll": lambda browser, login: "ok"}, "poll returned 'ok', which is not one of pending"),
    ):
        report = audit(replace(target(Server()), **changes))
        assert len(report.results) == 1
        assert said in report.results[0].reason


def test_a_target_that_cannot_work_is_refused() -> None:
    made = target(Server())
    for changes, said in (
        ({"accounts": ("alice", "alice")}, "two different names"),
        ({"samples": 10}, "at least 32"),
        ({"rotates_after": 0}, "belong together"),
    ):
        with pytest.raises(ValueError, match=said):
            replace(made, **changes)
    with pytest.raises(ValueError, match="without a code"):
        Login("")


def test_no_secret_is_in_a_repr_or_in_a_report() -> None:
    server = Server("any browser collects", "ids are counted", "the secret is in the address")
    made = target(server)
    browser = Browser("a browser", made.origin, made.transport)
    login = made.begin(browser)
    made.poll(browser, login)
    report = audit(made)
    said = f"{report.text()} {report.json()} {report!r} {made!r} {login!r} {browser.exchanged!r}"
    drawn = [each["secret"] for each in server.logins.values()]
    drawn += [*server.sessions, *server.phones]
    assert not [secret for secret in drawn if secret in said]
    assert "token-of-it" not in repr(Session("alice", "token-of-it"))


# Pieces


def test_entropy_tells_short_and_structured_ids_from_random_ones() -> None:
    assert entropy([f"{number:032}" for number in range(64)]) < 8
    assert entropy([f"{number * 7919 % 10**6:06}" for number in range(64)]) < 20
    assert entropy(["same"] * 64) == 0


def test_a_device_keeps_cookies_until_they_are_deleted_and_its_copy_has_them() -> None:
    lines = ["a=1; Path=/", "b=2; HttpOnly", "a=; Max-Age=0"]
    seen: list[Sent] = []

    def answers(sent: Sent) -> Answer:
        seen.append(sent)
        return Answer(200, (("set-cookie", lines[len(seen) - 1]),) if len(seen) < 4 else ())

    browser = Browser("a browser", "https://example.com", answers)
    for _ in range(2):
        browser.post("/x", form={"q": "1"})
    copied = browser.copy()
    browser.get("https://other.example/y")
    assert (browser.cookies, copied.cookies) == ({"b": "2"}, {"a": "1", "b": "2"})
    assert (len(browser.exchanged), len(copied.exchanged)) == (3, 0)
    assert (seen[1].headers["cookie"], seen[1].headers["origin"]) == ("a=1", "https://example.com")
    assert (seen[1].body, seen[2].url) == (b"q=1", "https://other.example/y")
    assert browser.keep["what no function stored"] == ""


def test_every_check_says_what_it_proves_and_what_to_do() -> None:
    names = [each.name for each in CHECKS]
    assert len(names) == len({*names})
    for each in CHECKS:
        assert re.fullmatch("[a-z]+(-[a-z]+)*", each.name)
        assert each.proves.endswith(".")
        assert each.advice.endswith((".", ")"))
        assert each.severity in Severity
    assert {each.study for each in CHECKS} == {"", *(f"F{number}" for number in range(1, 7))}


# The page, and pytest


def test_the_file_in_the_docs_passes_the_command_and_pytest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a broken server fails in pytest with the same words as in the report."""
    whole, _, module, _ = examples()
    (tmp_path / "audit_login.py").write_text(whole, "utf-8")
    module = f"from audit_login import target\n{module}"
    (tmp_path / "test_login.py").write_text(module, "utf-8")
    (tmp_path / "broken_login.py").write_text(FILE.format(flaw="any browser collects"), "utf-8")
    (tmp_path / "test_broken.py").write_text(module.replace("audit_login", "broken_login"), "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main(["audit", str(tmp_path / "audit_login.py")]) == 0
    assert re.search(
        r": 2\d passed, 0 failed, 1\d not applicable, 0 error", capsys.readouterr().out
    )
    played = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-rsf", "-c", "/dev/null", "-p", "no:randomly"),
            *("--rootdir", str(tmp_path), "-p", "no:cacheprovider", "-p", "no:schemathesis"),
            *("-p", "no:valkey", "test_login.py", "test_broken.py"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    said = played.stdout
    assert "FAILED test_broken.py::test_our_qr_login[stranger-collects]" in said, said
    assert "Seen: a browser without cookies collected the login of alice" in said
    assert "FAILED test_login.py" not in said
    assert "the code is not typed" in said
    assert re.search(r"3 failed, 6\d passed, 1\d skipped", said), said[-300:]
