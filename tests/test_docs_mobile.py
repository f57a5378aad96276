"""docs/mobile.md: its apps send what the server takes, and read what it answers.

No compiler of Swift, Kotlin or Dart is there. So the tests read the requests out of the code and
play them, Node runs the module for React Native, and parsers find mistakes in the syntax.
"""

import json
import re
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Self
from xml.etree import ElementTree

import httpx2
import npm_parts
import pytest
from flask import Flask, request
from werkzeug.serving import make_server

from qrlogin import STANDARD, MemoryStore, QRLogin, errors
from qrlogin.contrib.flask import qrlogin_blueprint
from qrlogin.testing import Clock
from qrlogin.wire import Endpoint, Native, Person
from tests.environments import ROOT, run
from tests.servers import LOOPBACK, free_port, missing
from tests.spa.server import Quiet, served
from tests.tables import for_each_row

PAGE = (ROOT / "docs" / "mobile.md").read_text("utf-8")
BASE = "https://example.com/qrlogin/phone/"
LANGUAGES = ("swift", "kotlin", "js", "dart")
#: What a body may hold beside the code.
MORE = {field.name for route in Native.phone_routes for field in route.body or ()} - {"code"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.M)


def calls(language: str) -> list[tuple[str, frozenset[str]]]:
    """What the first block of this language sends: a verb, and the fields beside the code."""
    found = list[tuple[str, frozenset[str]]]()
    for line in blocks(language)[0].splitlines():
        for verb, rest in re.findall(r"\bpost\(['\"](\w+)['\"](.*?)(?=\bpost\(|$)", line):
            fields = {name for name in MORE if re.search(rf"\b{name}\b", rest)}
            found.append((verb, frozenset(fields)))
    return found


def literals(code: str) -> set[str]:
    """The strings in this code that could be names on the wire, also in other strings."""
    quoted = re.findall(r"\"([a-z]+(?:_[a-z]+)*)\"|'([a-z]+(?:_[a-z]+)*)'", code)
    return {first or second for first, second in quoted}


class Server:
    """A real server within a `with` block. It keeps the names of all fields in its answers."""

    def __init__(self, match_digits: int = 0) -> None:
        self.qr = QRLogin(
            MemoryStore(),
            secret_keys=[bytes(range(32))],
            verification_uri="https://example.com/qr",
            policy=replace(STANDARD, match_digits=match_digits),
        )
        self.endpoint = Endpoint(self.qr, max_waiting=0)
        self.answered = set[str]()
        app = Flask(__name__)
        blueprint = qrlogin_blueprint(self.endpoint, person, log_in=lambda _: None)
        app.register_blueprint(blueprint, url_prefix="/qrlogin")
        self._server = make_server(LOOPBACK, 0, app, threaded=True, request_handler=Quiet)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=[0.02]).start()
        base = f"http://{LOOPBACK}:{self._server.server_port}"
        self._client = httpx2.Client(base_url=base, trust_env=False, timeout=30)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._server.shutdown()
        self._server.server_close()

    def phone(self, verb: str, body: dict[str, str], **headers: str) -> httpx2.Response:
        # Dart's client adds the charset.
        sent = {"Content-Type": "application/json; charset=utf-8", "Authorization": "Bearer it"}
        path = f"{BASE.removeprefix('https://example.com')}{verb}"
        answer = self._client.post(path, content=json.dumps(body), headers=sent | headers)
        self.answered |= set(answer.json())
        return answer


def person() -> Person | None:
    sent = request.headers.get("Authorization")
    return Person("1", name="alice@example.com", by_token=True) if sent == "Bearer it" else None


def play(server: Server, sent: list[tuple[str, frozenset[str]]], decision: str) -> None:
    """Play the calls of an app on one login, in the order of the page."""
    begun = server.qr.begin()
    known = {"code": begun.verification_uri_complete}
    digits = {"match_code"} if server.qr.core.policy.match_digits else set[str]()
    wanted = {"scan": {"landing"}, "confirm": digits}
    for verb in ("look", "scan", decision, "outcome"):
        fields = wanted.get(verb, set())
        assert (verb, frozenset(fields)) in sent
        answer = server.phone(verb, {name: known[name] for name in ("code", *fields)})
        assert answer.status_code == 200, (verb, answer.text)
        known["landing"] = answer.json().get("landing", known.get("landing", ""))
        if verb == "scan":
            known["match_code"] = server.qr.status(begun.device_code).match_code


@for_each_row("language", LANGUAGES)
def test_an_app_sends_what_the_server_takes_and_reads_what_it_answers(language: str) -> None:
    code = blocks(language)[0]
    assert f"'{BASE}'" in code or f'"{BASE}"' in code
    assert re.search(r"['\"`]Bearer (\$token|\$\{token\}|\\\(token\))", code)
    assert {"Content-Type", "application/json", "Authorization"} <= set(
        re.findall(r"[\w/-]+", code)
    )
    sent = calls(language)
    assert {verb for verb, _ in sent} == {route.path for route in Native.phone_routes}

    with Server() as plain, Server(match_digits=3) as strict:
        for decision in ("confirm", "deny", "release"):
            play(plain, sent, decision)
        play(strict, sent, "confirm")
        refused = plain.phone("scan", {"code": "no-code"})
    assert refused.status_code == 404
    known = plain.answered | strict.answered | MORE | {"code"} | {verb for verb, _ in sent}
    known |= {kind.wire_code for kind in vars(errors).values() if hasattr(kind, "wire_code")}
    assert literals(code) - known <= {"omit"}  # a word of fetch


