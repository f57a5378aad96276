"""The code on a terminal of 24 by 80: it is redrawn in place, and never over other lines."""

import io
import re

import pytest

from qrlogin.demo.screen import Screen


class FakeOutput(io.StringIO):
    """A standard output, on a terminal or not."""

    encoding = "utf-8"

    def __init__(self, tty: bool) -> None:
        super().__init__()
        self.tty = tty

    @property
    def text(self) -> str:
        return self.getvalue()

    def isatty(self) -> bool:
        return self.tty

    def shown(self, height: int = 24) -> list[str]:
        """The lines that a terminal shows: it scrolls, and knows only the sequences in use here."""
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


TEXT = "http://127.0.0.1:8000/qr/" + "x" * 48


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> FakeOutput:
    output = FakeOutput(getattr(request, "param", True))
    for name, value in {"COLUMNS": "80", "LINES": "24", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return output


def test_a_new_code_is_drawn_over_the_old_one(output: FakeOutput) -> None:
    screen = Screen(output)
    screen.show(TEXT)
    once = output.shown()
    screen.show(TEXT)
    assert output.shown() == once
    screen.status("Scanned by A•••e.")
    assert output.shown() == [*once[:-1], "Scanned by A•••e."]
    screen.show(TEXT[:-1] + "y")
    assert len(output.shown()) == len(once) == 24
    assert output.shown() != once
    screen.show(TEXT)
    assert output.shown() == once


def test_lines_beside_the_code_are_drawn_again_with_it_unless_they_do_not_fit(
    output: FakeOutput,
) -> None:
    screen = Screen(output, ["Log a browser in at", "http://127.0.0.1:8000", "x" * 40])
    for text in (TEXT, TEXT[:-1] + "y"):
        screen.show(text)
        beside = [line[45:].strip() for line in output.shown()[-24:-1]]
        assert [line for line in beside if line] == [
            "Log a browser in at",
            "http://127.0.0.1:8000",
        ]


def test_after_the_final_status_the_next_code_is_drawn_below(output: FakeOutput) -> None:
    screen = Screen(output)
    screen.show(TEXT)
    once = output.shown()
    screen.finish("This code has expired.")
    screen.ask("Press Enter for a new code. ")
    output.write("\n")  # the terminal echoes it
    screen.show(TEXT)
    assert output.shown(100) == [
        *once[:-1],
        "This code has expired.",
        "Press Enter for a new code. ",
        *once,
    ]


def test_no_color_leaves_the_colours_out(
    output: FakeOutput, monkeypatch: pytest.MonkeyPatch
) -> None:
    Screen(output).show(TEXT)
    assert "\x1b[0;38;5;16;48;5;231m" in output.text
    output.truncate(0)
    monkeypatch.setenv("NO_COLOR", "1")
    Screen(output).show(TEXT)
    assert "█" in output.text
    assert not re.search(r"\x1b\[[\d;]*m", output.text)


@pytest.mark.parametrize("size", [{"LINES": "23"}, {"COLUMNS": "44"}])
def test_a_window_too_small_for_the_code_shows_a_message_instead(
    output: FakeOutput, monkeypatch: pytest.MonkeyPatch, size: dict[str, str]
) -> None:
    for name, value in size.items():
        monkeypatch.setenv(name, value)
    screen = Screen(output)
    screen.show(TEXT)
    screen.show(TEXT[:-1] + "y")
    assert output.shown() == ["(This window is too small for the QR code.)", "Waiting for a phone…"]


@pytest.mark.parametrize("output", [False], indirect=True)
def test_a_pipe_gets_each_line_once(output: FakeOutput) -> None:
    screen = Screen(output)
    screen.show(TEXT)
    screen.show(TEXT[:-1] + "y")
    screen.status("Scanned by A•••e.")
    screen.status("Scanned by A•••e.")
    screen.finish("This code has expired.")
    lines = output.text.splitlines()
    assert lines[-4:] == [
        TEXT,
        "Waiting for a phone…",
        "Scanned by A•••e.",
        "This code has expired.",
    ]
    assert "\x1b" not in output.text


def test_an_encoding_without_block_characters_gets_the_text_alone() -> None:
    output = FakeOutput(False)
    output.encoding = "ascii"
    Screen(output).show(TEXT)
    assert output.text.splitlines() == [
        "(This terminal cannot show a QR code.)",
        TEXT,
        "Waiting for a phone…",
    ]
