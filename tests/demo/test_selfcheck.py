"""`demo --self-check`: it passes on working code, and names what is broken."""

import ast
from pathlib import Path

import pytest

from qrlogin.demo import client, phone, players, selfcheck
from tests.demo.running import run
from tests.tables import in_matrix

MIN_CHECKS = 25


def test_the_self_check_passes() -> None:
    done = run("demo", "--self-check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓") >= MIN_CHECKS
    assert "✗" not in done.stdout
    assert done.stdout.endswith("All checks passed.\n")
    assert done.stderr == ""


def test_the_self_check_passes_with_redis(redis_url: str) -> None:
    done = run("demo", "--self-check", "--store", redis_url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓") >= MIN_CHECKS


def test_a_client_of_every_dialect_logs_in_and_sees_a_denial() -> None:
    done = run("demo", "--self-check", "--dialects", "all")
    assert done.returncode == 0, done.stdout + done.stderr
    for name, player in players.PLAYERS.items():
        for line in (
            f"{name}: after approval the client sees {player.approved}",
            f"{name}: after denial the client sees {player.denied}",
        ):
            assert f"  ✓ {line}" in done.stdout.splitlines()


#: Code that breaks the demo, and words of the check that must fail.
CORE = "from qrlogin.core import Core; Core."
PEOPLE = "from qrlogin.demo.people import PEOPLE, Phones, Sessions; "
NATIVE = "import qrlogin.wire.dialects.native as native; "
BROKEN = {
    f"{CORE}deny = Core.confirm": "denies",
    f"{CORE}release = Core.scan": "releases",
    f"{CORE}cancel = Core.status": "cancels",
    f"{NATIVE}native.png = lambda text: b'no picture'": "QR code",
    f"{NATIVE}png = native.png; native.png = lambda text: png(text[:-1])": "a phone reads it",
    f"{PEOPLE}Phones.owner = lambda *_: PEOPLE['alice']": "without an account",
    f"{PEOPLE}Sessions.find = lambda *_: PEOPLE['alice']": "no other browser",
    f"{PEOPLE}Sessions.find = lambda *_: None": "logged in as Alice",
    "from qrlogin.wire import Endpoint; Endpoint.phone = lambda *_: 1 / 0": "500",
    "from qrlogin.wire import Endpoint; Endpoint.browser = lambda *_: 1 / 0": "QR code",
    f"{NATIVE}native.Native._device_code = lambda s, r, i: open.c if s else 0": "QR code",
    "from qrlogin.demo.site import Site; "
    "Site._apply = lambda self, request, answer: answer": "logged in as Alice",
    f"{NATIVE}begin = native.Native._begin; native.Native._begin = lambda self, request: "
    "setattr(self, '_user_codes', False) or begin(self, request)": "can be typed",
}


#: The phone, the picture, the session, the server and a typed code, each broken once.
SOME = list(BROKEN)[::3]


@pytest.mark.parametrize("code", [*SOME, *in_matrix(code for code in BROKEN if code not in SOME)])
def test_the_self_check_notices_broken_code(code: str) -> None:
    done = run("demo", "--self-check", code=code)
    assert done.returncode == 1, done.stdout + done.stderr
    bad = [line for line in done.stdout.splitlines() if line.startswith("  ✗")]
    assert any(BROKEN[code] in line for line in bad), done.stdout
    assert done.stdout.splitlines()[-1] == f"{len(bad)} check{'s' * (len(bad) > 1)} failed."


def test_the_self_check_notices_a_broken_dialect() -> None:
    code = "from qrlogin.core import Core; Core.status_or_redeem = Core.status"
    done = run("demo", "--self-check", "--dialects", "taobao, newlogin", code=code)
    assert done.returncode == 1, done.stdout + done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("  ✗")] == [
        "  ✗ newlogin: the client is logged in as Alice (got: '')"
    ], done.stdout


@pytest.mark.parametrize("part", ["zxingcpp", "PIL"])
def test_without_a_decoder_the_self_check_names_the_extra_to_install(part: str) -> None:
    done = run("demo", "--self-check", code=f"import sys; sys.modules[{part!r}] = None")
    assert done.returncode == 1
    assert "pip install 'qrlogin[demo]'" in done.stdout


@pytest.mark.parametrize("module", [selfcheck, phone, client, players])
def test_the_code_that_plays_clients_does_not_import_the_core(module: object) -> None:
    """A browser or a phone speaks HTTP. An import of the core would prove less."""
    own = {
        name
        for node in ast.walk(_tree(module))
        for name in _imports(node)
        if name.startswith(("qrlogin", "."))
    }
    assert own <= {"qrlogin.demo.client", "qrlogin.demo.players", "qrlogin.names"}


def test_browser_and_phone_of_the_self_check_share_only_a_picture() -> None:
    """Neither class uses the other, and each has a client of its own."""
    browser, phone_class = (
        next(
            node
            for node in _tree(selfcheck).body
            if isinstance(node, ast.ClassDef) and node.name == name
        )
        for name in ("Browser", "Phone")
    )
    for mine, other in ((browser, "Phone"), (phone_class, "Browser")):
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
