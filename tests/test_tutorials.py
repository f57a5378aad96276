"""Each tutorial, executed as it is printed: an empty folder, a new environment, the built wheel.

Only the port differs, because other programs of this machine may have the one on the page.
"""

import ast
import io
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import bootstrap
import npm_parts
import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests import servers
from tests.servers import missing
from tests.test_setup import output
from tests.wire.clock import eventually

ROOT = Path(__file__).parent.parent
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
BLOCK = re.compile(r"^```(?P<info>[^`\n]+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
#: The port of each server on the pages, and the option by which it listens on another one.
PORT = {
    "flask": ("5000", "--port {}"),
    "uvicorn": ("8000", "--port {}"),
    "gunicorn": ("8000", "--bind 127.0.0.1:{}"),
    "python": ("8000", "{}"),
    "npm": ("5173", "-- --port {} --strictPort"),
}
ADDRESS = re.compile(r"(?<=//)(127\.0\.0\.1|localhost):(\d+)")
#: Files of the reader's own site, and of its tests.
SITE = ("app.py", "config/views.py", "log_in.py", "config/tests.py", "page/src/App.jsx")
MOST_LINES = 15


def blocks(page: str) -> Iterator[tuple[str, dict[str, str], str]]:
    """Language, options and text of each block."""
    for found in BLOCK.finditer(page):
        language, *options = found["info"].split()
        yield language, dict(re.findall(r"(\w+)=(\S+)", " ".join(options))), found["text"]


def own_lines(page: str) -> int:
    """How many lines a reader writes for qrlogin: statements besides imports, and lines of tags.

    A statement of Python that is printed on several lines is one line. Of JavaScript, all lines
    count but imports and closing brackets; of the settings of Vite, those that name qrlogin.
    """
    count = 0
    for language, options, text in blocks(page):
        name = options.get("file", options.get("append", ""))
        if language == "html":
            count += len(re.findall(r"qr-(?:login|approve)(?:-element)? ?.*$", text, re.MULTILINE))
        elif name.endswith("vite.config.js"):
            count += text.count("/qrlogin")
        elif language == "jsx" and name not in SITE:
            count += len(re.findall(r"^(?!import )(?=.*\w).*$", text, re.MULTILINE))
        elif language == "python" and name not in SITE:
            nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.stmt)]
            count += len([n for n in nodes if not isinstance(n, ast.Import | ast.ImportFrom)])
    return count


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda path: path.stem)
def test_a_reader_writes_as_few_lines_as_the_page_says(tutorial: Path) -> None:
    page = tutorial.read_text("utf-8")
    (promised,) = re.findall(r"You write (\d+) lines besides the\s+imports", page)
    assert own_lines(page) == int(promised) <= MOST_LINES


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    output(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def chromium(chromium_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(
            executable_path=chromium_path, args=[*servers.CHROMIUM_ARGUMENTS]
        )


def surroundings(wheel: Path, folder: Path) -> dict[str, str]:
    """The environment of a person who has Python, and for whom pip finds this wheel."""
    python = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "VIRTUAL_ENV", "COV_", "QRLOGIN", "DJANGO"))
    }
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python3").symlink_to(python)
    links = bootstrap.uv_environment(bootstrap.pip_command()).get("UV_FIND_LINKS", "")
    return env | {
        "PATH": os.pathsep.join([str(folder / "bin"), "/usr/local/bin", "/usr/bin", "/bin"]),
        "PIP_FIND_LINKS": f"{wheel.parent} {links.replace(',', ' ')}",
        "PIP_CONSTRAINT": str(bootstrap.CONSTRAINTS),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def give_npm(folder: Path) -> None:
    """Put the npm and the Node of the tests on the person's PATH. Skips the test without them."""
    command, node = next(npm_parts.npms(), None), npm_parts.node()
    if command is None or node is None:
        missing("npm", npm_parts.HOW)
    for name, called in (("npm", command), ("node", [node])):
        program = folder / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, called))} "$@"\n')
        program.chmod(0o755)


def script(page: str) -> tuple[str, str]:
    """The shell script of all steps up to the server, and the command that starts the server."""
    steps, server = ["set -e"], ""
    for language, options, text in blocks(page):
        if "server" in options:
            server = text.strip()
        elif language == "sh":
            steps.append(text)
        else:
            name = options.get("file") or options["append"]
            arrow = ">" if "file" in options else ">>"
            steps.append(f"cat {arrow} {shlex.quote(name)} <<'END OF FILE'\n{text}END OF FILE\n")
    return "\n".join([*steps, "env -0 > ../env"]), server


