"""A QR code and a status line below it: redrawn in place on a terminal, written once to a pipe.

It knows terminals, and nothing of logins.
"""

import os
import shutil
from collections.abc import Sequence
from typing import Final, TextIO

from qrlogin.render import terminal as draw

WAITING: Final = "Waiting for a phone…"
NO_BLOCKS: Final = "(This terminal cannot show a QR code.)"
TOO_SMALL: Final = "(This window is too small for the QR code.)"


GAP: Final = "  "  # between the code and what is beside it


class Screen:
    """One output. The cursor rests on the status line.

    :param out: a terminal, or another file
    :param beside: lines for the right of each code on a terminal. What is printed above the first
        code scrolls away in a small window; these lines stay. One that does not fit is left out
    """

    def __init__(self, out: TextIO, beside: Sequence[str] = ()) -> None:
        self._out, self._tty, self._beside = out, out.isatty(), beside
        self._in_place = self._tty and os.environ.get("TERM") != "dumb"
        self._ansi = self._in_place and not os.environ.get("NO_COLOR")
        self._text = self._status = ""
        self._height = 0  # of the code to draw over; 0 if the next code is drawn below

    def show(self, text: str, alternative: str = "") -> None:
        """Shows the code of `text` and waits for a phone.

        :param text: what the code says
        :param alternative: what else the user can do; left out where the line has no room for it
        """
        if text != self._text and (self._in_place or not self._text):
            lines = self._draw(text)
            back = f"\r\x1b[{self._height}A\x1b[J" if self._height else ""
            self._write(back + "\n".join(lines) + "\n" + ("" if self._tty else f"{text}\n"))
            self._height = len(lines) if self._in_place else 0
            self._text = text
        waiting = f"{WAITING} {alternative}".rstrip()
        fits = not self._in_place or len(waiting) < shutil.get_terminal_size().columns
        self.status(waiting if fits else WAITING)

    def status(self, line: str) -> None:
        """Replaces the status line."""
        if self._in_place:
            self._write(f"\r\x1b[K{line}")
        elif line != self._status:
            self._write(f"{line}\n")
        self._status = line

    def finish(self, line: str) -> None:
        """Writes the last status of this code. The next code is drawn below it."""
        self.status(f"{line}\n" if self._in_place else line)
        self._text, self._height = "", 0

    def ask(self, question: str) -> None:
        """Shows a question on the status line. What the user types must not be drawn over."""
        self.status(question)
        self._height = 0

    def _draw(self, text: str) -> list[str]:
        if not self._has_blocks():
            return [NO_BLOCKS]
        lines = draw(text, ansi=self._ansi).split("\n")
        size = shutil.get_terminal_size()
        width = 2 * len(lines) - 1  # a line is two rows of modules, a module one column
        if not self._in_place:
            return lines
        if len(lines) >= size.lines or width > size.columns:
            return [TOO_SMALL]
        room = size.columns - width - len(GAP)
        shown = [line if len(line) < room else "" for line in self._beside]
        start = (len(lines) - len(shown)) // 2
        for row, line in enumerate(shown, start):
            lines[row] += GAP + line if line else ""
        return lines

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()

    def _has_blocks(self) -> bool:
        try:
            "▀▄█".encode(self._out.encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            return False
        return True
