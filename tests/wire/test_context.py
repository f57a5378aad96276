"""A browser is described by a short, harmless text, which never stops a login."""

import json
import logging
import re
import subprocess
import sys
import unicodedata
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrlogin import STANDARD, MemoryStore, Misconfigured, QRLogin
from qrlogin.arguments import encode_context
from qrlogin.names import clean
from qrlogin.wire import BrowserContext, Exchange, Request, Rfc8628, WeChatOpen, describe_browser
from tests.application import KEY, URI
from tests.tables import for_each_row

LIKE_GECKO = "AppleWebKit/537.36 (KHTML, like Gecko)"
CHROME = f"{LIKE_GECKO} Chrome/139.0.0.0"
WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
MOST = 200  # bytes: dialects may add as much to the context

# These browsers always report Windows 10, macOS 10.15.7, Android 10 or iOS 18.6, so no version of
# the system is shown.
SHOWN = [
    (
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "Firefox 140",
        "Linux",
    ),
    (
        "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "Firefox 140",
        "Ubuntu",
    ),
    (
        "Mozilla/5.0 (X11; FreeBSD amd64; rv:128.0) Gecko/20100101 Firefox/128.0",
        "Firefox 128",
        "FreeBSD",
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "Firefox 140",
        "Windows",
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Firefox/140.0",
        "Firefox 140",
        "macOS",
    ),
    (
        "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0",
        "Firefox 140",
        "Android 15",
    ),
    (
        (
            f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) {WEBKIT} FxiOS/127.0 "
            "Mobile/15E148 Safari/605.1.15"
        ),
        "Firefox 127",
        "iOS 17.5",
    ),
    (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36", "Chrome 139", "Windows"),
    (f"Mozilla/5.0 (Windows NT 6.1; Win64; x64) {CHROME} Safari/537.36", "Chrome 139", "Windows 7"),
    (
        f"Mozilla/5.0 (Windows NT 6.3; Win64; x64) {CHROME} Safari/537.36",
        "Chrome 139",
        "Windows 8.1",
    ),
    (
        f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {CHROME} Safari/537.36",
        "Chrome 139",
        "macOS",
    ),
    (f"Mozilla/5.0 (X11; Linux x86_64) {CHROME} Safari/537.36", "Chrome 139", "Linux"),
    (f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {CHROME} Safari/537.36", "Chrome 139", "ChromeOS"),
    (f"Mozilla/5.0 (Linux; Android 10; K) {CHROME} Mobile Safari/537.36", "Chrome 139", "Android"),
    (
        f"Mozilla/5.0 (Linux; Android 10; SM-A105FN) {CHROME} Mobile Safari/537.36",
        "Chrome 139",
        "Android 10",
    ),
    (
        f"Mozilla/5.0 (Linux; Android 13; SM-S911B) {CHROME} Mobile Safari/537.36",
        "Chrome 139",
        "Android 13",
    ),
    (
        (
            f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) {WEBKIT} "
            "CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1"
        ),
        "Chrome 126",
        "iOS 17.5",
    ),
    (
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36 Edg/139.0.0.0",
        "Edge 139",
        "Windows",
    ),
    (
        f"Mozilla/5.0 (Linux; Android 10; K) {CHROME} Mobile Safari/537.36 EdgA/139.0.0.0",
        "Edge 139",
        "Android",
    ),
    (
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36 OPR/121.0.0.0",
        "Opera 121",
        "Windows",
    ),
    (
        (
            f"Mozilla/5.0 (Linux; Android 14; SAMSUNG SM-A546B) {LIKE_GECKO} "
            "SamsungBrowser/28.0 Chrome/130.0.0.0 Safari/537.36"
        ),
        "Samsung Internet 28",
        "Android 14",
    ),
    (
        f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Version/18.5 Safari/605.1.15",
        "Safari 18",
        "macOS",
    ),
    (
        f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_13_6) {WEBKIT} Version/13.1.2 Safari/605.1.15",
        "Safari 13",
        "macOS 10.13",
    ),
    (
        (
            f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) {WEBKIT} "
            "Version/17.5 Mobile/15E148 Safari/604.1"
        ),
        "Safari 17",
        "iOS 17.5",
    ),
    (
        (
            f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) {WEBKIT} "
            "Version/26.0 Mobile/15E148 Safari/604.1"
        ),
        "Safari 26",
        "iOS",
    ),
    (
        (
            f"Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) {WEBKIT} Version/16.6 "
            "Mobile/15E148 Safari/604.1"
        ),
        "Safari 16",
        "iOS 16.6",
    ),
    (
        (
            f"Mozilla/5.0 (Windows NT 10.0; WOW64) {LIKE_GECKO} Chrome/86.0.4240.198 "
            "Safari/537.36 QQBrowser/11.0.5118.400"
        ),
        "QQ Browser 11",
        "Windows",
    ),
    ("Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko", "IE 11", "Windows"),
    ("curl/8.5.0", "curl 8", None),
    ("Wget/1.21.4", "Wget 1", None),
    ("python-requests/2.32.3", "Python Requests 2", None),
    ("MyTelevision (living room)", "MyTelevision (living room)", None),
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


@for_each_row("agent, browser, system", SHOWN)
def test_a_browser_is_described_by_name_and_system(
    agent: str, browser: str, system: str | None
) -> None:
    shown = {"browser": browser} | ({"system": system} if system else {})
    assert BrowserContext()(begin_with(agent)) == shown


