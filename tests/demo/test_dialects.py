"""The demo with all dialects: each at the root, at the paths that its clients expect."""

import itertools
import re
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from qrlogin import MemoryStore, QRLogin
from qrlogin.demo import phone
from qrlogin.demo.client import Answer, Client
from qrlogin.demo.dialects import DIALECTS
from qrlogin.demo.players import PLAYERS, Player
from qrlogin.demo.selfcheck import _decoder
from qrlogin.demo.site import SESSION, Site
from qrlogin.errors import Misconfigured
from qrlogin.policy import STANDARD
from qrlogin.wire.dialects import dialect_names
from qrlogin.wire.routes import handles
from tests.demo.running import KEY, ORIGIN, RunningDemo, bearer, cookie_header, json_of, run, send
from tests.servers import missing

NAMES = list(DIALECTS)
PAGES = ("", "phone", "qr", "qr/x", "logout", "demo/me", "qrlogin/begin")


@pytest.fixture(scope="module")
def all_dialects() -> Iterator[RunningDemo]:
    """A demo that speaks every dialect."""
    with RunningDemo("--dialects", "all") as running:
        yield running


@dataclass(frozen=True, slots=True)
class Pair:
    """Two demos with one Redis and one common address, which is that of the first."""

    first: RunningDemo
    second: RunningDemo


@pytest.fixture(scope="module")
def pair(redis_url: str) -> Iterator[Pair]:
    options = ("--dialects", "all", "--store", redis_url, f"--key={KEY}")
    with RunningDemo(*options) as first, RunningDemo(*options, "--origin", first.origin) as second:
        yield Pair(first, second)


class PidRecorder(Client):
    """Records the processes that answered."""

    def __init__(self, origin: str, *, agent: str) -> None:
        super().__init__(origin, agent=agent)
        self.pids: set[str] = set()

    def _ask(self, request: urllib.request.Request) -> Answer:
        answer = super()._ask(request)
        self.pids.add(answer.headers["server-pid"])
        return answer


def player(name: str, origin: str) -> Player:
    camera = _decoder() or missing("a decoder of QR codes", "pip install 'qrlogin[demo]'")
    return PLAYERS[name](origin, camera)


def act_as_alice(demo: str, text: str, *acts: str) -> list[Answer]:
    """The answers of this process to the acts of Alice's phone."""
    phone = Client(demo, agent="a phone")
    phone.bearer = str(phone.post("/demo/phone", {"name": "alice"}).json["token"])
    return [phone.post(f"/qrlogin/phone/{act}", {"code": text}) for act in acts]


# Paths


def test_every_dialect_has_a_player() -> None:
    assert list(PLAYERS) == NAMES


def test_dialect_names_are_parsed_from_a_comma_separated_list() -> None:
    assert dialect_names("", "here") == ()
    assert dialect_names("all", "here") == tuple(DIALECTS)
    assert dialect_names(" jd, wechat,jd,", "here") == ("jd", "wechat")
    with pytest.raises(Misconfigured, match="here: there is no 'native'"):
        dialect_names("native", "here")


def test_no_dialect_handles_a_path_of_the_demo_pages(site: Site) -> None:
    for dialect in site.dialects.values():
        assert not any(handles(dialect.browser_routes, path) for path in PAGES)


def test_only_the_two_taobao_dialects_share_a_path(site: Site) -> None:
    shared = {
        route.path
        for one, other in itertools.combinations(site.dialects.values(), 2)
        for route in one.browser_routes
        if handles(other.browser_routes, route.path)
    }
    assert shared == {"qrcodeCheck.htm"}


@pytest.mark.parametrize("name", NAMES)
def test_a_dialect_is_served_only_if_it_is_enabled(site: Site, name: str) -> None:
    without = Site(site._qr, [other for other in NAMES if other != name])
    paths = {
        route.path for route in site.dialects[name].browser_routes if "{" not in route.path
    } - {"qrcodeCheck.htm"}
    assert paths
    for path in paths:
        refused = send(site, "PATCH", path)
        assert (refused.status, json_of(refused)["error"]) == (405, "method_not_allowed")
        assert send(without, "PATCH", path).body.startswith(
            b"<!doctype html>"
        )  # the page for unknown paths


def test_the_demo_prints_where_clients_of_each_dialect_start(all_dialects: RunningDemo) -> None:
    all_dialects.until("Waiting for a phone")
    for name in NAMES:
        [line] = [line for line in all_dialects.lines if line.split()[:1] == [name]]
        where = line.split()[1]
        assert where.startswith(f"{all_dialects.origin}/")
        assert all_dialects.browser().get(where.removeprefix(all_dialects.origin)).status in (
            200,
            405,
        )


