"""`demo --self-check`: says that all is well when it is, and says what is not when it is not."""

import ast
from pathlib import Path

import pytest

from qrlogin.demo import client, phone, players, selfcheck
from tests.demo.running import run

SCENES = 25  # at least so many things are looked at


def test_all_is_well() -> None:
    done = run("demo", "--self-check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓") >= SCENES
    assert "✗" not in done.stdout
    assert done.stdout.endswith("Everything works.\n")
    assert done.stderr == ""


def test_all_is_well_in_redis(redis_url: str) -> None:
    done = run("demo", "--self-check", "--store", redis_url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓") >= SCENES


def test_a_client_of_every_dialect_logs_in_and_sees_a_denial() -> None:
    done = run("demo", "--self-check", "--dialects", "all")
    assert done.returncode == 0, done.stdout + done.stderr
    for name, player in players.PLAYERS.items():
        for told in (
            f"{name}: when Alice approves, {player.approved}",
            f"{name}: when Alice declines, {player.denied}",
        ):
            assert f"  ✓ {told}" in done.stdout.splitlines()


# What somebody might break, and a word of the line that must notice.
BROKEN = {
    "from qrlogin.core import Core; Core.deny = Core.confirm": "declines",
    "from qrlogin.core import Core; Core.release = Core.scan": "not now",
    "from qrlogin.core import Core; Core.cancel = Core.status": "that is not me",
    "import qrlogin.wire.dialects.native as n; n.png = lambda text: b'no picture'": "QR code",
    "import qrlogin.wire.dialects.native as n; p = n.png; n.png = lambda text: p(text[:-1])": "a phone reads it",
    "from qrlogin.demo.people import PEOPLE, Phones; Phones.owner = lambda *_: PEOPLE['alice']": "nobody is signed in",
    "from qrlogin.demo.people import PEOPLE, Sessions; Sessions.find = lambda *_: PEOPLE['alice']": "no other browser",
    "from qrlogin.demo.people import Sessions; Sessions.find = lambda *_: None": "logged in as Alice",
    "from qrlogin.wire import Endpoint; Endpoint.phone = lambda *_: 1 / 0": "500",
    "from qrlogin.wire import Endpoint; Endpoint.browser = lambda *_: 1 / 0": "QR code",
    "from qrlogin.wire.dialects.native import Native; Native._device_code = lambda s, r, i: open.c if s else 0": "QR code",
    "from qrlogin.demo import pages; from qrlogin.demo.site import Site; "
    "Site._act = lambda self, request, answer: answer": "logged in as Alice",
    "from qrlogin.wire.dialects.native import Native; begin = Native._begin; "
    "Native._begin = lambda self, request: setattr(self, '_user_codes', False) or begin(self, request)": "can be typed",
}


@pytest.mark.parametrize("code", BROKEN)
def test_what_is_broken_is_noticed(code: str) -> None:
    done = run("demo", "--self-check", code=code)
    assert done.returncode == 1, done.stdout + done.stderr
    bad = [line for line in done.stdout.splitlines() if line.startswith("  ✗")]
    assert any(BROKEN[code] in line for line in bad), done.stdout
    assert done.stdout.splitlines()[-1] == f"{len(bad)} of these do not work."


def test_what_is_broken_in_a_dialect_is_noticed() -> None:
    code = "from qrlogin.core import Core; Core.status_or_redeem = Core.status"
    done = run("demo", "--self-check", "--dialects", "taobao, newlogin", code=code)
    assert done.returncode == 1, done.stdout + done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("  ✗")] == [
        "  ✗ newlogin: it is logged in as her (got: '')"
    ], done.stdout


@pytest.mark.parametrize("part", ["zxingcpp", "PIL"])
def test_without_a_decoder_it_says_what_to_install(part: str) -> None:
    done = run("demo", "--self-check", code=f"import sys; sys.modules[{part!r}] = None")
    assert done.returncode == 1
    assert "pip install 'qrlogin[demo]'" in done.stdout


@pytest.mark.parametrize("module", [selfcheck, phone, client, players])
def test_the_players_know_nothing_of_the_core(module: object) -> None:
    """Whoever plays a browser or a phone speaks HTTP: an import of the core would be a short cut."""
    own = {
        name
        for node in ast.walk(_tree(module))
        for name in _imports(node)
        if name.startswith(("qrlogin", "."))
    }
    assert own <= {"qrlogin.demo.client", "qrlogin.demo.players"}


def test_desk_and_phone_share_only_a_picture() -> None:
    """No line of one names the other, and both begin with a client of their own."""
    desk, phone = (
        next(
            node
            for node in _tree(selfcheck).body
            if isinstance(node, ast.ClassDef) and node.name == name
        )
        for name in ("Desk", "Phone")
    )
    for mine, other in ((desk, "Phone"), (phone, "Desk")):
        names = {node.id for node in ast.walk(mine) if isinstance(node, ast.Name)}
        assert other not in names
        assert "Client" in names


def _tree(module: object) -> ast.Module:
    return ast.parse(Path(str(getattr(module, "__file__", ""))).read_text("utf-8"))


def _imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return ["." * node.level + (node.module or "")]
    return []