@for_each_row("agent", HOSTILE.values())
def test_a_hostile_user_agent_gives_a_short_harmless_description(agent: str) -> None:
    context = BrowserContext(address=lambda _: agent, place=lambda _: agent)(begin_with(agent))
    assert harmless(context)
    if not agent.strip():
        assert "browser" not in context


def test_markup_stays_text_and_control_characters_are_removed() -> None:
    """The page escapes markup. No sign is left that a terminal obeys or that JSON must escape."""
    context = BrowserContext()
    assert context(begin_with("<i>my own</i>"))["browser"] == "<i>my own</i>"
    assert context(begin_with("my \u202eown\u202c\x1b[31m"))["browser"] == "my own [31m"


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


def test_an_unknown_user_agent_is_shown_as_it_is_and_cut() -> None:
    agent = "a device of no known make " * 10
    shown_text = BrowserContext()(begin_with(agent))["browser"]
    assert describe_browser(begin_with(agent))["browser"].startswith(shown_text[:-1])
    assert shown_text.endswith("…")
    assert len(shown_text.encode()) == 63  # of 64: the last was a blank


def test_the_first_of_several_user_agents_is_described() -> None:
    request = Request("POST", "begin", headers=(("user-agent", "curl/8"), ("user-agent", "evil")))
    assert BrowserContext()(request) == {"browser": "curl 8"}


def test_the_longest_context_leaves_room_for_what_a_dialect_adds() -> None:
    """The longest fields of RFC 8628 and WeChat fit beside the longest context."""
    core = QRLogin(
        MemoryStore(),
        secret_keys=[KEY],
        verification_uri=URI,
        policy=replace(STANDARD, user_codes=True),
    ).core
    longest = "\u6df1" * 100
    describe = BrowserContext(address=lambda _: longest, place=lambda _: longest)
    assert (
        len(
            encode_context(
                describe(begin_with(f"{'a' * 100}/{'1' * 100} (Windows NT 6.1)"))
            ).encode()
        )
        > MOST - 20
    )
    form = urlencode({"client_id": "c" * 120, "scope": "openid profile email"}).encode()
    headers = (("user-agent", "x" * 600), ("content-type", "application/x-www-form-urlencoded"))
    rfc8628 = Rfc8628(core, clients=lambda client: True, describe=describe)
    assert isinstance(
        rfc8628.browser(Request("POST", "device_authorization", headers=headers, body=form)),
        Exchange,
    )
    wechat = WeChatOpen(core, describe=describe)
    request = Request("GET", "connect/qrconnect", f"appid={'a' * 64}", headers=headers[:1])
    assert isinstance(wechat.browser(request), Exchange)


# The address


def test_no_header_is_trusted_for_the_address() -> None:
    forged = [
        (name, "203.0.113.66")
        for name in ("x-forwarded-for", "x-real-ip", "forwarded", "cf-connecting-ip", "client-ip")
    ]
    request = Request("POST", "begin", headers=tuple(forged), client="192.0.2.7")
    assert BrowserContext()(request) == {"address": "192.0.2.7"}
    assert BrowserContext()(Request("POST", "begin", headers=tuple(forged))) == {}


@pytest.mark.parametrize(
    "address", ["192.0.2.7", "2001:db8:1111:2222:3333:4444:5555:6666", "::ffff:192.0.2.7"]
)
def test_every_address_fits(address: str) -> None:
    assert BrowserContext()(begin_with(None, address)) == {"address": address}


def test_the_application_can_set_the_address() -> None:
    assert BrowserContext(address=lambda request: "the library's terminal")(begin_with(None)) == {
        "address": "the library's terminal"
    }
    assert BrowserContext(address=lambda request: None)(begin_with(None, "192.0.2.7")) == {}


# The place


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
    assert shown == {"browser": "curl 8"} | ({"address": "192.0.2.7"} if kind == "place" else {})
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


def test_async_callbacks_are_refused() -> None:
    async def awaited(_: object) -> str:
        return "nowhere"

    with pytest.raises(Misconfigured, match="cannot await"):
        BrowserContext(place=awaited)  # type: ignore[arg-type]
    with pytest.raises(Misconfigured, match="cannot await"):
        BrowserContext(address=awaited)  # type: ignore[arg-type]


# The extra, and what it costs


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


@pytest.mark.parametrize("hidden", ["ua_parser", "ua_parser_builtins"])
def test_without_the_extra_the_error_names_the_package_to_install(hidden: str) -> None:
    shown_text = run(f"""
import sys
sys.modules[{hidden!r}] = None
from qrlogin.names import clean
from qrlogin.wire import BrowserContext
try:
    BrowserContext()
except ValueError as error:
    print(type(error).__name__, error)
""")
    assert (
        shown_text == "Misconfigured BrowserContext needs ua-parser: pip install 'qrlogin[context]'"
    )


def test_all_patterns_are_compiled_before_the_first_request() -> None:
    """Compiling takes most of a parser's time, and no request should wait for it."""
    shown_text = run("""
import re
from qrlogin.names import clean
from qrlogin.wire import BrowserContext, Request
context, compiled = BrowserContext(), []
genuine = re._compiler.compile
re._compiler.compile = lambda *pattern: compiled.append(pattern) or genuine(*pattern)
firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
for agent in (firefox, "fits nothing either"):
    print(dict(context(Request("POST", "begin", headers=(("user-agent", agent),)))))
print(len(compiled))
""")
    assert re.findall(r"'browser': '([^']+)'", shown_text) == ["Firefox 140", "fits nothing either"]
    assert shown_text.splitlines()[-1] == "0"