@pytest.mark.matrix
@pytest.mark.timeout(900)  # 9 to 28 s, and most of that is pip's download
@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda path: path.stem)
def test_a_reader_of_the_tutorial_logs_in(
    tutorial: Path, wheel: Path, chromium: Browser, tmp_path: Path
) -> None:
    began = time.monotonic()
    page = tutorial.read_text("utf-8")
    ports = {number: str(servers.free_port()) for _, number in ADDRESS.findall(page)}
    page = ADDRESS.sub(lambda found: f"{found[1]}:{ports[found[2]]}", page)
    steps, server = script(page)
    folder = tmp_path / "empty"
    folder.mkdir()
    env = surroundings(wheel, tmp_path / "person")
    if "npm " in steps:
        give_npm(tmp_path / "person")
    said = output("bash", "-c", steps, cwd=folder, env=env)
    (installed,) = folder.glob(".venv/lib/*/site-packages/qrlogin/__init__.py")
    assert zipfile.ZipFile(wheel).read("qrlogin/__init__.py") == installed.read_bytes()
    (promise,) = re.findall(r"It prints `(.+)`\.", page)
    assert promise in said.splitlines(), said
    pairs = (tmp_path / "env").read_text("utf-8").split("\0")
    env = dict(pair.split("=", 1) for pair in pairs if pair)
    (site,) = re.findall(r"Open <(.+)/>", page)
    command = ""
    for part in server.split(" & "):
        number, option = PORT[part.split()[0]]
        command += f"& exec {part} {option.format(ports[number])} "
    log = (tmp_path / "log").open("w+")
    process = subprocess.Popen(
        ["bash", "-c", command.removeprefix("& ")],
        cwd=folder,
        env=env,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        eventually(
            lambda: all(map(listens, ports.values())) or process.poll() is not None, seconds=60
        )
        scan_and_approve(chromium, site, env.get("DJANGO_SUPERUSER_PASSWORD"))
    except BaseException:
        print((tmp_path / "log").read_text())
        raise
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
        log.close()
        shutil.rmtree(folder)
    seconds = time.monotonic() - began
    shell = "".join(text for language, _, text in blocks(page) if language == "sh")
    commands = len(shell.splitlines())
    print(f"{tutorial.stem}: {commands} commands, {own_lines(page)} lines, {seconds:.0f} s")


def listens(port: str) -> bool:
    with suppress(OSError), socket.create_connection(("localhost", int(port)), timeout=1):
        return True
    return False


def scan_and_approve(chromium: Browser, site: str, password: str | None) -> None:
    """What the end of the page says: one window shows the code, another one approves."""
    computer, phone = chromium.new_context().new_page(), chromium.new_context().new_page()
    computer.goto(site)
    address = read_code(computer)
    assert address.startswith(f"{site}/qr/")
    if password:
        phone.goto(f"{site}/admin/login/?next=/")
        phone.get_by_label("Username").fill("maria")
        phone.get_by_label("Password").fill(password)
        phone.get_by_role("button", name="Log in").click()
    else:
        phone.goto(site)
        phone.get_by_role("button", name="Sign in as maria").click()
    phone.get_by_text("Logged in as maria").wait_for()
    phone.goto(address)
    press(phone, "Yes, log in")
    computer.get_by_text(re.compile(r"Continue as maria")).wait_for()
    press(computer, "Continue")
    computer.get_by_text("Logged in as maria").wait_for()
    computer.context.close()
    phone.context.close()


def press(page: Page, name: str) -> None:
    """A press does not count for half a second after a view appears."""
    button = page.get_by_role("button", name=name, exact=True)
    button.wait_for()
    page.wait_for_timeout(800)
    button.click()


def read_code(page: Page) -> str:
    """The text of the QR code that is on the screen."""
    found: list[str] = []

    def reads() -> bool:
        picture = Image.open(io.BytesIO(page.locator("qr-login").screenshot()))
        found.extend(code.text for code in zxingcpp.read_barcodes(picture))
        return bool(found)

    eventually(reads, seconds=30)
    return found[0]