# A phone in a terminal


@pytest.mark.parametrize("act", ["approve", "deny"])
@pytest.mark.parametrize("name", NAMES)
def test_a_terminal_phone_accepts_the_text_of_a_code_of_every_dialect(
    all_dialects: RunningDemo, name: str, act: str, capsys: pytest.CaptureFixture[str]
) -> None:
    client = player(name, all_dialects.origin)
    text = client.begin()
    server = None if text.startswith(all_dialects.origin) else all_dialects.origin
    assert phone.run(act, text, name="alice", server=server) == 0, capsys.readouterr()
    printed = capsys.readouterr()
    assert ("Approved." if act == "approve" else "Denied.") in printed.out
    assert printed.err == ""
    assert client.look() == (client.approved if act == "approve" else client.denied)
    assert client.who() == (
        "Alice" if name in ("rfc8628", "newlogin", "bilibili") and act == "approve" else ""
    )
    if act == "approve":
        client.go_on()
        assert client.who() == "Alice"


@pytest.mark.parametrize(
    "name", [name for name in NAMES if name != "newlogin"]
)  # what newlogin polls with is not its code
def test_a_terminal_phone_accepts_the_bare_id(all_dialects: RunningDemo, name: str) -> None:
    client = player(name, all_dialects.origin)
    text = client.begin()
    bare = text.lower().replace("-", " ") if name == "rfc8628" else client.id
    assert bare
    for act in ("scan", "release", "scan", "confirm"):
        assert phone.run(act, bare, name="bob", server=all_dialects.origin) == 0
    assert client.look() == client.approved
    client.go_on()
    assert client.who() == "Bob"


def test_a_terminal_phone_accepts_an_address_that_contains_a_user_code(
    all_dialects: RunningDemo,
) -> None:
    """This runs the command as a process."""
    client = all_dialects.browser()
    begun = client.form("/device_authorization", {"client_id": "tv", "scope": "films"}).json
    done = run("phone", "--as", "alice", "approve", begun["verification_uri_complete"])
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"browser +an unknown browser\n", done.stdout)
    assert re.search(r"permissions +Watch films\n", done.stdout)
    assert "tv" not in done.stdout  # any request can claim a client_id


# Sessions and tokens


def device_flow(site: Site, *acts: str, scope: str = "") -> dict[str, str]:
    """Begins a device flow and runs these acts. Returns the form of its token request."""
    asked = f"client_id=anybody&scope={scope.replace(' ', '+')}"
    begun = json_of(send(site, "POST", "device_authorization", form=asked))
    for act in acts:
        assert (
            send(
                site,
                "POST",
                f"/qrlogin/phone/{act}",
                {"code": begun["user_code"]},
                **bearer(site, "bob"),
            ).status
            == 200
        )
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    return {"form": f"grant_type={grant}&client_id=anybody&device_code={begun['device_code']}"}


def test_a_repeated_token_request_returns_the_same_token(site: Site) -> None:
    form = device_flow(site, "scan", "confirm")
    given = send(site, "POST", "token", **form)
    tokens = json_of(given)
    assert set(tokens) == {"access_token", "token_type", "expires_in"}
    assert (given.status, tokens["token_type"], given.cookies) == (200, "Bearer", ())
    assert dict(given.headers)["Cache-Control"] == "no-store"
    assert json_of(send(site, "POST", "token", **form)) == tokens, (
        "the first answer may have been lost"
    )
    assert (
        json_of(send(site, "POST", "token", **device_flow(site, "scan", "confirm")))["access_token"]
        != tokens["access_token"]
    )

    shown = send(site, "GET", "/demo/userinfo", authorization=f"Bearer {tokens['access_token']}")
    assert json_of(shown) == {"sub": "1002", "name": "Bob"}
    for other in ("x", "", "Bearer ", "Bearer x"):
        refused = send(site, "GET", "/demo/userinfo", authorization=other)
        assert (refused.status, dict(refused.headers)["WWW-Authenticate"]) == (401, "Bearer")


