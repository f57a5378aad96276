"""The diff in the Flask example's README, applied to existing_flask/ and served by gunicorn."""

import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from qrlogin.names import masked
from tests.examples.held_waits import before_time_out, hold_poll, wait_until_held
from tests.examples.patching import added, apply, diff_in
from tests.examples.running import EXAMPLES, LEFT_OUT, own_port, surroundings
from tests.examples.story import Desk, Phone
from tests.examples.visitors import Visitor
from tests.servers import LOOPBACK
from tests.wire.clock import eventually

SLOTS = 8  # the default of QRLOGIN_MAX_WAITING
FOLDER, BEFORE = EXAMPLES / "flask_app", Path(__file__).with_name("existing_flask")


def test_the_diff_is_short() -> None:
    assert len(added(diff_in(FOLDER / "README.md"))) <= 15


@contextmanager
def shop(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The application with the diff under gunicorn: its origin and its process."""
    shutil.copytree(BEFORE, folder, ignore=LEFT_OUT)
    apply(diff_in(FOLDER / "README.md"), folder)
    keys = {"SECRET_KEY": secrets.token_hex(32), "QRLOGIN_KEY": secrets.token_hex(32)}
    commands = re.findall(r"^gunicorn .*$", (FOLDER / "README.md").read_text("utf-8"), re.MULTILINE)
    with own_port() as port:
        origin = f"http://{LOOPBACK}:{port}"
        command = [*shlex.split(*commands), f"--bind={LOOPBACK}:{port}"]
        with subprocess.Popen(
            command, cwd=folder, env={**surroundings(), "ORIGIN": origin, **keys}
        ) as process:
            try:
                eventually(lambda: answers(origin) or process.poll() is not None)
                yield origin, process
            finally:
                process.kill()


def answers(origin: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{origin}/login", timeout=5) as answer:
        answer.read()  # closing without reading would send a reset
        return int(answer.status) == 200
    return False


def test_the_diff_gives_an_application_logins_by_phone(tmp_path: Path) -> None:
    with (
        shop(tmp_path / "shop") as (origin, process),
        Phone(Visitor(origin)) as alice,
        Desk(Visitor(origin)) as desk,
    ):
        desk.visitor.page("/login")
        alice.see(desk.begin())
        page = alice.visitor.page(alice.code.removeprefix(origin))
        sign_in = page.first("a")["href"]  # in the page of a user who is not signed in
        signed_in = alice.visitor.send_form(sign_in, name="alice", password="alice's password")
        assert origin + signed_in.headers["location"] == alice.code
        alice.visitor.page(alice.code.removeprefix(origin))
        assert desk.visitor.http.get("/").status_code == 302
        alice.does("scan", "confirm")
        by = desk.look()["scanned_by"]
        assert by["shown_as"] == masked("alice")
        assert desk.redeem(by["tag"]).status_code == 200
        assert "Hello, alice" in desk.visitor.http.get("/").text
        with ExitStack() as stack:
            desks = [stack.enter_context(Desk(Visitor(origin))).begin() for _ in range(SLOTS)]
            waits = [hold_poll(each) for each in desks]
            wait_until_held(desk.begin(), *waits)
            process.terminate()
            process.wait()
            assert before_time_out(waits)
            assert {each.answer()["state"] for each in waits} == {"pending"}


def test_several_workers_without_a_shared_store_are_refused(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "flask_app", ignore=LEFT_OUT)
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "--workers",
        "2",
        "--bind",
        "127.0.0.1:0",
        "app:app",
    ]
    environ = {name: value for name, value in os.environ.items() if name != "QRLOGIN_STORE"}
    done = subprocess.run(
        command, cwd=tmp_path / "flask_app", env=environ, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "set QRLOGIN_STORE, for example to redis://" in done.stderr
