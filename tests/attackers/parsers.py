"""Every parser of untrusted text, with its contract: it returns, or raises its documented error.

`fuzz` gives each of them the corpus and mutations of texts that it accepts.
"""

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any

from qrlogin import MemoryStore, QRLogin, State, Unavailable
from qrlogin.addresses import code_in_address
from qrlogin.allowances import lane_of, new_turn
from qrlogin.answers import Landing
from qrlogin.arguments import check_redeem, clean_account_name, decode_context, encode_context
from qrlogin.errors import BadArgument, BadRequest, InvalidCode, NoSuchPath, QRLoginError
from qrlogin.limits import network_of
from qrlogin.names import clean, exact, initial, marked, masked
from qrlogin.step import Reply, Verdict, number, step
from qrlogin.stores.redis_calls import as_text, read_reply
from qrlogin.table import TABLE
from qrlogin.wire import Dialect, Request
from qrlogin.wire.context import BrowserContext
from qrlogin.wire.cookies import DeviceCookies, LandingCookie, TurnCookie
from qrlogin.wire.dialects.jsonp import read_callback
from qrlogin.wire.dialects.native_routes import BEGIN, REDEEM, SCAN, STATUS
from qrlogin.wire.routes import Route
from qrlogin.wire.streams import Cursor
from qrlogin.wire.unrouted import UnroutedLog
from qrlogin.wire.user_agents import read_user_agent
from qrlogin.wire.validation import (
    basic,
    bearer,
    check_cookie_origin,
    check_origin,
    check_page,
    check_same_site,
    has_token,
    json_pairs,
    query_pairs,
    read_form,
    read_some,
)
from tests.application import ALICE, KEY, URI, Clock
from tests.attackers.inputs import as_bytes, texts
from tests.attackers.score import Score
from tests.attackers.site import Site
from tests.wire.dialects.lifecycle import login_at

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
_ORIGIN = "https://example.com"


@dataclass(frozen=True)
class Parser:
    """One parser, and what it may do with a text."""

    name: str
    read: Callable[[str], object]
    genuine: Sequence[str] = ()
    """Texts that it accepts."""
    raises: tuple[type[Exception], ...] = ()
    """Its documented errors; none: it returns whatever the text is."""
    holds: Callable[[Any], bool] = lambda _: True
    """What is true of everything that it returns."""


def fuzz(number: int, seed: int = 1) -> Score:
    """Gives each parser `number` texts. Anything but its contract is a crash.

    :param number: how many texts.
    :param seed: draws the same texts again.
    """
    score = Score("parsers")
    for parser in parsers():
        drawn = random.Random(f"{seed} {parser.name}")
        for text in texts(drawn, parser.genuine, number):
            score.attempts += 1
            try:
                found = parser.read(text)
            except parser.raises:
                continue
            except Exception as error:
                score.crashes += 1
                score.note(f"{parser.name}: {type(error).__name__} for {text[:200]!r}")
                continue
            if not parser.holds(found):
                score.believe(f"{parser.name}: {found!r} for {text[:200]!r}")
    return score


def parsers() -> list[Parser]:
    """The table. Each room of the library that reads what others wrote has its lines."""
    return [*_codes(), *_headers(), *_bodies(), *_texts(), *_records()]


def _ask(name: str, **request: Any) -> Callable[[str], Request]:
    """A request with a text as the value of a header."""
    return lambda text: Request("GET", "x", headers=((name, text),), **request)


def _on(name: str, read: Callable[[Request], object]) -> Callable[[str], object]:
    """What reads the request that has a text as the value of this header."""
    ask = _ask(name)
    return lambda text: read(ask(text))


