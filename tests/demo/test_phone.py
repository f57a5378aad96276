"""`python -m qrlogin phone`: every verb, from another process, against a demo that runs."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from qrlogin.demo import phone
from qrlogin.demo.client import Client
from tests.demo.running import RunningDemo, run


@dataclass
class Browser:
    """One login of one browser of the demo."""

    client: Client
    login_id: str
    text: str = field(repr=False)

    @classmethod
    def begin(cls, demo: RunningDemo) -> "Browser":
        client = demo.browser()
        begun = client.post("/qrlogin/begin", {}).json
        return cls(client, begun["login_id"], begun["verification_uri_complete"])

    @property
    def state(self) -> str:
        return str(self.client.get(f"/qrlogin/{self.login_id}").json["state"])

    def go_on(self) -> str:
        """The first page after the question was answered with yes."""
        tag = self.client.get(f"/qrlogin/{self.login_id}").json["scanned_by"]["tag"]
        self.client.post(f"/qrlogin/{self.login_id}/redeem", {"acknowledged": tag, "op": "o" * 22})
        return self.client.get("/").text


@pytest.fixture
def browser(demo: RunningDemo) -> Browser:
    return Browser.begin(demo)


def test_approve_is_scan_and_confirm(browser: Browser, demo: RunningDemo) -> None:
    done = run("phone", "--as", "alice", "approve", browser.text)
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout.splitlines()
    assert said[0] == "A browser wants to be logged in as Alice:"
    assert said[1].split() == ["browser", "a", "test"]
    assert f"  site      {demo.origin.removeprefix('http://')}" in said
    assert any(line.startswith("  begun") for line in said)
    assert (
        "Approve only if its code is on a screen in front of you. If you did not start this, deny it."
        in said
    )
    assert said[-1] == "Approved. Now look at the other screen: it goes on, or asks whether to."
    assert browser.state == "confirmed"
    assert "You are logged in as Alice" in browser.go_on()


def test_one_verb_at_a_time(browser: Browser) -> None:
    for verb, state, says in (
        ("scan", "scanned", "wants to be logged in as Bob"),
        ("release", "pending", "Put back."),
        ("scan", "scanned", "wants to be logged in as Bob"),
        ("confirm", "confirmed", "Approved."),
        ("confirm", "confirmed", "Approved."),
        ("deny", "denied", "Declined."),
    ):
        done = run("phone", "--as", "bob", verb, browser.text)
        assert (done.returncode, done.stderr) == (0, ""), verb
        assert says in done.stdout
        assert browser.state == state


def test_deny_scans_first(browser: Browser) -> None:
    for _ in range(2):  # a second time it is as good as done
        done = run("phone", "--as", "alice", "deny", browser.text)
        assert (done.returncode, done.stdout, done.stderr) == (
            0,
            "Declined. Nobody was logged in.\n",
            "",
        )
        assert browser.state == "denied"
    done = run("phone", "--as", "bob", "deny", browser.text)
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no such login" in done.stderr


@pytest.mark.parametrize("bare", [True, False])
def test_the_server_may_be_named(browser: Browser, demo: RunningDemo, bare: bool) -> None:
    text = browser.text.rpartition("/")[2] if bare else browser.text
    assert (
        run("phone", "--server", demo.origin + "/", "--as", "alice", "scan", text).returncode == 0
    )
    assert browser.state == "scanned"


def test_what_is_refused_says_why(browser: Browser, demo: RunningDemo) -> None:
    run("phone", "--as", "alice", "scan", browser.text)
    for arguments, says in (
        (("--as", "bob", "approve", browser.text), "Someone else has already scanned this code"),
        (("--as", "bob", "confirm", browser.text), "There is no such login"),
        (("--as", "alice", "scan", browser.text[:-1]), "There is no such login"),
        (("--as", "alice", "scan", f"{demo.origin}/qr/x"), "There is no such login"),
        (("--as", "alice", "scan", f"{demo.origin}/elsewhere"), "There is no such login"),
    ):
        done = run("phone", *arguments)
        assert done.returncode == 1
        assert says in done.stderr
        assert done.stdout == ""
    assert browser.state == "scanned"


def test_what_cannot_be_asked_is_2(demo: RunningDemo) -> None:
    for arguments, says in (
        (("--as", "alice", "scan", "just-a-code"), "--server http://"),
        (("--as", "alice", "scan", "ftp://127.0.0.1/qr/x"), "--server http://"),
        (("--as", "alice", "scan", "http://[::1/qr/x"), "--server http://"),
        (
            ("--as", "alice", "scan", "http://127.0.0.1:1/qr/x"),
            "http://127.0.0.1:1 does not answer",
        ),
        (("--as", "alice", "--server", "file:///etc", "scan", "x"), "begins with http"),
        (("--as", "mallory", "scan", f"{demo.origin}/qr/x"), "has no phone for mallory"),
        (
            ("--as", "mallory", "scan", f"{demo.origin}/qr/x"),
            "If the demo is elsewhere, say so: --server",
        ),
        (("--as", "alice", "scan", "WDJB-MJHT"), "--server http://"),
        (("scan", f"{demo.origin}/qr/x"), "--as"),
        (("--as", "alice", "steal", "x"), "invalid choice"),
        (("--as", "alice", "scan"), "TEXT"),
    ):
        done = run("phone", *arguments)
        assert done.returncode == 2, arguments
        assert says in done.stderr
        assert "Traceback" not in done.stderr


# A server that means no good


@pytest.fixture
def evil() -> Iterator[list[tuple[str, str | None]]]:
    """What reaches a server that sends everybody on to another one, with terminal codes in its answers."""
    heard: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append((self.path, self.headers.get("Authorization")))
            body = json.dumps(
                {
                    "token": "t",
                    "name": "A\x1b[2Jlice",
                    "context": {"browser": "\x1b]0;owned\x07"},
                    "begun_ago": "\u202e",
                }
            )
            away = self.path.endswith("/deny")
            self.send_response(302 if away else 200)
            if away:
                self.send_header("Location", f"http://localhost:{self.server.server_port}/caught")  # type: ignore[attr-defined]
            self.end_headers()
            self.wfile.write(b"" if away else body.encode())

        do_GET = do_POST  # what a 302 makes of a POST

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        heard.append((f"http://127.0.0.1:{server.server_port}", None))
        yield heard
        server.shutdown()


def test_only_printable_text_reaches_the_terminal(
    evil: list[tuple[str, str | None]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert phone.run("scan", "x", name="alice", server=evil[0][0]) == 0
    said = capsys.readouterr().out
    assert "wants to be logged in" in said
    assert all(line.isprintable() for line in said.splitlines())


def test_a_token_is_not_carried_elsewhere(
    evil: list[tuple[str, str | None]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert phone.run("deny", "x", name="alice", server=evil[0][0]) == 1
    assert evil[1:] == [
        ("/demo/phone", None),
        ("/qrlogin/phone/scan", "Bearer t"),
        ("/qrlogin/phone/deny", "Bearer t"),
    ]
    assert "302" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    ["-cRicOWrJkoyZIPSGbBZdA==", "--RicOWrJkoyZIPSGbBZdA", f"-{'a' * 21}.1800000000000.{'b' * 43}"],
)
def test_a_code_may_begin_like_an_option(demo: RunningDemo, text: str) -> None:
    for options in (
        ("scan", text, "--as", "alice"),
        ("--as", "alice", "scan", text),
        ("--as", "alice", "scan", "--", text),
    ):
        done = run("phone", "--server", demo.origin, *options)
        assert (done.returncode, "no such login" in done.stderr) == (1, True), done.stderr
