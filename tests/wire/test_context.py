"""A browser is described by a short, harmless text, which never stops a login."""

import json
import logging
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrlogin import STANDARD, MemoryStore, Misconfigured, QRLogin
from qrlogin.arguments import encode_context
from qrlogin.names import clean
from qrlogin.operation import Operation
from qrlogin.wire import (
    BrowserContext,
    Dialect,
    Exchange,
    Native,
    Request,
    Rfc8628,
    WeChat,
    WeChatOpen,
)
from qrlogin.wire.context import _parser
from tests.application import KEY, URI
from tests.security_rows import row
from tests.tables import for_each_row

LIKE_GECKO = "AppleWebKit/537.36 (KHTML, like Gecko)"
CHROME = f"{LIKE_GECKO} Chrome/139.0.0.0"
WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
MOST = 200  # bytes: dialects may add as much to the context

#: What is shown of a User-Agent, with the extra and without: no versions, which help no reader and
#: which browsers have frozen.
SHOWN = [
    (
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "Firefox",
        "Linux",
    ),
    (
        "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "Firefox",
        "Ubuntu",
    ),
    (
        "Mozilla/5.0 (X11; FreeBSD amd64; rv:128.0) Gecko/20100101 Firefox/128.0",
        "Firefox",
        "FreeBSD",
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "Firefox",
        "Windows",
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Firefox/140.0",
        "Firefox",
        "macOS",
    ),
    (
        "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0",
        "Firefox",
        "Android",
    ),
    (
        (
            f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) {WEBKIT} FxiOS/127.0 "
            "Mobile/15E148 Safari/605.1.15"
        ),
        "Firefox",
        "iOS",
    ),
    (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36", "Chrome", "Windows"),
    (f"Mozilla/5.0 (Windows NT 6.1; Win64; x64) {CHROME} Safari/537.36", "Chrome", "Windows"),
    (
        f"Mozilla/5.0 (Windows NT 6.3; Win64; x64) {CHROME} Safari/537.36",
        "Chrome",
        "Windows",
    ),
    (
        f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {CHROME} Safari/537.36",
        "Chrome",
        "macOS",
    ),
    (f"Mozilla/5.0 (X11; Linux x86_64) {CHROME} Safari/537.36", "Chrome", "Linux"),
    (f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {CHROME} Safari/537.36", "Chrome", "ChromeOS"),
    (f"Mozilla/5.0 (Linux; Android 10; K) {CHROME} Mobile Safari/537.36", "Chrome", "Android"),
    (
        f"Mozilla/5.0 (Linux; Android 10; SM-A105FN) {CHROME} Mobile Safari/537.36",
        "Chrome",
        "Android",
    ),
    (
        f"Mozilla/5.0 (Linux; Android 13; SM-S911B) {CHROME} Mobile Safari/537.36",
        "Chrome",
        "Android",
    ),
    (
        (
            f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) {WEBKIT} "
            "CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1"
        ),
        "Chrome",
        "iOS",
    ),
    (
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36 Edg/139.0.0.0",
        "Edge",
        "Windows",
    ),
    (
        f"Mozilla/5.0 (Linux; Android 10; K) {CHROME} Mobile Safari/537.36 EdgA/139.0.0.0",
        "Edge",
        "Android",
    ),
    (
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36 OPR/121.0.0.0",
        "Opera",
        "Windows",
    ),
    (
        (
            f"Mozilla/5.0 (Linux; Android 14; SAMSUNG SM-A546B) {LIKE_GECKO} "
            "SamsungBrowser/28.0 Chrome/130.0.0.0 Safari/537.36"
        ),
        "Samsung Internet",
        "Android",
    ),
    (
        f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Version/18.5 Safari/605.1.15",
        "Safari",
        "macOS",
    ),
    (
        f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_13_6) {WEBKIT} Version/13.1.2 Safari/605.1.15",
        "Safari",
        "macOS",
    ),
    (
        (
            f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) {WEBKIT} "
            "Version/17.5 Mobile/15E148 Safari/604.1"
        ),
        "Safari",
        "iOS",
    ),
    (
        (
            f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) {WEBKIT} "
            "Version/26.0 Mobile/15E148 Safari/604.1"
        ),
        "Safari",
        "iOS",
    ),
    (
        (
            f"Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) {WEBKIT} Version/16.6 "
            "Mobile/15E148 Safari/604.1"
        ),
        "Safari",
        "iOS",
    ),
    (
        (
            f"Mozilla/5.0 (Windows NT 10.0; WOW64) {LIKE_GECKO} Chrome/86.0.4240.198 "
            "Safari/537.36 QQBrowser/11.0.5118.400"
        ),
        "QQ Browser",
        "Windows",
    ),
    ("Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko", "IE", "Windows"),
    ("curl/8.5.0", "curl", None),
    ("Wget/1.21.4", "Wget", None),
    # Names that no list contains: an attacker could write a sentence there.
    ("MyTelevision/3.1 (living room)", None, None),
    ("MyTelevision (living room)", None, None),
    ("Mozilla/5.0 (approve this to get your refund)", None, None),
    ("approve this to get your refund", None, None),
]