def _codes() -> Iterator[Parser]:
    with Site() as site:
        qr, codes = site.qr, site.qr.core._codes
        begun = qr.begin(user_code=True, context={"browser": "Firefox"})
        fixed = qr.run(qr.core.begin(fixed=True))
        unasked = qr.core.read_device_code(qr.begin(ask_browser=False).device_code)
        landing = qr.land(begun.scan_code).token
    scans = (
        begun.scan_code, begun.verification_uri_complete, begun.user_code, fixed.scan_code,
        fixed.verification_uri_complete, f"{URI}?user_code={begun.user_code}",
        f"{URI}/?uuid={fixed.scan_code}", f"]Q1 {begun.verification_uri_complete}#x\0",
    )  # fmt: skip
    invalid = (InvalidCode,)
    yield Parser("device_code", qr.core.read_device_code, (begun.device_code,), invalid)
    yield Parser("scan_code, in any wrapping", codes.read_scan_code, scans, invalid, bool)
    yield Parser("wrapping of a code", lambda text: code_in_address(text, URI), scans, invalid)
    yield Parser("fixed code", qr.core.login_id_of, (fixed.scan_code,), invalid)
    yield Parser("code of a landing", qr.core.land, scans, invalid)
    yield Parser(
        "landing",
        lambda text: qr.core.scan(begun.scan_code, subject=ALICE, shown_as="A", landing=text),
        (landing,),
    )
    yield Parser(
        "ticket",
        lambda text: qr.core.redeem_by_ticket(unasked, text).command,
        ("0" * 32,),
    )
    key = codes.signing_key
    turn = new_turn(key, "192.0.2.7")
    yield Parser(
        "turn",
        lambda text: (text, lane_of(key, "192.0.2.7", text)),
        (turn,),
        holds=lambda found: not found[1] or found[0] == turn,
    )


def _headers() -> Iterator[Parser]:
    bad = (BadRequest,)
    core = QRLogin(MemoryStore(now=Clock()), secret_keys=[KEY], verification_uri=URI).core
    cookies, landings, turns = DeviceCookies(core), LandingCookie(core), TurnCookie(core)
    name = cookies._name("A" * 22)
    jar = (f"{name}=x", f"{name}=x; {name}-told=7; __Host-qrl-landing=y; __Host-qrl-turn=z")
    cookie = _ask("cookie")
    yield Parser("cookies", lambda text: cookie(text).cookies(), jar)
    yield Parser("cookie of a login", lambda text: cookies.find(cookie(text), "A" * 22), jar, bad)
    yield Parser("cursor cookie", lambda text: cookies.cursor(cookie(text), "A" * 22), jar)
    yield Parser("cookies to remove", lambda text: cookies.remove(cookie(text), "A" * 22), jar)
    with Site() as site:
        begun = site.qr.begin()
    others = tuple(f"__Host-qrl-0000000{n}=a.b.{n}" for n in range(9))
    yield Parser(
        "cookies at a begin",
        lambda text: cookies.set_for(begun, cookie(text)),
        (*jar, "; ".join(others)),
        holds=lambda found: 1 <= len(found) <= 51,
    )
    yield Parser("landing cookie", lambda text: landings.find(cookie(text)), jar)
    yield Parser("turn cookie", lambda text: turns.find(cookie(text)), jar)
    yield Parser(
        "cookie that is set",
        lambda text: landings.make(Landing("A" * 22, text, 9)).header(),
        ("x",),
    )
    tokens = ("Bearer x", "bearer  y", "DPoP z", "Basic aWQ6c2VjcmV0", "Basic aWQlM0E6cyUyQnM=")
    authorization = _ask("authorization")
    yield Parser("Bearer", lambda text: bearer(authorization(text)), tokens)
    yield Parser("Basic", lambda text: basic(authorization(text)), tokens, bad)
    yield Parser("any token", lambda text: has_token(authorization(text)), tokens)
    pages = (_ORIGIN, "null", "https://blog.example.com", "same-origin", "cross-site")
    for header in ("origin", "sec-fetch-site"):
        for name, check in (
            ("of a page", lambda request: check_origin(request, _ORIGIN)),
            (
                "beside a cookie",
                lambda request: check_cookie_origin(request, _ORIGIN, by_token=False),
            ),
            ("of a GET", check_same_site),
        ):
            yield Parser(f"{header}, {name}", _on(header, check), pages, bad)
    of_a_page = (*pages, f"{_ORIGIN}/page", "https://blog.example.com/x?y#z")
    for header in ("origin", "referer"):
        script = _on(header, lambda request: check_page(request, _ORIGIN, ()))
        yield Parser(f"{header}, of a script", script, of_a_page, bad)
    forwarded = ("192.0.2.7", "192.0.2.1, 192.0.2.7:8080", "[2001:db8::7]:443, 10.0.0.1", "::1")
    for proxies in (1, 2):
        read = _on("x-forwarded-for", BrowserContext(proxies=proxies).address_of)
        yield Parser(f"X-Forwarded-For behind {proxies}", read, forwarded, holds=_is_address)
    agents = (
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Safari/604.1",
    )
    describe, ask = BrowserContext(), _ask("user-agent")
    yield Parser("User-Agent", read_user_agent, agents)
    yield Parser(
        "User-Agent in a context",
        lambda text: describe(ask(text)),
        agents,
        holds=lambda found: all(text.isprintable() for text in found.values()),
    )
    yield Parser("network of an address", network_of, ("192.0.2.7", "2001:db8::7%eth0", "::1"))
    yield Parser("cursor of a stream", Cursor.read, ("1", "7-expired"))


