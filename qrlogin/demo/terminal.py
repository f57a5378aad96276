"""A browser in the terminal that runs the demo, as a television or a command-line tool would be one: it shows a QR code, waits
for the phone, asks "continue as …?" and is logged in.

It speaks HTTP like everybody else and keeps its device_code in memory. On a terminal the code rotates in place; into a pipe
it is printed once, and nothing is asked there.
"""

import os
import secrets
import select
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

from qrlogin.demo.client import Answer, Client, Unreachable
from qrlogin.demo.screen import Screen

LOOK_S: Final = 0.2  # how often a question looks whether the demo is to end
OVER: Final = {
    "denied": "Declined on the phone. Nobody was logged in.",
    "cancelled": "Cancelled. Nobody was logged in.",
    "expired": "This code has expired.",
    "redeemed": "This login was used already.",
}


class Terminal:
    """Runs in a thread until `ended`. `showing` hears the device_code of each login that it begins."""

    def __init__(self, origin: str, ended: threading.Event, showing: Callable[[str], None]) -> None:
        self._origin, self._ended, self._showing = origin, ended, showing
        self._screen = Screen(sys.stdout)
        self._thread = threading.Thread(target=self._run, daemon=True, name="demo-terminal")

    def start(self) -> None:
        self._thread.start()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _run(self) -> None:
        again = True
        while again and not self._ended.is_set():
            try:
                said = self._log_in()
            except Unreachable as error:
                said = str(error)
            if self._ended.is_set():
                return
            self._screen.say(said)
            again = can_ask() and self._ask("Press Enter for another code. ") is not None

    def _log_in(self) -> str:
        """One login, from its code to the sentence that says how it ended."""
        browser = Client(self._origin, agent="the terminal of the demo")
        begun = browser.post("/qrlogin/begin", {"deliver": "body"})
        if not begun:
            return _why(begun)
        browser.bearer = str(begun.json["device_code"])
        self._showing(browser.bearer)
        path = f"/qrlogin/{begun.json['login_id']}"
        typed = (
            "Or type {user_code} at {verification_uri}".format_map(begun.json)
            if "user_code" in begun.json
            else ""
        )
        seen: Answer = begun
        while not self._ended.is_set():
            now = seen.json
            if not seen:
                return _why(seen)
            if now["state"] == "pending":
                self._screen.show(str(now["verification_uri_complete"]), typed)
            elif now["state"] == "scanned":
                self._screen.status(f"Scanned by {_name(now)}. Approve it on the phone.")
            elif now["state"] == "confirmed":
                return self._finish(browser, path, now)
            else:
                return OVER.get(str(now["state"]), "This login is over.")
            self._ended.wait(now.get("retry_after", 0))
            seen = browser.get(f"{path}?after={now['version']}&wait=25")
        return ""

    def _finish(self, browser: Client, path: str, seen: dict[str, Any]) -> str:
        self._screen.status(f"Approved by {_name(seen)}.")
        if can_ask():
            answer = self._ask(f"Continue as {_name(seen)}? [Y/n] ")
            if answer is None or answer.strip().lower() not in ("", "y", "yes"):
                browser.post(f"{path}/cancel", {})
                return OVER["cancelled"]
        else:
            self._screen.say(f"Continuing as {_name(seen)}: there is nobody here to ask.")
        body = {"acknowledged": str(seen["scanned_by"]["tag"]), "op": secrets.token_urlsafe(16)}
        redeemed = browser.post(f"{path}/redeem", body)
        if not redeemed:
            return _why(redeemed)
        return f"Logged in here as {browser.get('/demo/me').json.get('name')}: a terminal is a browser, too."

    def _ask(self, question: str) -> str | None:
        """A line from the keyboard; None if there is none because the demo or the input ended."""
        self._screen.ask(question)
        line = b""
        while not self._ended.is_set():
            if select.select([0], [], [], LOOK_S)[0]:
                read = os.read(0, 1024)
                line += read
                if not read:
                    return None
                if b"\n" in line:
                    return line.decode("utf-8", "replace")
        return None


def can_ask() -> bool:
    """Whether somebody sits at the keyboard: not a pipe, and not a job in the background."""
    try:
        return os.isatty(0) and os.isatty(1) and os.tcgetpgrp(0) == os.getpgrp()
    except (AttributeError, OSError):  # no job control here, as on Windows
        return False


def _name(seen: dict[str, Any]) -> str:
    return "".join(c if c.isprintable() else "?" for c in str(seen["scanned_by"]["shown_as"]))


def _why(answer: Answer) -> str:
    return str(answer.json.get("error_description", f"The server answered {answer.status}."))