def test_a_client_with_offline_access_gets_refresh_tokens_that_serve_once(site: Site) -> None:
    form = device_flow(site, "scan", "confirm", scope="profile offline_access")
    given = json_of(send(site, "POST", "token", **form))
    assert json_of(send(site, "POST", "token", **form)) == given, "the answer may have been lost"

    def refresh(token: str, client: str = "anybody") -> tuple[int, dict[str, Any]]:
        sent = f"grant_type=refresh_token&refresh_token={token}&client_id={client}"
        answer = send(site, "POST", "token", form=sent)
        assert dict(answer.headers)["Cache-Control"] == "no-store"
        return answer.status, json_of(answer)

    for wrong in (("x", "anybody"), (given["access_token"], "anybody")):
        assert refresh(*wrong) == (400, {"error": "invalid_grant"})
    assert refresh(given["refresh_token"], "another") == (400, {"error": "invalid_grant"})
    status, renewed = refresh(given["refresh_token"])
    assert (status, renewed.keys()) == (200, given.keys())
    assert refresh(given["refresh_token"]) == (400, {"error": "invalid_grant"})
    assert refresh(renewed["refresh_token"])[0] == 200
    for tokens in (given, renewed):
        sent = f"Bearer {tokens['access_token']}"
        assert json_of(send(site, "GET", "/demo/userinfo", authorization=sent))["name"] == "Bob"
    document = json_of(send(site, "GET", ".well-known/openid-configuration"))
    assert "offline_access" in document["scopes_supported"]
    assert document["grant_types_supported"][1:] == ["refresh_token"]


def test_a_token_is_not_accepted_as_a_session_nor_a_session_as_a_token(site: Site) -> None:
    token = json_of(send(site, "POST", "token", **device_flow(site, "scan", "confirm")))[
        "access_token"
    ]
    assert send(site, "GET", "/demo/me", cookie=f"{SESSION}={token}").status == 401
    session = bilibili(site)
    value = session.partition("=")[2]
    assert send(site, "GET", "/demo/userinfo", authorization=f"Bearer {value}").status == 401
    assert (
        send(
            site, "POST", "/qrlogin/phone/scan", {"code": "x"}, authorization=f"Bearer {token}"
        ).status
        == 401
    )


def bilibili(site: Site, cookie: str = "") -> str:
    """Logs a browser in with this dialect. Returns the Cookie header of its session."""
    begun = send(site, "GET", "x/passport-login/web/qrcode/generate")
    key = json_of(begun)["data"]["qrcode_key"]
    for act in ("scan", "confirm"):
        assert (
            send(
                site, "POST", f"/qrlogin/phone/{act}", {"code": key}, **bearer(site, "alice")
            ).status
            == 200
        )
    sent = "; ".join(filter(None, (cookie_header(begun), cookie)))
    done = send(site, "GET", f"x/passport-login/web/qrcode/poll?qrcode_key={key}", cookie=sent)
    return next(cookie for cookie in cookie_header(done).split("; ") if cookie.startswith(SESSION))


def test_a_login_in_another_dialect_replaces_the_session(site: Site) -> None:
    first = bilibili(site)
    assert b"You are logged in as Alice" in send(site, "GET", "/", cookie=first).body
    second = bilibili(site, first)
    assert send(site, "GET", "/demo/me", cookie=first).status == 401, (
        "the previous session has ended"
    )
    assert send(site, "GET", "/demo/me", cookie=second).status == 200


def test_logging_out_of_a_dialect_ends_the_session(site: Site) -> None:
    session = bilibili(site)
    elsewhere = send(
        site,
        "POST",
        "cgi-bin/mmwebwx-bin/webwxlogout",
        cookie=session,
        origin="https://evil.example",
    )
    assert elsewhere.status == 403
    assert send(site, "GET", "/demo/me", cookie=session).status == 200
    left = send(site, "POST", "cgi-bin/mmwebwx-bin/webwxlogout?redirect=1&type=0", cookie=session)
    assert (SESSION, 0) in [(cookie.key, cookie.max_age) for cookie in left.cookies]
    assert send(site, "GET", "/demo/me", cookie=session).status == 401


def test_the_lifetime_option_applies_to_every_dialect() -> None:
    qr = QRLogin(
        MemoryStore(),
        secret_keys=[KEY],
        verification_uri=f"{ORIGIN}/qr",
        policy=replace(STANDARD, user_codes=True),
    )
    site = Site(qr, NAMES, lifetime=7)
    assert (
        json_of(send(site, "POST", "device_authorization", form="client_id=x"))["expires_in"]
        == 7 + STANDARD.decide_window + 60
    )
    for path in (
        "jslogin",
        "connect/qrconnect?appid=x",
        "qrcodelogin/generateQRCode4Login.do",
        "newlogin/qrcode/generate.do",
        "x/passport-login/web/qrcode/generate",
        "show",
    ):
        ages = [
            cookie.max_age
            for cookie in send(site, "GET", path).cookies
            if re.fullmatch("qrl-[0-9a-f]{8}", cookie.key)
        ]
        after = STANDARD.decide_window + STANDARD.redeem_window + STANDARD.replay_window
        assert ages == [7 + after], path