def _is_address(text: str) -> bool:
    return not text or bool(ip_address(text))


def _bodies() -> Iterator[Parser]:
    bad = (BadRequest,)

    def body(kind: str) -> Callable[[str], Request]:
        return lambda text: Request(
            "POST", "x", headers=(("content-type", kind),), body=as_bytes(text)
        )

    def query(text: str) -> Request:
        return Request("GET", "x", text)

    queries = ("after=1&wait=0&echo=aB1", "callback=jsonp_1.x", "uuid=x&tip=1&_=1", "")
    yield Parser("query", lambda text: query_pairs(query(text)), queries, bad)
    yield Parser("parameters of a query", lambda text: read_some(text, ("uuid", "_")), queries, bad)
    yield Parser("query of a status", lambda text: STATUS.read_query(query(text)), queries, bad)
    yield Parser(
        "JSONP name",
        lambda text: read_callback(query(text)),
        queries,
        bad,
        lambda found: bool(re.fullmatch(r"[A-Za-z0-9_$.]{0,64}", found)),
    )
    yield Parser(
        "JSONP name, encoded",
        lambda text: read_callback(query(f"callback={text}")),
        ("jQuery123_4", "a.b"),
        bad,
        lambda found: bool(re.fullmatch(r"[A-Za-z0-9_$.]{0,64}", found)),
    )
    redeem = json.dumps({"acknowledged": "A" * 43, "op": "o" * 22})
    objects = ('{"code":"x"}', "{}", '{"deliver":"body"}', redeem)
    as_json, as_form = body(JSON), body(FORM)
    yield Parser("JSON", lambda text: json_pairs(as_json(text)), objects, bad)
    for route in (BEGIN, SCAN, REDEEM):
        yield Parser(
            f"JSON of {route.path}", _json_of(route, as_json), objects, bad, _holds_only_text
        )
    grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code"
    forms = ("client_id=tv&scope=a+b", f"{grant}&device_code=x&client_id=tv", "")
    names = ("client_id", "scope", "device_code", "grant_type")
    yield Parser("form", lambda text: read_form(as_form(text), names), forms, bad)
    media = (JSON, f"{JSON}; charset=utf-8", "APPLICATION/JSON;x")
    kind = _ask("content-type", body=b"{}")
    yield Parser("content type", lambda text: json_pairs(kind(text)), media, bad)
    with login_at("rfc8628", "pending") as login:
        dialect, log = login.mount.endpoint.dialect, UnroutedLog(login.mount.endpoint.dialect)
        for route, genuine in login.requests.items():
            if route.method == "POST":
                read = _form_of(dialect, genuine)
                texts_ = (genuine.body.decode(), *forms)
                yield Parser(f"form of RFC 8628 {route.path}", read, texts_, (QRLoginError,))
    yield Parser(
        "path below a mount",
        lambda text: log.note(NoSuchPath(), Request("GET", text), "browser"),
        ("device_authorization", "x/y"),
    )


