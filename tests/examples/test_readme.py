"""The examples as code to copy: short adapters, no demo, and one command that starts them."""

import os
import re
import secrets
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.examples.running import (
    ALL,
    EXAMPLES,
    FASTAPI,
    FLASK,
    LEFT_OUT,
    ROOT,
    Example,
    Running,
    surroundings,
)
from tests.security_rows import row
from tests.wire.clock import eventually

ADAPTER_LINES = 20  # without blank lines


@pytest.mark.parametrize("example", ALL.values(), ids=list(ALL))
def test_the_adapter_is_wiring_and_an_upgrade_of_the_library_mends_the_rest(
    example: Example,
) -> None:
    """In Django, it is every file of the app."""
    adapter = EXAMPLES / example.folder / example.adapter
    files = [adapter] if adapter.parent.name == example.folder else adapter.parent.rglob("*.py")
    for file in files:
        lines = [line for line in file.read_text("utf-8").splitlines() if line.strip()]
        assert len(lines) <= ADAPTER_LINES, file
    assert "qrlogin.contrib." in adapter.read_text("utf-8")


def test_no_example_imports_the_demo() -> None:
    """Examples are copied into production, where the demo accepts any client."""
    for file in EXAMPLES.rglob("*.py"):
        assert "qrlogin.demo" not in file.read_text("utf-8"), file


SIGNED_IN = {
    FLASK: """
with app.test_request_context():
    session["user"] = "maria"
    print(person().shown_as)
""",
    FASTAPI: """
import asyncio
print(asyncio.run(person(Request({"type": "http", "session": {"user": "maria"}}))).shown_as)
""",
}


@row(458)
@pytest.mark.parametrize("example", SIGNED_IN, ids=["Flask", "FastAPI"])
def test_the_whole_application_of_a_readme_runs_and_masks_the_name_that_a_browser_shows(
    example: Example,
) -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```", example.readme, re.DOTALL | re.MULTILINE)
    keys = {"SECRET_KEY": secrets.token_hex(32), "QRLOGIN_KEY": secrets.token_hex(32)}
    done = subprocess.run(
        [sys.executable, "-c", block + SIGNED_IN[example]],
        env=surroundings() | keys | {"PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "m•••a\n"), done.stderr


@pytest.mark.matrix
@pytest.mark.timeout(400)
@pytest.mark.parametrize("example", ALL.values(), ids=list(ALL))
def test_the_command_of_the_readme_works_in_a_fresh_environment(
    example: Example, tmp_path: Path
) -> None:
    """A venv with pip and nothing else, and a copy of the repository without a venv."""
    tree = tmp_path / "tree"
    for part in ("qrlogin", "tools", "pyproject.toml", "README.md", "LICENSE"):
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, tree / part, ignore=LEFT_OUT)
        else:
            tree.mkdir(exist_ok=True)
            shutil.copy(source, tree / part)
    folder = tree / "examples" / example.folder
    shutil.copytree(EXAMPLES / example.folder, folder, ignore=LEFT_OUT)
    venv.create(tmp_path / "venv", with_pip=True)
    scripts = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    path = {
        "PATH": os.pathsep.join([str(scripts), os.environ["PATH"]]),
        "PYTHONPATH": "",
        "VIRTUAL_ENV": str(tmp_path / "venv"),
    }
    install, _, _ = example.commands()
    done = subprocess.run(
        install, shell=True, cwd=folder, env={**os.environ, **path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with Running(example, folder=folder, **path) as running:
        eventually(running.answers)
