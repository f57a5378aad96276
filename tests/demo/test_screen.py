"""The code on a screen of 24 by 80: redrawn in place, never over anything else."""

import io
import re

import pytest

from qrlogin.demo.screen import Screen


class Paper(io.StringIO):
    """A standard output that is a terminal, or not."""

    encoding = "utf-8"

    def __init__(self, tty: bool) -> None:
        super().__init__()
        self.tty = tty

    @property
    def text(self) -> str:
        return self.getvalue()

    def isatty(self) -> bool:
        return self.tty

    def screen(self, height: int = 24) -> list[str]:
        """What a terminal shows after all of this: it understands just what is used here, and scrolls."""
        rows, row, column = [""], 0, 0
        for part in re.findall(r"\x1b\[[\d;]*[A-Zm]|.|\n|\r", self.text):
            if part == "\n":
                row, column = row + 1, 0
                if row == len(rows):
                    rows.append("")
            elif part == "\r":
                column = 0
            elif part.endswith("A") and len(part) > 1:
                row = max(row - int(part[2:-1]), len(rows) - height, 0)
            elif part == "\x1b[J":
                rows[row:] = [rows[row][:column]]
            elif part == "\x1b[K":
                rows[row] = rows[row][:column]
            elif len(part) == 1:
                rows[row] = rows[row][:column] + part + rows[row][column + 1 :]
                column += 1
        return rows


TEXT = "http://127.0.0.1:8000/qr/" + "x" * 80


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Paper:
    paper = Paper(getattr(request, "param", True))
    for name, value in {"COLUMNS": "80", "LINES": "24", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return paper


def test_a_new_code_is_drawn_over_the_old_one(paper: Paper) -> None:
    screen = Screen(paper)
    screen.show(TEXT)
    once = paper.screen()
    screen.show(TEXT)
    assert paper.screen() == once
    screen.status("Scanned by A•••e.")
    assert paper.screen() == [*once[:-1], "Scanned by A•••e."]
    screen.show(TEXT[:-1] + "y")
    assert len(paper.screen()) == len(once) == 24
    assert paper.screen() != once
    screen.show(TEXT)
    assert paper.screen() == once


def test_after_the_last_word_the_next_code_comes_below(paper: Paper) -> None:
    screen = Screen(paper)
    screen.show(TEXT)
    once = paper.screen()
    screen.say("This code has expired.")
    screen.ask("Press Enter for another code. ")
    paper.write("\n")  # as the terminal echoes it
    screen.show(TEXT)
    assert paper.screen(100) == [
        *once[:-1],
        "This code has expired.",
        "Press Enter for another code. ",
        *once,
    ]


def test_colours_are_left_out_where_they_are_not_wanted(
    paper: Paper, monkeypatch: pytest.MonkeyPatch
) -> None:
    Screen(paper).show(TEXT)
    assert "\x1b[0;38;5;16;48;5;231m" in paper.text
    paper.truncate(0)
    monkeypatch.setenv("NO_COLOR", "1")
    Screen(paper).show(TEXT)
    assert "█" in paper.text
    assert not re.search(r"\x1b\[[\d;]*m", paper.text)


@pytest.mark.parametrize("size", [{"LINES": "23"}, {"COLUMNS": "44"}])
def test_a_small_window_is_not_filled_with_rubble(
    paper: Paper, monkeypatch: pytest.MonkeyPatch, size: dict[str, str]
) -> None:
    for name, value in size.items():
        monkeypatch.setenv(name, value)
    screen = Screen(paper)
    screen.show(TEXT)
    screen.show(TEXT[:-1] + "y")
    assert paper.screen() == ["(this window cannot show the code)", "Waiting for a phone…"]


@pytest.mark.parametrize("paper", [False], indirect=True)
def test_into_a_pipe_each_thing_is_said_once(paper: Paper) -> None:
    screen = Screen(paper)
    screen.show(TEXT)
    screen.show(TEXT[:-1] + "y")
    screen.status("Scanned by A•••e.")
    screen.status("Scanned by A•••e.")
    screen.say("This code has expired.")
    lines = paper.text.splitlines()
    assert lines[-4:] == [
        TEXT,
        "Waiting for a phone…",
        "Scanned by A•••e.",
        "This code has expired.",
    ]
    assert "\x1b" not in paper.text


def test_an_encoding_without_blocks_gets_the_text_alone() -> None:
    paper = Paper(False)
    paper.encoding = "ascii"
    Screen(paper).show(TEXT)
    assert paper.text.splitlines() == [
        "(this window cannot show the code)",
        TEXT,
        "Waiting for a phone…",
    ]