def _json_of(route: Route, ask: Callable[[str], Request]) -> Callable[[str], object]:
    return lambda text: route.read_json(ask(text))


def _holds_only_text(found: Mapping[str, object]) -> bool:
    return all(isinstance(value, str) for value in found.values())


def _form_of(dialect: Dialect, genuine: Request) -> Callable[[str], object]:
    return lambda text: dialect.browser(replace(genuine, body=as_bytes(text)))


def _texts() -> Iterator[Parser]:
    names = ("alice@example.com", "M•••a", "क्ष", "👩‍👩‍👧", "e\u0301")
    yield Parser("name, cleaned", lambda text: clean(text, 40), names, holds=_fits)
    yield Parser("name, in full", lambda text: exact(text, 64), names)
    yield Parser("name, masked", masked, names)
    yield Parser("name, marked", marked, names)
    yield Parser("initial of a name", initial, names)
    yield Parser("name of an account", clean_account_name, names, (BadArgument,))
    yield Parser(
        "context",
        lambda text: decode_context(encode_context({"browser": text, "place": text[::-1]})),
        names,
        (BadArgument,),
        lambda found: set(found) == {"browser", "place"},
    )
    yield Parser("tag and op", lambda text: check_redeem(text, text), ("A" * 43,), (BadArgument,))


def _fits(found: str) -> bool:
    return len(found.encode()) <= 40


def _records() -> Iterator[Parser]:
    """Records that a store returns: each text is each field once, in each state of a login."""
    with Site() as site:
        login = site.login("rotating", State.REDEEMED, owner=ALICE, scanner=ALICE, asked=True)
        qr, device, code = site.qr, login.device, login.code
    operations: Mapping[str, Any] = {
        "status": lambda: qr.core.status(device),
        "redeem": lambda: qr.core.redeem(device, acknowledged="A" * 43, op="o" * 22),
        "cancel": lambda: qr.core.cancel(device),
        "scan": lambda: qr.core.scan(code, subject=ALICE, shown_as="A"),
        "confirm": lambda: qr.core.confirm(code, subject=ALICE),
        "look": lambda: qr.core.look(code, subject=ALICE),
        "outcome": lambda: qr.core.outcome(code, subject=ALICE),
    }
    genuine = [*login.record.values()]
    fields = sorted(login.record)

    def read(name: str) -> Callable[[str], object]:
        turn = 0

        def one(text: str) -> object:
            nonlocal turn
            operation = operations[name]()
            changed = {fields[turn % len(fields)]: as_text(as_bytes(text))} if turn else {}
            record, command = {**login.record, **changed}, operation.command
            verdict = list(Verdict)[turn // len(fields) % len(Verdict)]
            turn += 1
            return operation.resume(
                Reply(command.login_id, command.mark, verdict, site.clock.ms, record)
            )

        return one

    for name in operations:
        yield Parser(f"record, by {name}", read(name), genuine, (QRLoginError,))

    def stepped(text: str) -> object:
        command = operations["redeem"]().command
        return [
            step({**login.record, field: text}, replace(command, row=row), site.clock.ms)
            for field in fields
            for row in TABLE.values()
        ]

    yield Parser("number of a record", number, ("0", "123", "999999999999999"))
    yield Parser("record, by the step", stepped, genuine[:1])
    yield Parser(
        "reply of Redis, its verdict",
        lambda text: read_reply(json.dumps(["A", "m", text, "7", {text: text}])),
        tuple(Verdict),
        (Unavailable,),
    )
    yield Parser(
        "reply of Redis, its time",
        lambda text: read_reply(json.dumps([text, text, "applied", text, {}])),
        ("1", "999999999999999"),
        (Unavailable,),
    )