# Two processes


@pytest.mark.parametrize("name", NAMES)
def test_phone_and_browser_may_use_different_processes(pair: Pair, name: str) -> None:
    client = player(name, pair.second.address)
    client.client = recorder = PidRecorder(pair.second.address, agent="a client")
    text = client.begin()
    answers = act_as_alice(pair.first.origin, text, "scan")
    assert client.look() == client.scanned
    answers += act_as_alice(pair.first.origin, text, "confirm")
    assert client.look() == client.approved
    client.go_on()
    assert client.who() == "Alice"
    assert [(answer.status, answer.headers["server-pid"]) for answer in answers] == [
        (200, str(pair.first.process.pid))
    ] * 2
    assert recorder.pids == {str(pair.second.process.pid)}
    assert pair.first.process.pid != pair.second.process.pid


@pytest.mark.parametrize("phone_first", [True, False])
def test_native_codes_are_read_by_either_process(pair: Pair, phone_first: bool) -> None:
    here, there = pair.first.origin, pair.second.address
    demo, other = (there, here) if phone_first else (here, there)
    browser = Client(demo, agent="a browser")
    begun = browser.post("/qrlogin/begin", {}).json
    assert begun["verification_uri_complete"].startswith(f"{pair.first.origin}/qr/")
    for text in (begun["verification_uri_complete"], begun["user_code"]):
        for answer in act_as_alice(other, text, "scan", "release"):
            assert answer.status == 200
            assert (
                browser.get(f"/qrlogin/{begun['login_id']}").headers["server-pid"]
                != answer.headers["server-pid"]
            )
    [scanned, confirmed] = act_as_alice(other, begun["user_code"], "scan", "confirm")
    assert confirmed.status == 200
    seen = browser.get(f"/qrlogin/{begun['login_id']}?after={begun['version']}&wait=25").json
    redeem = browser.post(
        f"/qrlogin/{begun['login_id']}/redeem",
        {"acknowledged": seen["scanned_by"]["tag"], "op": "o" * 22},
    )
    assert redeem.json["state"] == "redeemed"
    assert scanned.json["login_id"] == begun["login_id"]


def test_the_second_process_redirects_to_the_common_address(pair: Pair) -> None:
    answer = Client(pair.second.address, agent="a browser").get("/")
    assert (answer.status, answer.headers["location"]) == (303, f"{pair.first.origin}/")
    pair.second.until("Waiting for a phone")
    assert pair.second.text.startswith(f"{pair.first.origin}/qr/")


def test_processes_without_a_common_key_reject_codes_of_each_other(
    pair: Pair, redis_url: str
) -> None:
    with RunningDemo("--store", redis_url) as other:
        begun = Client(pair.first.origin, agent="a browser").post("/qrlogin/begin", {}).json
        bare = begun["verification_uri_complete"].rpartition("/")[2]
        assert [answer.status for answer in act_as_alice(other.origin, bare, "scan")] == [404]
        assert [answer.status for answer in act_as_alice(pair.second.address, bare, "scan")] == [
            200
        ]


def test_every_answer_has_the_process_id_of_its_server(all_dialects: RunningDemo) -> None:
    client = all_dialects.browser()
    for path in ("/", "/no/such/page", "/qrlogin/begin", "/demo/style.css", "/jslogin", "/token"):
        assert client.get(path).headers["server-pid"] == str(all_dialects.process.pid)


def test_a_key_from_the_environment_is_used_and_never_printed(redis_url: str) -> None:
    done = run("demo", "--self-check", "--store", redis_url, QRLOGIN_DEMO_KEY=KEY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert KEY not in done.stdout + done.stderr
    done = run("demo", "--self-check", QRLOGIN_DEMO_KEY="weak-SECRET")
    assert (done.returncode, "keygen" in done.stderr, "SECRET" in done.stderr) == (2, True, False)


def test_a_key_from_the_command_line_is_never_printed(pair: Pair) -> None:
    for demo in (pair.first, pair.second):
        demo.until("Waiting for a phone")
        assert KEY not in demo.output
