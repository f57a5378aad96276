"""The diff in the FastAPI example's README, applied to existing_fastapi/."""

import shutil
import subprocess
import sys
from pathlib import Path

import httpx2

from qrlogin.names import masked
from tests.examples.fastapi_served import FOLDER
from tests.examples.patching import added, apply, diff_in
from tests.examples.running import LEFT_OUT, own_port, surroundings
from tests.examples.story import Desk, Phone
from tests.examples.visitors import Visitor
from tests.servers import LOOPBACK
from tests.wire.clock import PATIENCE_SECONDS, eventually

EXISTING = Path(__file__).with_name("existing_fastapi")
MOST_LINES = 15  # added lines, without blank ones


def test_the_diff_is_short() -> None:
    assert 0 < len(added(diff_in(FOLDER / "README.md"))) <= MOST_LINES


def test_an_application_with_the_diff_logs_in_by_phone(tmp_path: Path) -> None:
    folder = tmp_path / "app"
    shutil.copytree(EXISTING, folder, ignore=LEFT_OUT)
    apply(diff_in(FOLDER / "README.md"), folder)
    with own_port() as port:
        check_login(folder, port)


def check_login(folder: Path, port: int) -> None:
    origin = f"http://{LOOPBACK}:{port}"
    keys = {
        "SECRET_KEY": "of the sessions",
        "QRLOGIN_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        "ORIGIN": origin,
    }
    start = [sys.executable, "-m", "uvicorn", "app:app", f"--port={port}", "--log-level=warning"]
    server = subprocess.Popen(start, cwd=folder, env=surroundings() | keys)
    try:
        eventually(lambda: server.poll() is not None or answers(f"{origin}/login"))
        with Phone(Visitor(origin)) as phone, Desk(Visitor(origin)) as desk:
            assert desk.visitor.page("/login").first("qr-login")["src"] == "/qrlogin/"
            phone.code = desk.begin().complete
            page = phone.visitor.page(phone.code.removeprefix(origin))
            sign_in = page.first("a")["href"]  # in the page of a user who is not signed in
            signed_in = phone.visitor.send_form(sign_in, name="alice", password="alice's password")
            assert origin + signed_in.headers["location"] == phone.code
            page = phone.visitor.page(phone.code.removeprefix(origin))
            assert page.first("qr-approve")["src"] == "/qrlogin/phone/"
            phone.does("scan", "confirm")
            by = desk.look()["scanned_by"]
            assert by["shown_as"] == masked("alice")
            assert desk.redeem(by["tag"]).status_code == 200
            assert "Hello, alice" in desk.visitor.http.get("/").text
            desk.begin()
            with desk.visitor.http.stream("GET", f"/qrlogin/{desk.login_id}/events") as stream:
                lines = stream.iter_lines()
                assert next(lines).startswith(":")
                server.terminate()
                assert sum(line.startswith("data:") for line in lines) == 1
        assert server.wait(PATIENCE_SECONDS) in (0, -15)
    finally:
        server.kill()
        server.wait()


def answers(address: str) -> bool:
    try:
        return httpx2.get(address, trust_env=False).status_code == 200
    except httpx2.TransportError:
        return False