def test_a_scan_after_the_time_of_the_code_needs_the_landing_of_the_look() -> None:
    with Server() as server, Clock() as clock:
        code = {"code": server.qr.begin().verification_uri_complete}
        landing = server.phone("look", code).json()["landing"]
        clock.turn(60)
        assert server.phone("scan", code).status_code == 410
        assert server.phone("scan", code | {"landing": landing}).status_code == 200


def test_an_app_whose_user_signs_in_first_keeps_the_cookie_of_the_page() -> None:
    with Server() as server, Clock() as clock:
        begun = server.qr.begin()
        (cookie,) = server.endpoint.landing_cookies(begun.scan_code)
        assert f"`{cookie.key}`" in PAGE
        clock.turn(60)
        code = {"code": begun.verification_uri_complete}
        assert server.phone("look", code).status_code == 410
        assert server.phone("look", code, cookie=f"{cookie.key}={cookie.value}").status_code == 200


def test_the_manifest_claims_the_addresses_of_the_codes() -> None:
    (manifest,) = blocks("xml")
    activity = ElementTree.fromstring(manifest)
    android = "{http://schemas.android.com/apk/res/android}"
    (data,) = activity.iter("data")
    scheme, host, prefix = (data.get(android + name) for name in ("scheme", "host", "pathPrefix"))
    with Server() as server:
        code = server.qr.begin().verification_uri_complete
    assert code.startswith(f"{scheme}://{host}{prefix}")
    assert '{"/": "/qr/*"}' in PAGE


@pytest.fixture
def node() -> str:
    return npm_parts.node() or missing("Node", npm_parts.HOW)


def test_the_module_for_react_native_approves_and_says_why_it_was_refused(
    node: str, tmp_path: Path
) -> None:
    port = free_port()
    origin = f"http://{LOOPBACK}:{port}"
    (tmp_path / "approval.mjs").write_text(blocks("js")[0])
    (tmp_path / "app.mjs").write_text(
        """
import { approval } from './approval.mjs'
const [base, code] = process.argv.slice(2)
const one = approval(code, 'phone-of-alice', base)
const { landing, context } = await one.look()
await one.scan(landing)
await one.release()
await one.scan(landing)
await one.confirm()
const said = [context, await one.outcome()]
await one.deny()
for (const other of [one, approval(code, 'no-token', base)]) {
  await other.scan().catch(({ status, error, message }) => said.push([status, error, message]))
}
console.log(JSON.stringify(said))
"""
    )
    with served(port, origin, f"{origin}/qr", ()):
        begun = httpx2.post(
            f"{origin}/qrlogin/begin", json={"deliver": "body"}, trust_env=False, timeout=30
        ).json()
        app = [node, "app.mjs", f"{origin}/qrlogin/phone/", begun["verification_uri_complete"]]
        done = subprocess.run(app, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    context, outcome, denied, unknown = json.loads(done.stdout)
    assert isinstance(context, dict)
    assert outcome == "confirmed"
    assert denied[:2] == [409, "denied"]
    assert unknown[:2] == [401, "unauthenticated"]


def test_curl_approves_as_an_app_does() -> None:
    if not shutil.which("curl"):
        missing("curl", "apt-get install curl")
    port = free_port()
    origin = f"http://{LOOPBACK}:{port}"
    with served(port, origin, f"{origin}/qr", ()):
        begun = httpx2.post(
            f"{origin}/qrlogin/begin", json={"deliver": "body"}, trust_env=False, timeout=30
        ).json()
        (script,) = blocks("sh")
        for example, used in (
            ("https://example.com/qr/…", begun["verification_uri_complete"]),
            ("https://example.com", origin),
            ("token-of-the-app", "phone-of-alice"),
        ):
            assert example in script
            script = script.replace(example, used)
        printed = run(["bash", "-c", script], no_proxy="*")
    states = re.findall(r'"state":"(\w+)"', printed)
    assert states == ["pending", "scanned", "confirmed", "confirmed"]


@pytest.fixture(scope="module")
def parsers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tree-sitter and its grammars."""
    folder = tmp_path_factory.mktemp("parsers")
    grammars = [f"tree-sitter-{name}" for name in ("swift", "kotlin", "dart", "javascript")]
    install = ["uv", "pip", "install", "--python", sys.executable, "--target", str(folder)]
    run([sys.executable, "-m", *install, "tree-sitter", *grammars])
    return folder


PARSE = """
import importlib, json, sys
from tree_sitter import Language, Parser
def mistakes(node):
    if node.is_error or node.is_missing:
        yield node.start_point.row + 1
    for child in node.children:
        yield from mistakes(child)
found = []
for grammar, code in json.load(sys.stdin):
    module = importlib.import_module(f"tree_sitter_{grammar}")
    tree = Parser(Language(module.language())).parse(code.encode())
    found.append([grammar, list(mistakes(tree.root_node))])
print(json.dumps(found))
"""


@pytest.mark.matrix
def test_each_block_in_a_language_without_a_compiler_has_no_mistake_of_syntax(
    parsers: Path,
) -> None:
    grammars = {"swift": "swift", "kotlin": "kotlin", "dart": "dart", "js": "javascript"}
    grammars |= {"jsx": "javascript"}
    code = [[grammar, block] for name, grammar in grammars.items() for block in blocks(name)]
    assert len(code) == 8
    broken = [["swift", "func f( {"], ["kotlin", "fun f( {"], ["dart", "void f( {"]]
    done = subprocess.run(
        [sys.executable, "-c", PARSE],
        input=json.dumps([*code, *broken]),
        env={"PYTHONPATH": str(parsers)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [each for each in found[:8] if each[1]] == []
    assert all(lines for _, lines in found[8:]), "the parser finds no mistakes"
