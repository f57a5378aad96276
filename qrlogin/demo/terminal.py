"""A browser in the demo's terminal, as a television or a command-line tool could be one.

It shows a QR code, waits for the phone, asks "Continue as …?" and logs in. It speaks HTTP as any
browser does, and keeps its device_code in memory. A terminal rotates the code in place; a pipe gets
one code, and no question.
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
from qrlogin.names import clean, marked

POLL_S: Final = 0.2  # how often a question checks whether the demo stops
MAX_BYTES: Final = 400  # of a name or message from the server, as it is printed
LOGIN_PAGE: Final = "Log a browser in at"
#: What is printed for a final state.
RESULTS: Final = {
    "denied": "Denied on the phone. This terminal was not logged in.",
    "cancelled": "Cancelled. This terminal was not logged in.",
    "expired": "This code has expired.",
    "redeemed": "This login has already been used.",
}


class Terminal:
    """Runs in a thread of its own until `ended` is set.

    :param origin: the address of the demo
    :param page: the address of the login page, which is shown beside each code
    :param ended: set by the demo when it stops
    :param on_begin: called with the device_code of each login that begins here
    """

    def __init__(
        self, origin: str, page: str, ended: threading.Event, on_begin: Callable[[str], None]
    ) -> None:
        self._origin, self._ended, self._on_begin = origin, ended, on_begin
        self._screen = Screen(sys.stdout, [LOGIN_PAGE, page])
        self._thread = threading.Thread(target=self._run, daemon=True, name="demo-terminal")

    def start(self) -> None:
        self._thread.start()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _run(self) -> None:
        again = True
        while again and not self._ended.is_set():
            try:
                result = self._log_in()
            except Unreachable as error:
                result = str(error)
            if self._ended.is_set():
                return
            self._screen.finish(result)
            again = can_ask() and self._ask("Press Enter for a new code. ") is not None

    def _log_in(self) -> str:
        """Runs one login. Returns the sentence that says how it ended."""
        browser = Client(self._origin, agent="demo-terminal/1")
        begun = browser.post("/qrlogin/begin", {"deliver": "body", "picture": "none"})
        if not begun:
            return _reason(begun)
        browser.bearer = str(begun.json["device_code"])
        self._on_begin(browser.bearer)
        path = f"/qrlogin/{begun.json['login_id']}"
        alternative = (
            "Or type {user_code} at {verification_uri}".format_map(begun.json)
            if "user_code" in begun.json
            else ""
        )
        answer: Answer = begun
        while not self._ended.is_set():
            if not answer:
                return _reason(answer)
            seen = answer.json
            if seen["state"] == "pending":
                if "verification_uri_complete" not in seen:  # its code may not be shown any more
                    return RESULTS["expired"]
                self._screen.show(str(seen["verification_uri_complete"]), alternative)
            elif seen["state"] == "scanned":
                digits = clean(str(seen.get("match_code", "")), MAX_BYTES)
                todo = f"Enter {digits}" if digits else "Approve the login"
                self._screen.status(f"Scanned by {_name(seen)}. {todo} on the phone.")
            elif seen["state"] == "confirmed":
                return self._finish(browser, path, seen)
            else:
                return RESULTS.get(str(seen["state"]), "This login is over.")
            self._ended.wait(seen.get("retry_after", 0))
            answer = browser.get(f"{path}?after={seen['version']}&wait=25&picture=none")
        return ""

    def _finish(self, browser: Client, path: str, seen: dict[str, Any]) -> str:
        self._screen.status(f"Approved by {_name(seen)}.")
        if can_ask():
            answer = self._ask(f"Continue as {_name(seen)}? [Y/n] ")
            if answer is None or answer.strip().lower() not in ("", "y", "yes"):
                browser.post(f"{path}/cancel", {})
                return RESULTS["cancelled"]
        else:
            self._screen.finish(f"Continuing as {_name(seen)} without asking: no keyboard here.")
        body = {"acknowledged": str(seen["scanned_by"]["tag"]), "op": secrets.token_urlsafe(16)}
        redeemed = browser.post(f"{path}/redeem", body)
        if not redeemed:
            return _reason(redeemed)
        name = clean(str(browser.get("/demo/me").json.get("name")), MAX_BYTES)
        return f"This terminal is logged in as {name}."

    def _ask(self, question: str) -> str | None:
        """A line from the keyboard; None if the demo stops or the input ends first."""
        self._screen.ask(question)
        line = b""
        while not self._ended.is_set():
            if select.select([0], [], [], POLL_S)[0]:
                read = os.read(0, 1024)
                line += read
                if not read:
                    return None
                if b"\n" in line:
                    return line.decode("utf-8", "replace")
        return None


def can_ask() -> bool:
    """Whether a user can answer: on a terminal, in a job that runs in the foreground."""
    try:
        return os.isatty(0) and os.isatty(1) and os.tcgetpgrp(0) == os.getpgrp()
    except (AttributeError, OSError):  # no job control, as on Windows
        return False


def _name(seen: dict[str, Any]) -> str:
    """The name that a browser shows, without control characters, which a terminal would obey: the
    account's full name once it is there, with brackets around what could pass for other letters.
    """
    by = seen["scanned_by"]
    return clean(marked(str(by["name"])) if "name" in by else str(by["shown_as"]), MAX_BYTES)


def _reason(answer: Answer) -> str:
    description = answer.json.get("error_description", f"The server answered {answer.status}.")
    return clean(str(description), MAX_BYTES)
