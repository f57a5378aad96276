"""`python -m qrlogin phone`: every act, from another process, against a running demo."""

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from qrlogin import MemoryStore, QRLogin
from qrlogin.demo import phone
from qrlogin.demo.client import Answer, Client
from qrlogin.demo.server import Server
from qrlogin.wire import DENY, STEP_UP, Endpoint, Person, Request, Response
from qrlogin.wire.judge import Ruling
from qrlogin.wire.message import StartResponse
from tests.demo.running import RunningDemo, call, run
from tests.security_rows import row


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
        """Answers the question with yes. Returns the first page."""
        tag = self.client.get(f"/qrlogin/{self.login_id}").json["scanned_by"]["tag"]
        self.client.post(f"/qrlogin/{self.login_id}/redeem", {"acknowledged": tag, "op": "o" * 22})
        return self.client.get("/").text


@pytest.fixture
def browser(demo: RunningDemo) -> Browser:
    return Browser.begin(demo)


@row(31)
def test_approve_asks_for_the_digits_that_the_terminal_shows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Words cost no try. A wrong try says how many are left."""
    with RunningDemo("--match-digits", "3") as running:
        asked: list[str] = []

        def ask(question: str) -> str:
            shown = running.until(r"Enter ([0-9]{3}) on the phone")
            asked.append(question)
            return ("words", f"{(int(shown) + 1) % 1000:03}", " ".join(shown))[len(asked) - 1]

        assert phone.run("approve", running.text, name="alice", server=None, ask=ask) == 0
        said = capsys.readouterr().out
        assert "Tries left: 2." in said
        assert said.endswith("Approved. Continue on the other screen.\n")
        running.until("logged in as Alice")
        assert asked == ["Digits on the other screen: "] * 3


def test_approve_without_a_keyboard_says_that_digits_are_needed() -> None:
    with RunningDemo("--match-digits", "2") as running:
        done = run("phone", "--as", "alice", "approve", running.text)
        assert done.returncode == 1
        assert done.stderr.endswith("Type the digits that the other screen shows.\n")


def test_approve_scans_and_confirms(browser: Browser, demo: RunningDemo) -> None:
    done = run("phone", "--as", "alice", "approve", browser.text)
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout.splitlines()
    assert said[0] == "A browser wants to log in as Alice:"
    assert said[1].split(maxsplit=1) == ["browser", "an unknown browser"]
    assert f"  site      {demo.origin.removeprefix('http://')}" in said
    assert any(line.startswith("  started") for line in said)
    assert said[-4].startswith("This browser has never been used with your account. If you are not")
    assert said[-3:] == [
        "Approve only if this code is on a screen in front of you.",
        "If you did not start this login, deny it.",
        "Approved. Continue on the other screen.",
    ]
    assert browser.state == "confirmed"
    assert "You are logged in as Alice" in browser.go_on()


@row(69)
def test_the_second_login_is_on_a_known_browser(browser: Browser, demo: RunningDemo) -> None:
    known = "You have logged in on this browser before."
    assert known not in run("phone", "--as", "alice", "approve", browser.text).stdout
    assert "Alice" in browser.go_on()
    begun = browser.client.post("/qrlogin/begin", {}).json
    for account, expected in (("alice", True), ("bob", False)):
        text = begun["verification_uri_complete"]
        done = run("phone", "--as", account, "look", text)
        assert (known in done.stdout) is expected, done.stdout + done.stderr


def test_each_act_can_be_run_alone(browser: Browser) -> None:
    for verb, state, says in (
        ("look", "pending", "wants to log in as Bob"),
        ("scan", "scanned", "wants to log in as Bob"),
        ("release", "pending", "Released."),
        ("scan", "scanned", "wants to log in as Bob"),
        ("confirm", "confirmed", "Approved."),
        ("confirm", "confirmed", "Approved."),
        ("outcome", "confirmed", "Approved. Continue on the other screen."),
        ("deny", "denied", "Denied."),
        ("outcome", "denied", "Denied."),
    ):
        done = call("phone", "--as", "bob", verb, browser.text)
        assert (done.returncode, done.stderr) == (0, ""), verb
        assert says in done.stdout
        assert browser.state == state


def test_deny_scans_first(browser: Browser) -> None:
    for _ in range(2):  # a repeated denial is no error
        done = call("phone", "--as", "alice", "deny", browser.text)
        assert (done.returncode, done.stdout, done.stderr) == (
            0,
            "Denied. The browser was not logged in.\n",
            "",
        )
        assert browser.state == "denied"
    done = call("phone", "--as", "bob", "deny", browser.text)
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no such login" in done.stderr


@pytest.mark.parametrize("bare", [True, False])
def test_the_server_option_names_the_demo(browser: Browser, demo: RunningDemo, bare: bool) -> None:
    text = browser.text.rpartition("/")[2] if bare else browser.text
    assert (
        call("phone", "--server", demo.origin + "/", "--as", "alice", "scan", text).returncode == 0
    )
    assert browser.state == "scanned"


def test_a_rejected_act_prints_the_reason(browser: Browser, demo: RunningDemo) -> None:
    call("phone", "--as", "alice", "scan", browser.text)
    for arguments, says in (
        (("--as", "bob", "approve", browser.text), "Someone else has already scanned this code"),
        (("--as", "bob", "confirm", browser.text), "There is no such login"),
        (("--as", "alice", "scan", browser.text[:-1]), "There is no such login"),
        (("--as", "alice", "scan", f"{demo.origin}/qr/x"), "There is no such login"),
        (("--as", "alice", "scan", f"{demo.origin}/elsewhere"), "There is no such login"),
    ):
        done = call("phone", *arguments)
        assert done.returncode == 1
        assert says in done.stderr
        assert done.stdout == ""
    assert browser.state == "scanned"


def test_wrong_usage_and_an_unreachable_demo_exit_with_2(demo: RunningDemo) -> None:
    for arguments, says in (
        (("--as", "alice", "scan", "just-a-code"), "--server http://"),
        (("--as", "alice", "scan", "ftp://127.0.0.1/qr/x"), "--server http://"),
        (("--as", "alice", "scan", "http://[::1/qr/x"), "--server http://"),
        (
            ("--as", "alice", "scan", "http://127.0.0.1:1/qr/x"),
            "http://127.0.0.1:1 does not answer",
        ),
        (("--as", "alice", "--server", "file:///etc", "scan", "x"), "starts with http"),
        (("--as", "mallory", "scan", f"{demo.origin}/qr/x"), "has no phone for mallory"),
        (
            ("--as", "mallory", "scan", f"{demo.origin}/qr/x"),
            "If the demo runs elsewhere, add --server",
        ),
        (("--as", "alice", "scan", "WDJB-MJHT"), "--server http://"),
        (("scan", f"{demo.origin}/qr/x"), "--as"),
        (("--as", "alice", "steal", "x"), "invalid choice"),
        (("--as", "alice", "scan"), "TEXT"),
    ):
        done = call("phone", *arguments)
        assert done.returncode == 2, arguments
        assert says in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("ruling", "printed"),
    [
        (DENY("Closed until Monday."), "Closed until Monday."),
        (STEP_UP("/unlock"), "one more step first: {origin}/unlock Then run this command again."),
        (STEP_UP("https://id.example.com/step"), "first: https://id.example.com/step Then run"),
    ],
    ids=["words", "a step", "a step elsewhere"],
)
def test_the_words_of_the_judge_and_the_address_of_its_step_are_printed(
    ruling: Ruling, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Server("127.0.0.1", 0) as server:
        origin = f"http://127.0.0.1:{server.port}"
        qr = QRLogin(MemoryStore(), secret_keys=[bytes(range(32))], verification_uri=f"{origin}/qr")
        endpoint = Endpoint(qr, max_waiting=0, judge=lambda *_: ruling)

        def site(environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
            path = str(environ["PATH_INFO"])
            if path == "/demo/phone":
                return Response.json(200, {"token": "t", "name": "Alice"}).to_wsgi(start_response)
            asked = Request.from_wsgi(environ, path.removeprefix("/qrlogin/phone/"))
            alice = Person("1", name="alice@example.com")
            return endpoint.phone(asked, alice).to_wsgi(start_response)

        server.start(site)
        text = qr.begin().verification_uri_complete
        assert phone.run("approve", text, name="alice", server=None) == 1
        assert printed.replace("{origin}", origin) in capsys.readouterr().err
        server.stop(qr.close)


# A malicious server


@pytest.fixture
def evil_server() -> Iterator[list[tuple[str, str | None]]]:
    """The origin of a server that redirects and sends escape sequences, then its requests."""
    requests: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            requests.append((self.path, self.headers.get("Authorization")))
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

        do_GET = do_POST  # a 302 turns a POST into a GET

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        requests.append((f"http://127.0.0.1:{server.server_port}", None))
        yield requests
        server.shutdown()


@row(40)
def test_control_characters_from_a_server_never_reach_the_terminal(
    evil_server: list[tuple[str, str | None]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert phone.run("scan", "x", name="alice", server=evil_server[0][0]) == 0
    said = capsys.readouterr().out
    assert "wants to log in" in said
    assert all(line.isprintable() for line in said.splitlines())


def test_a_name_with_a_joined_emoji_is_printed_as_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    scanned = Answer(200, json.dumps({"context": {"browser": "Ada\u2019s 👩\u200d💻"}}).encode())
    phone._show(scanned, "Ada", "login.example.com")
    assert "  browser   says it is Ada\u2019s 👩\u200d💻\n" in capsys.readouterr().out


def test_a_redirect_does_not_carry_the_token_to_another_host(
    evil_server: list[tuple[str, str | None]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert phone.run("deny", "x", name="alice", server=evil_server[0][0]) == 1
    assert evil_server[1:] == [
        ("/demo/phone", None),
        ("/qrlogin/phone/scan", "Bearer t"),
        ("/qrlogin/phone/deny", "Bearer t"),
    ]
    assert "302" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    ["-cRicOWrJkoyZIPSGbBZdA==", "--RicOWrJkoyZIPSGbBZdA", f"-{'a' * 21}.1800000000000.{'b' * 43}"],
)
def test_a_code_may_begin_with_a_dash(demo: RunningDemo, text: str) -> None:
    for options in (
        ("scan", text, "--as", "alice"),
        ("--as", "alice", "scan", text),
        ("--as", "alice", "scan", "--", text),
    ):
        done = call("phone", "--server", demo.origin, *options)
        assert (done.returncode, "no such login" in done.stderr) == (1, True), done.stderr
