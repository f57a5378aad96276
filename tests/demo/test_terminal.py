"""The browser in the demo's terminal: into a pipe, and on a real terminal with somebody at the keyboard."""

import fcntl
import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from tests.demo.running import COMMAND, END_S, PATIENCE_S, RunningDemo, run

# Into a pipe


def test_it_is_logged_in_like_any_browser() -> None:
    with RunningDemo() as demo:
        assert run("phone", "--as", "alice", "approve", demo.text).returncode == 0
        demo.until("Logged in here as Alice")
        said = [line for line in demo.lines if "A•••e" in line or "Alice" in line]
        assert said[-2:] == [
            "Continuing as A•••e: there is nobody here to ask.",
            "Logged in here as Alice: a terminal is a browser, too.",
        ]
        assert demo.browser().get("/demo/me").status == 401  # and nobody else is


@pytest.mark.parametrize(
    ("verb", "says"),
    [("deny", "Declined on the phone"), ("scan", "Scanned by B•b"), ("release", "Waiting")],
)
def test_the_terminal_reports_what_the_phone_does(verb: str, says: str) -> None:
    with RunningDemo() as demo:
        text = demo.text
        run("phone", "--as", "bob", "scan", text)
        demo.until("Scanned by B•b. Approve it on the phone.")
        if verb != "scan":
            before = len(demo.lines)
            run("phone", "--as", "bob", verb, text)
            demo.until(says)
            deadline = time.monotonic() + PATIENCE_S
            while len(demo.lines) == before and time.monotonic() < deadline:
                time.sleep(0.01)
        assert says in demo.lines[-1]


def test_the_terminal_reports_an_expiry_and_the_demo_goes_on() -> None:
    with RunningDemo("--lifetime", "1") as demo:
        demo.until("This code has expired.")
        assert demo.browser().get("/").status == 200


# On a terminal


class Terminal:
    """The demo on a pseudo-terminal of 24 by 80, seen as it was written."""

    def __init__(self, *options: str, **env: str) -> None:
        master, slave = pty.openpty()
        self._master, self.seen = master, ""
        self.process = subprocess.Popen(
            [*COMMAND, "demo", "--port", "0", *options],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={
                **os.environ,
                "TERM": "xterm-256color",
                "COLUMNS": "80",
                "LINES": "24",
                "PYTHONIOENCODING": "utf-8",
                **env,
            },
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(
                0, termios.TIOCSCTTY, 0
            ),  # Ctrl-C comes from the terminal that one owns
        )
        os.close(slave)

    def until(self, text: str) -> None:
        """Reads on until this is there; what came before is forgotten."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.seen:
            assert time.monotonic() < deadline, f"waited for {text!r}, saw {self.seen[-500:]!r}"
            if select.select([self._master], [], [], 0.1)[0]:
                self.seen += os.read(self._master, 65536).decode("utf-8", "replace")

    def press(self, keys: str) -> None:
        self.seen = ""
        os.write(self._master, keys.encode())

    @property
    def code(self) -> str:
        """What its QR code says now, asked as the phone's window does."""
        self.until("Waiting for a phone")
        found = re.search(r"http://([\d.:]+)/demo/terminal", self.seen)
        assert found
        connection = HTTPConnection(found[1], timeout=PATIENCE_S)
        connection.request("GET", "/demo/terminal")
        location = connection.getresponse().headers["Location"]
        connection.close()
        return str(location)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    shown = Terminal()
    yield shown
    shown.end()


def test_it_asks_before_it_goes_on(terminal: Terminal) -> None:
    assert run("phone", "--as", "alice", "approve", terminal.code).returncode == 0
    terminal.until("Continue as A•••e? [Y/n]")
    terminal.press("\n")
    terminal.until("Logged in here as Alice")
    terminal.until("Press Enter for another code.")
    terminal.press("\n")
    terminal.until("Waiting for a phone")
    assert terminal.seen.count("▀") > 100


def test_no_is_an_answer(terminal: Terminal) -> None:
    code = terminal.code
    run("phone", "--as", "alice", "approve", code)
    terminal.until("Continue as A•••e? [Y/n]")
    terminal.press("n\n")
    terminal.until("Cancelled. Nobody was logged in.")
    done = run("phone", "--as", "alice", "confirm", code)
    assert (done.returncode, done.stderr) == (1, "The login was cancelled in the browser.\n")


@pytest.mark.parametrize("asked", [True, False])
def test_ctrl_c_ends_it_also_while_it_asks(terminal: Terminal, asked: bool) -> None:
    code = terminal.code
    if asked:
        run("phone", "--as", "alice", "approve", code)
        terminal.until("Continue as")
    terminal.press("\x03")
    terminal.until("Ending.")
    assert terminal.process.wait(END_S) == 0
    assert "Traceback" not in terminal.seen