#: User agents that could mislead the reader.
HOSTILE = {
    "control characters": "Mozilla/5.0\r\nSet-Cookie: a=b\x00\x07\x7f Firefox/140.0",
    "64 KB": "Mozilla/5.0 " + "x" * 65536,
    "64 KB of versions": "Firefox/" + "1" * 65536,
    "turned text": "Firefox/140 \u202exof\u202c \u2066evil\u2069 \u200f\u061c",
    "turned text as a server reads it": "Firefox/140 \u202exof".encode().decode("latin-1"),
    "HTML": "<script>alert(1)</script><b onmouseover='x'>Firefox/140",
    "ANSI": "\x1b[2J\x1b[31mFirefox/140\x1b[0m \x9b31m",
    "quotes": '"' * 300 + "\\" * 300,
    "emoji": "Firefox 🦊" * 60,
    "surrogates": "\ud800\udfff Firefox/140",
    "nothing but blanks": " \t\u3000\u00a0 ",
    "nothing": "",
}


def begin_with(agent: str | None, client: str | None = None) -> Request:
    return Request(
        "POST", "begin", headers=() if agent is None else (("user-agent", agent),), client=client
    )


def harmless(context: object) -> bool:
    """Whether the context is short and printable, without signs that change the direction."""
    assert isinstance(context, dict)
    frozen = encode_context(context)
    assert frozen == json.dumps(context, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert len(frozen.encode()) <= MOST
    place = context.get("place", "")
    return clean(place, MOST) == place and all(
        sign.isprintable() and not unicodedata.category(sign).startswith("C")
        for key, text in context.items()
        for sign in text
        if key != "place"
    )


@pytest.fixture(params=["with the extra", "built in"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Each of the two readers of User-Agents."""
    if request.param == "built in":
        monkeypatch.setitem(sys.modules, "ua_parser", None)
    _parser.cache_clear()
    yield request.param
    _parser.cache_clear()


@pytest.mark.usefixtures("reader")
def test_a_browser_is_described_by_name_and_system() -> None:
    context = BrowserContext()
    shown = [
        (agent, *map(context(begin_with(agent)).get, ("browser", "system"))) for agent, *_ in SHOWN
    ]
    assert shown == SHOWN


def test_the_extra_knows_more_names() -> None:
    television = "Mozilla/5.0 (X11; Linux) AppleWebKit/538.1 (KHTML, like Gecko) Konqueror/4.14"
    assert BrowserContext()(begin_with(television))["browser"] == "Konqueror"


def test_every_dialect_describes_a_browser_in_words_by_default() -> None:
    """The phone is never shown a User-Agent."""
    qr = QRLogin(
        MemoryStore(),
        secret_keys=[KEY],
        verification_uri=URI,
        policy=replace(STANDARD, user_codes=True),
    )
    agent, form = ("user-agent", SHOWN[3][0]), "application/x-www-form-urlencoded"
    begins: list[tuple[Dialect, Request]] = [
        (Native(qr.core), Request("POST", "begin", body=b"{}")),
        (WeChat(qr.core), Request("GET", "jslogin", "appid=wx782c26e4c19acffb")),
        (
            Rfc8628(qr.core, clients=lambda client: True),
            Request("POST", "device_authorization", body=b"client_id=tv"),
        ),
    ]
    for dialect, request in begins:
        kind = "application/json" if request.body == b"{}" else form
        headers = (agent, ("content-type", kind))
        exchange = dialect.browser(replace(request, headers=headers, client="198.51.100.7"))
        assert isinstance(exchange, Exchange)
        assert isinstance(exchange.operation, Operation)
        begun = qr.run(exchange.operation)
        scanned = qr.scan(begun.user_code or begun.scan_code, subject="42", shown_as="")
        assert scanned.context == {
            "browser": "Firefox",
            "system": "Windows",
            "address": "198.51.100.7",
        }


@row(40)
@for_each_row("agent", HOSTILE.values())
def test_a_hostile_user_agent_gives_a_short_harmless_description(agent: str) -> None:
    context = BrowserContext(address=lambda _: agent, place=lambda _: agent)(begin_with(agent))
    assert harmless(context)
    if not agent.strip():
        assert "browser" not in context


@row(59)
@pytest.mark.usefixtures("reader")
def test_markup_and_sentences_are_not_shown() -> None:
    context = BrowserContext()
    for agent in ("<i>my own</i>", "my \u202eown\u202c\x1b[31m", "a device of no known make"):
        assert "browser" not in context(begin_with(agent))


@row(59)
@given(agent=st.text(max_size=600), address=st.text(max_size=300), place=st.text(max_size=300))
def test_any_user_agent_gives_a_short_harmless_description(
    agent: str, address: str, place: str
) -> None:
    assert harmless(
        BrowserContext(address=lambda _: address, place=lambda _: place)(begin_with(agent))
    )


@given(
    st.lists(
        st.sampled_from(
            [
                "Mozilla/5.0 (",
                "; ",
                "Firefox/",
                "Android 10; K)",
                "Windows NT 10.0",
                "1.",
                "\u202e",
                "\x1b[",
            ]
        )
    )
)
def test_any_browser_like_user_agent_gives_a_short_harmless_description(pieces: list[str]) -> None:
    assert harmless(BrowserContext()(begin_with("".join(pieces), "2001:db8::1")))


def test_the_first_of_several_user_agents_is_described() -> None:
    request = Request("POST", "begin", headers=(("user-agent", "curl/8"), ("user-agent", "evil")))
    assert BrowserContext()(request) == {"browser": "curl"}


def test_the_longest_context_leaves_room_for_what_a_dialect_adds() -> None:
    """The longest fields of RFC 8628 and WeChat fit beside the longest context."""
    core = QRLogin(
        MemoryStore(),
        secret_keys=[KEY],
        verification_uri=URI,
        policy=replace(STANDARD, user_codes=True),
    ).core
    longest = "\u6df1" * 100
    widest = "2001:0db8:1111:2222:3333:4444:5555:6666"
    describe = BrowserContext(address=lambda _: widest, place=lambda _: longest)
    assert len(encode_context(describe(begin_with(f"Samsung{SHOWN[20][0]}"))).encode()) > 120
    scopes = ["openid", "profile", "email"]
    form = urlencode({"client_id": "c" * 120, "scope": " ".join(scopes)}).encode()
    headers = (("user-agent", "x" * 600), ("content-type", "application/x-www-form-urlencoded"))
    rfc8628 = Rfc8628(
        core,
        clients=lambda client: True,
        names=lambda client_id: "n" * 300,
        scopes=scopes,
        describe=describe,
    )
    assert isinstance(
        rfc8628.browser(Request("POST", "device_authorization", headers=headers, body=form)),
        Exchange,
    )
    wechat = WeChatOpen(core, describe=describe)
    request = Request("GET", "connect/qrconnect", f"appid={'a' * 64}", headers=headers[:1])
    assert isinstance(wechat.browser(request), Exchange)


# The address


@row(44, 423)
def test_no_header_is_trusted_for_the_address() -> None:
    forged = [
        (name, "203.0.113.66")
        for name in ("x-forwarded-for", "x-real-ip", "forwarded", "cf-connecting-ip", "client-ip")
    ]
    request = Request("POST", "begin", headers=tuple(forged), client="192.0.2.7")
    assert BrowserContext()(request) == {"address": "192.0.2.7"}
    assert BrowserContext()(Request("POST", "begin", headers=tuple(forged))) == {}


@row(44, 134)
@for_each_row(
    "peer, shown",
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1111:2222:3333:4444:5555:6666", "2001:db8:1111:2222:3333:4444:5555:6666"),
        ("2001:0DB8::0001", "2001:db8::1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        # A proxy in front of the server, which would look like the address of every browser.
        ("127.0.0.1", None),
        ("::1", None),
        ("::ffff:10.0.0.1", None),
        ("10.0.0.1", None),
        ("172.17.0.1", None),
        ("192.168.1.1", None),
        ("100.64.0.1", None),
        ("169.254.1.1", None),
        ("fd00::1", None),
        ("fe80::1%eth0", None),
        ("0.0.0.0", None),
        # What servers say of a Unix socket, and test clients of themselves.
        ("", None),
        ("unix:", None),
        ("testclient", None),
        (None, None),
    ],
)
def test_the_address_is_shown_unless_it_is_most_likely_a_proxys(
    peer: str | None, shown: str | None
) -> None:
    assert BrowserContext()(begin_with(None, peer)).get("address") == shown


def test_a_server_without_a_proxy_can_show_every_address() -> None:
    context = BrowserContext(address=lambda request: request.client)
    assert context(begin_with(None, "192.168.1.7")) == {"address": "192.168.1.7"}


def test_the_application_can_set_the_address() -> None:
    context = BrowserContext(address=lambda request: " 2001:DB8::7%eth0")
    assert context(begin_with(None)) == {"address": "2001:db8::7"}
    mapped = BrowserContext(address=lambda request: "::ffff:1.2.3.4")
    assert mapped(begin_with(None)) == {"address": "1.2.3.4"}
    # Such as a header that the application passes on without a look at it.
    assert BrowserContext(address=lambda request: "Press Yes, 192.0.2.7")(begin_with(None)) == {}
    assert BrowserContext(address=lambda request: None)(begin_with(None, "192.0.2.7")) == {}


@row(44, 423)
@for_each_row(
    "proxies, forwarded, shown",
    [
        (1, ["203.0.113.7"], "203.0.113.7"),
        # The attacker chose the entries at the left: only those of our own proxies count.
        (1, ["198.51.100.66, 203.0.113.7"], "203.0.113.7"),
        (1, ["198.51.100.66", "203.0.113.7"], "203.0.113.7"),
        (2, ["198.51.100.66, 203.0.113.7, 10.0.0.9"], "203.0.113.7"),
        (2, ["203.0.113.7"], None),  # the request did not pass both
        (1, [], None),
        (1, ["192.168.1.7"], "192.168.1.7"),
        (1, ["203.0.113.7:50000"], "203.0.113.7"),
        (1, ["[2001:db8::7]:50000"], "2001:db8::7"),
        (1, ["2001:db8::7"], "2001:db8::7"),
        (1, ["::ffff:203.0.113.7"], "203.0.113.7"),
        (1, ["unknown"], None),
        (1, ["Press Yes"], None),
        (0, ["203.0.113.7"], "192.0.2.1"),
    ],
)
def test_behind_proxies_the_address_is_what_the_outermost_one_saw(
    proxies: int, forwarded: list[str], shown: str | None
) -> None:
    headers = tuple(("x-forwarded-for", line) for line in forwarded)
    request = Request("POST", "begin", headers=headers, client="192.0.2.1")
    assert BrowserContext(proxies=proxies)(request).get("address") == shown


@for_each_row("proxies", [-1, True, "1", 1.0])
def test_an_impossible_number_of_proxies_is_refused(proxies: Any) -> None:
    with pytest.raises(Misconfigured, match="proxies"):
        BrowserContext(proxies=proxies)
    with pytest.raises(Misconfigured, match="not both"):
        BrowserContext(proxies=1, address=lambda request: request.client)


# The place


@row(111)
def test_a_place_is_found_from_the_address_alone() -> None:
    shown_text = list[str]()

    def place(address: str) -> str:
        shown_text.append(address)
        return "深圳市, 广东省" if address == "192.0.2.7" else ""

    context = BrowserContext(place=place)
    assert context(begin_with(None, "192.0.2.7")) == {
        "address": "192.0.2.7",
        "place": "深圳市, 广东省",
    }
    assert context(begin_with(None, "192.0.2.8")) == {"address": "192.0.2.8"}
    assert context(begin_with(None)) == {}
    assert shown_text == ["192.0.2.7", "192.0.2.8"]


@pytest.mark.parametrize("kind", ["place", "address"])
def test_a_lookup_that_fails_does_not_stop_the_login(
    caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    def broken(_: object) -> str:
        raise LookupError("192.0.2.7 is in no database")

    context = BrowserContext(place=broken) if kind == "place" else BrowserContext(address=broken)
    shown = context(begin_with("curl/8.5.0", "192.0.2.7"))
    assert shown == {"browser": "curl"} | ({"address": "192.0.2.7"} if kind == "place" else {})
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert kind in record.getMessage()
    assert "LookupError" in record.getMessage()
    assert "192.0.2.7" not in caplog.text  # no address of a visitor is logged


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("نیم\u200cروز", "نیم\u200cروز"),  # Persian spells with joiners
        ("ශ්\u200dරී ලංකාව", "ශ්\u200dරී ලංකාව"),
        ("a\u202eb", "ab"),
        ('"here"\\', "here"),
        ("x" * 41, "x" * 37 + "…"),
    ],
)
def test_a_place_is_cleaned_as_names_are(name: str, shown: str) -> None:
    context = BrowserContext(place=lambda _: name)(begin_with(None, "192.0.2.7"))
    assert context["place"] == shown
    assert harmless(context)


def test_a_place_that_is_not_text_is_left_out() -> None:
    nowhere: list[Any] = [None, 7, ["Berlin"]]
    for each in nowhere:
        context = BrowserContext(place=lambda _, each=each: each)  # type: ignore[misc]
        assert context(begin_with(None, "192.0.2.7")) == {"address": "192.0.2.7"}


# The extra, and what it costs


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


@pytest.mark.parametrize("hidden", ["ua_parser", "ua_parser_builtins"])
def test_without_the_extra_a_browser_is_described_all_the_same(hidden: str) -> None:
    shown_text = run(f"""
import sys
sys.modules[{hidden!r}] = None
from qrlogin.wire import Request, describe_browser
agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
print(describe_browser(Request("POST", "begin", headers=(("user-agent", agent),))))
""")
    assert shown_text == "{'browser': 'Firefox', 'system': 'Linux'}"


def test_a_hostile_user_agent_costs_little_time_and_memory() -> None:
    """At most 320 characters are read of it, and 256 User-Agents are remembered."""
    read = list[str]()
    context = BrowserContext()
    parse = context._parse
    context._parse = lambda agent: read.append(agent) or parse(agent)  # type: ignore[func-returns-value]
    for agent in HOSTILE.values():
        context(begin_with(agent))
    assert max(map(len, read)) <= 320
    assert parse.cache_info().maxsize == 256  # type: ignore[attr-defined]


def test_all_patterns_are_compiled_before_the_first_request() -> None:
    """Compiling takes most of a parser's time, and no request should wait for it."""
    shown_text = run("""
import re
from qrlogin.names import clean
from qrlogin.operation import Operation
from qrlogin.wire import BrowserContext, Request
context, compiled = BrowserContext(), []
genuine = re._compiler.compile
re._compiler.compile = lambda *pattern: compiled.append(pattern) or genuine(*pattern)
firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
for agent in (firefox, "other/1.0 fits nothing"):
    print(dict(context(Request("POST", "begin", headers=(("user-agent", agent),)))))
print(len(compiled))
""")
    assert re.findall(r"'browser': '([^']+)'", shown_text) == ["Firefox"]
    assert shown_text.splitlines()[-1] == "0"
