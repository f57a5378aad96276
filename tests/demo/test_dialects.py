"""The demo as clients of other dialects find it: at the root, each at the paths that it expects, with the same people."""

import itertools
import re
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace

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
from tests.demo.running import KEY, ORIGIN, RunningDemo, ask, bearer, cookies, run, said
from tests.servers import missing

NAMES = list(DIALECTS)
PAGES = ("", "phone", "qr", "qr/x", "logout", "demo/me", "qrlogin/begin")


@pytest.fixture(scope="module")
def speaking() -> Iterator[RunningDemo]:
    """A demo that speaks all of them."""
    with RunningDemo("--dialects", "all") as running:
        yield running


@dataclass(frozen=True, slots=True)
class Pair:
    """Two demos on one Redis that are known by one address, which is the first's."""

    first: RunningDemo
    second: RunningDemo


@pytest.fixture(scope="module")
def pair(redis_url: str) -> Iterator[Pair]:
    options = ("--dialects", "all", "--store", redis_url, f"--key={KEY}")
    with RunningDemo(*options) as first, RunningDemo(*options, "--origin", first.origin) as second:
        yield Pair(first, second)


class Watched(Client):
    """Remembers which processes answered it."""

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


def hand_in(demo: str, text: str, *acts: str) -> list[Answer]:
    """What Alice's phone hears from this very process."""
    phone = Client(demo, agent="a phone")
    phone.bearer = str(phone.post("/demo/phone", {"name": "alice"}).json["token"])
    return [phone.post(f"/qrlogin/phone/{act}", {"code": text}) for act in acts]


# Where they are


def test_every_dialect_has_a_player_and_a_way_in() -> None:
    assert list(PLAYERS) == NAMES


def test_names_are_read_as_they_are_written() -> None:
    assert dialect_names("", "here") == ()
    assert dialect_names("all", "here") == tuple(DIALECTS)
    assert dialect_names(" jd, wechat,jd,", "here") == ("jd", "wechat")
    with pytest.raises(Misconfigured, match="here: there is no 'native'"):
        dialect_names("native", "here")


def test_pages_stay_where_they_are(site: Site) -> None:
    for dialect in site.dialects.values():
        assert not any(handles(dialect.browser_routes, path) for path in PAGES)


def test_two_dialects_share_one_path_and_it_does_the_same_for_both(site: Site) -> None:
    shared = {
        route.path
        for one, other in itertools.combinations(site.dialects.values(), 2)
        for route in one.browser_routes
        if handles(other.browser_routes, route.path)
    }
    assert shared == {"qrcodeCheck.htm"}


@pytest.mark.parametrize("name", NAMES)
def test_no_two_dialects_share_a_path_and_only_requested_ones_are_served(
    site: Site, name: str
) -> None:
    without = Site(site._qr, [each for each in NAMES if each != name])
    paths = {
        route.path for route in site.dialects[name].browser_routes if "{" not in route.path
    } - {"qrcodeCheck.htm"}
    assert paths
    for path in paths:
        refused = ask(site, "PATCH", path)
        assert (refused.status, said(refused)["error"]) == (405, "method_not_allowed")
        assert ask(without, "PATCH", path).body.startswith(
            b"<!doctype html>"
        )  # there is nothing here


def test_it_says_where_clients_begin(speaking: RunningDemo) -> None:
    speaking.until("Waiting for a phone")
    for name in NAMES:
        [line] = [line for line in speaking.lines if line.split()[:1] == [name]]
        where = line.split()[1]
        assert where.startswith(f"{speaking.origin}/")
        assert speaking.browser().get(where.removeprefix(speaking.origin)).status in (200, 405)


# A phone in a terminal


@pytest.mark.parametrize("act", ["approve", "deny"])
@pytest.mark.parametrize("name", NAMES)
def test_a_phone_takes_what_its_code_says(
    speaking: RunningDemo, name: str, act: str, capsys: pytest.CaptureFixture[str]
) -> None:
    client = player(name, speaking.origin)
    text = client.begin()
    server = None if text.startswith(speaking.origin) else speaking.origin
    assert phone.run(act, text, name="alice", server=server) == 0, capsys.readouterr()
    heard = capsys.readouterr()
    assert ("Approved." if act == "approve" else "Declined.") in heard.out
    assert heard.err == ""
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
def test_a_phone_takes_the_id_alone(speaking: RunningDemo, name: str) -> None:
    client = player(name, speaking.origin)
    text = client.begin()
    bare = text.lower().replace("-", " ") if name == "rfc8628" else client.id
    assert bare
    for act in ("scan", "release", "scan", "confirm"):
        assert phone.run(act, bare, name="bob", server=speaking.origin) == 0
    assert client.look() == client.approved
    client.go_on()
    assert client.who() == "Bob"


