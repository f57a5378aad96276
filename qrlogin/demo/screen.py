"""A QR code and one line under it, drawn over each other as they change; into a pipe, one after the other, each once.

It knows terminals and no login.
"""

import os
import shutil
from typing import Final, TextIO

from qrlogin.render import terminal as draw

WAITING: Final = "Waiting for a phone…"


class Screen:
    """One output. The cursor rests on the line under the code."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._tty = out, out.isatty()
        self._in_place = self._tty and os.environ.get("TERM") != "dumb"
        self._ansi = self._in_place and not os.environ.get("NO_COLOR")
        self._text = self._status = ""
        self._height = 0  # of the code on the screen, if the cursor is on the line under it

    def show(self, text: str, otherwise: str = "") -> None:
        """The code, and that it waits; behind that what else a person may do, if there is room on the line."""
        if text != self._text and (self._in_place or not self._text):
            lines = draw(text, ansi=self._ansi).split("\n") if self._has_blocks() else []
            size = shutil.get_terminal_size()
            fits = (
                len(lines) < size.lines and 2 * len(lines) - 1 <= size.columns
            )  # half a line is a module
            if not lines or (self._in_place and not fits):
                lines = ["(this window cannot show the code)"]
            back = f"\r\x1b[{self._height}A\x1b[J" if self._height else ""
            self._write(back + "\n".join(lines) + "\n" + ("" if self._tty else f"{text}\n"))
            self._height = len(lines) if self._in_place else 0
            self._text = text
        waiting = f"{WAITING} {otherwise}".rstrip()
        fits = not self._in_place or len(waiting) < shutil.get_terminal_size().columns
        self.status(waiting if fits else WAITING)

    def status(self, line: str) -> None:
        """Replaces the line under the code."""
        if self._in_place:
            self._write(f"\r\x1b[K{line}")
        elif line != self._status:
            self._write(f"{line}\n")
        self._status = line

    def say(self, line: str) -> None:
        """The last word on this code: the next one is drawn below."""
        self.status(f"{line}\n" if self._in_place else line)
        self._text, self._height = "", 0

    def ask(self, question: str) -> None:
        self.status(question)
        self._height = 0

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()

    def _has_blocks(self) -> bool:
        try:
            "▀▄█".encode(self._out.encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            return False
        return True
