"""The browser in the demo's terminal: with a pipe, and with a pseudo-terminal and a keyboard."""

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

from qrlogin.demo.terminal import _name
from tests.demo.running import COMMAND, STOP_TIMEOUT_S, TIMEOUT_S, RunningDemo, call
from tests.demo.test_screen import FakeOutput

# With a pipe


def test_the_terminal_logs_in_as_a_browser_does() -> None:
    with RunningDemo() as demo:
        assert call("phone", "--as", "alice", "approve", demo.text).returncode == 0
        demo.until("logged in as Alice")
        said = [line for line in demo.lines if "A•••e" in line or "Alice" in line]
        assert said[-2:] == [
            "Continuing as Alice without asking: no keyboard here.",
            "This terminal is logged in as Alice.",
        ]
        assert demo.browser().get("/demo/me").status == 401  # and no other browser is


@pytest.mark.parametrize(
    ("verb", "says"),
    [("deny", "Denied on the phone"), ("scan", "Scanned by B•b"), ("release", "Waiting")],
)
def test_the_terminal_reports_what_the_phone_does(verb: str, says: str) -> None:
    with RunningDemo() as demo:
        text = demo.text
        call("phone", "--as", "bob", "scan", text)
        demo.until("Scanned by B•b. Approve the login on the phone.")
        if verb != "scan":
            before = len(demo.lines)
            call("phone", "--as", "bob", verb, text)
            demo.until(says)
            deadline = time.monotonic() + TIMEOUT_S
            while len(demo.lines) == before and time.monotonic() < deadline:
                time.sleep(0.01)
        assert says in demo.lines[-1]


def test_the_terminal_reports_an_expiry_and_the_demo_goes_on() -> None:
    with RunningDemo("--lifetime", "1") as demo:
        demo.until("This code has expired.")
        assert demo.browser().get("/").status == 200


def test_names_are_printed_with_emoji_and_without_control_characters() -> None:
    assert _name({"scanned_by": {"shown_as": "A\x1b[2J 👩\u200d💻"}}) == "A [2J 👩\u200d💻"


# With a terminal


class Terminal:
    """The demo on a pseudo-terminal of 24 by 80. `seen` is its raw output."""

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
            # Ctrl-C is sent only to the processes of the controlling terminal.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)

    def until(self, text: str) -> None:
        """Reads until the output since the last key contains this text."""
        deadline = time.monotonic() + TIMEOUT_S
        while text not in self.seen:
            assert time.monotonic() < deadline, f"waited for {text!r}, saw {self.seen[-500:]!r}"
            if select.select([self._master], [], [], 0.1)[0]:
                self.seen += os.read(self._master, 65536).decode("utf-8", "replace")

    def press(self, keys: str) -> None:
        self.seen = ""
        os.write(self._master, keys.encode())

    @property
    def code(self) -> str:
        """The text of its QR code now, from the path that the phone's window opens."""
        self.until("Waiting for a phone")
        found = re.search(r"http://([\d.:]+)/demo/terminal", self.seen)
        assert found
        connection = HTTPConnection(found[1], timeout=TIMEOUT_S)
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


def test_the_terminal_asks_before_it_logs_in(terminal: Terminal) -> None:
    assert call("phone", "--as", "alice", "approve", terminal.code).returncode == 0
    terminal.until("Continue as Alice? [Y/n]")
    terminal.press("\n")
    terminal.until("logged in as Alice")
    terminal.until("Press Enter for a new code.")
    terminal.press("\n")
    terminal.until("Waiting for a phone")
    assert terminal.seen.count("▀") > 100


def test_the_login_page_stays_visible_in_a_terminal_of_24_by_80(terminal: Terminal) -> None:
    terminal.until("Waiting for a phone")
    page = re.search(r"  Log a browser in +(http://\S+)", terminal.seen)
    assert page is not None
    screen = FakeOutput(tty=True)
    screen.write(terminal.seen.replace("\r\n", "\n"))
    visible = screen.shown()[-24:]
    assert sum("▀" in line or "▄" in line for line in visible) > 15  # the code fills the window
    assert any(line.endswith(f"  {page[1]}") for line in visible)
    assert max(map(len, visible)) <= 80


def test_the_answer_no_cancels_the_login(terminal: Terminal) -> None:
    code = terminal.code
    call("phone", "--as", "alice", "approve", code)
    terminal.until("Continue as Alice? [Y/n]")
    terminal.press("n\n")
    terminal.until("Cancelled. This terminal was not logged in.")
    done = call("phone", "--as", "alice", "confirm", code)
    assert (done.returncode, done.stderr) == (1, "The login was cancelled in the browser.\n")


@pytest.mark.parametrize("during_question", [True, False])
def test_ctrl_c_stops_the_demo_also_during_a_question(
    terminal: Terminal, during_question: bool
) -> None:
    code = terminal.code
    if during_question:
        call("phone", "--as", "alice", "approve", code)
        terminal.until("Continue as")
    terminal.press("\x03")
    terminal.until("Stopping.")
    assert terminal.process.wait(STOP_TIMEOUT_S) == 0
    assert "Traceback" not in terminal.seen