def test_a_phone_takes_the_address_with_the_code_to_type(speaking: RunningDemo) -> None:
    """As a process of its own, once."""
    client = speaking.browser()
    begun = client.form("/device_authorization", {"client_id": "tv", "scope": "films"}).json
    done = run("phone", "--as", "alice", "approve", begun["verification_uri_complete"])
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"client_id +tv\n", done.stdout)
    assert re.search(r"scope +films\n", done.stdout)


# Sessions and tokens


def device_flow(site: Site, *acts: str) -> dict[str, str]:
    """The form of its token request."""
    begun = said(ask(site, "POST", "device_authorization", form="client_id=anybody"))
    for act in acts:
        assert (
            ask(
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


def test_tokens_are_given_once_and_the_same_again(site: Site) -> None:
    form = device_flow(site, "scan", "confirm")
    given = ask(site, "POST", "token", **form)
    tokens = said(given)
    assert set(tokens) == {"access_token", "token_type", "expires_in"}
    assert (given.status, tokens["token_type"], given.cookies) == (200, "Bearer", ())
    assert dict(given.headers)["Cache-Control"] == "no-store"
    assert said(ask(site, "POST", "token", **form)) == tokens, "its answer may have been lost"
    assert (
        said(ask(site, "POST", "token", **device_flow(site, "scan", "confirm")))["access_token"]
        != tokens["access_token"]
    )

    shown = ask(site, "GET", "/demo/userinfo", authorization=f"Bearer {tokens['access_token']}")
    assert said(shown) == {"sub": "1002", "name": "Bob"}
    for other in ("x", "", "Bearer ", "Bearer x"):
        refused = ask(site, "GET", "/demo/userinfo", authorization=other)
        assert (refused.status, dict(refused.headers)["WWW-Authenticate"]) == (401, "Bearer")


def test_a_token_is_no_session_and_a_session_no_token(site: Site) -> None:
    token = said(ask(site, "POST", "token", **device_flow(site, "scan", "confirm")))["access_token"]
    assert ask(site, "GET", "/demo/me", cookie=f"{SESSION}={token}").status == 401
    session = bilibili(site)
    value = session.partition("=")[2]
    assert ask(site, "GET", "/demo/userinfo", authorization=f"Bearer {value}").status == 401
    assert (
        ask(
            site, "POST", "/qrlogin/phone/scan", {"code": "x"}, authorization=f"Bearer {token}"
        ).status
        == 401
    )


def bilibili(site: Site, cookie: str = "") -> str:
    """The session's Cookie header of a browser that was logged in so."""
    begun = ask(site, "GET", "x/passport-login/web/qrcode/generate")
    key = said(begun)["data"]["qrcode_key"]
    for act in ("scan", "confirm"):
        assert (
            ask(
                site, "POST", f"/qrlogin/phone/{act}", {"code": key}, **bearer(site, "alice")
            ).status
            == 200
        )
    sent = "; ".join(filter(None, (cookies(begun), cookie)))
    done = ask(site, "GET", f"x/passport-login/web/qrcode/poll?qrcode_key={key}", cookie=sent)
    return next(cookie for cookie in cookies(done).split("; ") if cookie.startswith(SESSION))


def test_a_session_of_any_dialect_is_like_one_of_ours(site: Site) -> None:
    first = bilibili(site)
    assert b"You are logged in as Alice" in ask(site, "GET", "/", cookie=first).body
    second = bilibili(site, first)
    assert ask(site, "GET", "/demo/me", cookie=first).status == 401, (
        "nothing is left of the session before"
    )
    assert ask(site, "GET", "/demo/me", cookie=second).status == 200


def test_logging_out_of_a_dialect_ends_the_session(site: Site) -> None:
    session = bilibili(site)
    elsewhere = ask(
        site,
        "POST",
        "cgi-bin/mmwebwx-bin/webwxlogout",
        cookie=session,
        origin="https://evil.example",
    )
    assert elsewhere.status == 403
    assert ask(site, "GET", "/demo/me", cookie=session).status == 200
    left = ask(site, "POST", "cgi-bin/mmwebwx-bin/webwxlogout?redirect=1&type=0", cookie=session)
    assert (SESSION, 0) in [(cookie.key, cookie.max_age) for cookie in left.cookies]
    assert ask(site, "GET", "/demo/me", cookie=session).status == 401


def test_a_wished_lifetime_is_that_of_every_dialect() -> None:
    qr = QRLogin(
        MemoryStore(),
        secret_keys=[KEY],
        verification_uri=f"{ORIGIN}/qr",
        policy=replace(STANDARD, user_codes=True),
    )
    site = Site(qr, NAMES, lifetime=7)
    assert said(ask(site, "POST", "device_authorization", form="client_id=x"))["expires_in"] == 7
    for path in ("jslogin", "connect/qrconnect?appid=x", "qrcodelogin/generateQRCode4Login.do", "newlogin/qrcode/generate.do",
                 "x/passport-login/web/qrcode/generate", "show"):  # fmt: skip
        ages = [
            cookie.max_age
            for cookie in ask(site, "GET", path).cookies
            if re.fullmatch("qrl-[0-9a-f]{8}", cookie.key)
        ]
        assert ages == [7 + STANDARD.redeem_window + STANDARD.replay_window], path


# Two processes


@pytest.mark.parametrize("name", NAMES)
def test_a_phone_in_one_process_and_a_browser_in_another(pair: Pair, name: str) -> None:
    client = player(name, pair.second.address)
    client.client = watched = Watched(pair.second.address, agent="a client")
    text = client.begin()
    answers = hand_in(pair.first.origin, text, "scan")
    assert client.look() == client.scanned
    answers += hand_in(pair.first.origin, text, "confirm")
    assert client.look() == client.approved
    client.go_on()
    assert client.who() == "Alice"
    assert [(answer.status, answer.headers["server-pid"]) for answer in answers] == [
        (200, str(pair.first.process.pid))
    ] * 2
    assert watched.pids == {str(pair.second.process.pid)}
    assert pair.first.process.pid != pair.second.process.pid


@pytest.mark.parametrize("phone_first", [True, False])
def test_our_own_codes_are_read_by_either_process(pair: Pair, phone_first: bool) -> None:
    here, there = pair.first.origin, pair.second.address
    demo, other = (there, here) if phone_first else (here, there)
    browser = Client(demo, agent="a browser")
    begun = browser.post("/qrlogin/begin", {}).json
    assert begun["verification_uri_complete"].startswith(f"{pair.first.origin}/qr/")
    for text in (begun["verification_uri_complete"], begun["user_code"]):
        for answer in hand_in(other, text, "scan", "release"):
            assert answer.status == 200
            assert (
                browser.get(f"/qrlogin/{begun['login_id']}").headers["server-pid"]
                != answer.headers["server-pid"]
            )
    [scanned, confirmed] = hand_in(other, begun["user_code"], "scan", "confirm")
    assert confirmed.status == 200
    seen = browser.get(f"/qrlogin/{begun['login_id']}?after={begun['version']}&wait=25").json
    redeem = browser.post(
        f"/qrlogin/{begun['login_id']}/redeem",
        {"acknowledged": seen["scanned_by"]["tag"], "op": "o" * 22},
    )
    assert redeem.json["state"] == "redeemed"
    assert scanned.json["login_id"] == begun["login_id"]


def test_pages_of_the_second_lead_to_the_address_of_both(pair: Pair) -> None:
    answer = Client(pair.second.address, agent="a browser").get("/")
    assert (answer.status, answer.headers["location"]) == (303, f"{pair.first.origin}/")
    pair.second.until("Waiting for a phone")
    assert pair.second.text.startswith(f"{pair.first.origin}/qr/")


def test_without_a_common_key_they_are_strangers(pair: Pair, redis_url: str) -> None:
    with RunningDemo("--store", redis_url) as stranger:
        begun = Client(pair.first.origin, agent="a browser").post("/qrlogin/begin", {}).json
        bare = begun["verification_uri_complete"].rpartition("/")[2]
        assert [answer.status for answer in hand_in(stranger.origin, bare, "scan")] == [404]
        assert [answer.status for answer in hand_in(pair.second.address, bare, "scan")] == [200]


def test_every_answer_says_which_process_gave_it(speaking: RunningDemo) -> None:
    client = speaking.browser()
    for path in ("/", "/no/such/page", "/qrlogin/begin", "/demo/style.css", "/jslogin", "/token"):
        assert client.get(path).headers["server-pid"] == str(speaking.process.pid)


def test_the_key_may_be_in_the_environment_and_is_never_shown(redis_url: str) -> None:
    done = run("demo", "--self-check", "--store", redis_url, QRLOGIN_DEMO_KEY=KEY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert KEY not in done.stdout + done.stderr
    done = run("demo", "--self-check", QRLOGIN_DEMO_KEY="weak-SECRET")
    assert (done.returncode, "keygen" in done.stderr, "SECRET" in done.stderr) == (2, True, False)


def test_a_demo_with_a_key_of_ours_does_not_print_it(pair: Pair) -> None:
    for demo in (pair.first, pair.second):
        demo.until("Waiting for a phone")
        assert KEY not in demo.output
