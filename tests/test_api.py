"""The public API changes only on purpose, and Python's own `help` shows where to begin."""

import importlib
import pydoc
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import draw_api
import pytest
from public_modules import DESCRIBED, PUBLIC

import qrlogin


def test_the_public_api_is_that_of_the_snapshot(capsys: pytest.CaptureFixture[str]) -> None:
    changed = draw_api.main(["--check"])
    assert not changed, (
        "the public API changed:\n"
        f"{capsys.readouterr().out}"
        "If that is on purpose, run .venv/bin/python tools/draw_api.py, and write a line in "
        "CHANGELOG.md. docs/upgrading.md says how a name is deprecated before it is removed."
    )


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("    begun_ago: int\n", ""),
        ("class NotYours(UnknownLogin)\n", "class NotYours(LoginError)\n"),
        ("timeout: float=25)", "timeout: float=30)"),
        ("svg(text: str) -> str\n", "svg(text: str, scale: int) -> str\n"),
        ("    wire_code = 'denied'\n", "    wire_code = 'refused'\n"),
    ],
    ids=["field", "base", "default", "parameter", "wire code"],
)
def test_a_change_is_noticed(
    line: str,
    instead: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recorded = draw_api.PAGE.read_text("utf-8")
    assert line in recorded
    older = tmp_path / "api.txt"
    older.write_text(recorded.replace(line, instead), "utf-8")
    monkeypatch.setattr(draw_api, "PAGE", older)
    assert draw_api.main(["--check"]) == 1
    assert line.strip() in capsys.readouterr().out
    draw_api.main([])  # renews it
    assert older.read_text("utf-8") == recorded


def test_the_snapshot_reads_the_names_that_python_finds() -> None:
    for module in map(importlib.import_module, DESCRIBED):
        names = getattr(module, "__all__", None)
        assert names is None or draw_api.offered(module.__name__) == sorted(names)


def test_help_of_the_package_fits_on_two_screens() -> None:
    shown = pydoc.plain(pydoc.render_doc(qrlogin)).splitlines()
    assert len(shown) <= 100
    listed = {line.split()[0] for line in shown if line.startswith("        qrlogin.")}
    public = {name for name in PUBLIC if name.count(".") == 1}
    assert {name for name in listed if name.count(".") == 1} == {
        *(public - {"qrlogin.core"}),
        "qrlogin.contrib",
    }


def test_the_command_prints_the_version() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "qrlogin", "--version"], capture_output=True, text=True, check=True
    )
    assert printed.stdout == f"qrlogin {version('qrlogin')}\n"
    assert printed.stderr == ""
