"""Each answer has exactly its listed fields, and no secret is in any other answer."""

import logging
import traceback
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from qrlogin.wire import Cookie, Person, Request, Response
from qrlogin.wire.message import BODY_CAP
from tests.security_rows import row
from tests.tables import for_each_row
from tests.wire.mount import CREDENTIAL, HISTORIES, Mount, Tab, get, post, reach, read

STATUS = {"login_id", "state", "version", "expires_in"}
CODE = {"code_expires_in", "rotates_in", "verification_uri_complete", "qr"}
ERROR = {"error", "error_description"}

#: Subject and phone belong to the application: no answer to a browser or a phone holds them.
CARRIER = Person("marked-subject-of-carol", "marked-shown-as", "marked-phone-of-carol")
OP = "marked-op-of-this-click"
AGENT = ("user-agent", "Vivaldi/1.0 marked-browser")


class Journal:
    """All answers about one login, from begin to cancel, with the route that gave each."""

    def __init__(self, mount: Mount) -> None:
        self.mount, self.answers = mount, list[tuple[str, Response]]()
        tab = self.tab = Tab(mount)
        self.browser("begin", tab.begin(AGENT))
        for step in ("look", "scan", "release", "scan", "confirm", "outcome", "deny"):
            self.browser("status", tab.look())
            self.browser("picture", tab.send(get(f"{tab.login_id}/qr.svg")))
            self.browser("picture", tab.send(get(f"{tab.login_id}/qr.png")))
            if step == "deny":
                self.tag = read(tab.look())["scanned_by"]["tag"]
                self.browser("redeem", tab.redeem(op=OP))
                self.browser("redeem", tab.redeem(op=OP))
                self.browser("redeem", tab.redeem(op="another-op-altogether"))
                self.browser("status", tab.look())
            self.answers.append(("phone", tab.phone(step, CARRIER)))
            self.answers.append(("phone", tab.phone(step, Person("dave", "D•e"))))
            self.answers.append(("phone", tab.phone(step, None)))
        self.browser("cancel", tab.cancel())
        self.answers.append(("stranger", mount.browser(get(tab.login_id))))

    def browser(self, what: str, answer: Response) -> None:
        self.answers.append((what, answer))

    def holders(self, secret: str) -> set[str]:
        """The routes whose answer holds it in a body, a header, or a cookie."""
        return {
            who
            for who, answer in self.answers
            if secret.encode() in answer.body
            or any(secret in part for header in answer.header_list() for part in header)
        }


@pytest.fixture
def journal(mount: Mount) -> Journal:
    return Journal(mount)


def test_each_secret_is_only_in_the_answers_that_need_it(journal: Journal) -> None:
    tab = journal.tab
    login_id, secret = tab.device_code.split(".")[:2]
    assert journal.holders(tab.device_code) == {"begin"}
    assert journal.holders(secret) == {"begin"}
    assert journal.holders(tab.code.rpartition("/")[2]) == {"begin", "status"}
    assert journal.holders(OP) == set()
    assert journal.holders(journal.tag) == {"status"}
    assert journal.holders("marked-shown-as") == {"status"}
    assert journal.holders("Vivaldi") == {"phone"}
    assert journal.holders("marked-browser") == set()
    assert journal.holders("marked-subject") == set()
    assert journal.holders("marked-phone") == set()
    assert journal.holders("of-the-phone-app") == set()
    assert "stranger" not in journal.holders(login_id)


@row(410)
def test_the_device_code_is_either_in_the_cookie_or_in_the_body(mount: Mount) -> None:
    by_cookie = mount.browser(post("begin"))
    (cookie,) = by_cookie.cookies
    assert cookie.value.encode() not in by_cookie.body
    by_body = mount.browser(post("begin", {"deliver": "body"}))
    assert by_body.cookies == ()
    assert read(by_body)["device_code"] not in str(by_body.header_list())


@row(6, 458)
def test_no_private_field_of_the_record_is_in_an_answer(journal: Journal) -> None:
    record = journal.mount.records[journal.tab.login_id]
    public = {"v", "state", "version", "context", "shown_as", "scanner_seal", "misses"}
    public |= {"name", "approval"}
    private = {
        name: value
        for name, value in record.items()
        if name not in public and not value.isdecimal() and value
    }
    assert {
        "device_digest",
        "claim",
        "begin_seal",
        "subject",
        "redeem_mark",
        "mark",
    } <= private.keys()
    for name, value in private.items():
        assert journal.holders(value) == set(), name


@row(134)
def test_the_address_of_the_browser_is_kept_and_that_of_the_phone_is_not(mount: Mount) -> None:
    """The phone shows the browser's address. Its own has no use here."""
    begun = mount.browser(replace(post("begin"), client="8.8.8.8"))
    code = read(begun)["verification_uri_complete"]
    for verb in ("look", "scan", "confirm", "outcome"):
        assert (
            mount.phone(replace(post(verb, {"code": code}, CREDENTIAL), client="9.9.9.9")).status
            == 200
        )
    assert "8.8.8.8" in str(mount.records)
    assert "9.9.9.9" not in str(mount.records)


@row(6)
@for_each_row("history", HISTORIES)
def test_a_status_has_these_fields(mount: Mount, history: str) -> None:
    fields = read(reach(mount, history).look())
    if history in ("pending", "released"):
        assert fields.keys() == STATUS | CODE
        assert fields["qr"].keys() == {"size", "path", "id"}
    elif history in ("scanned", "confirmed", "redeemed"):
        assert fields.keys() == STATUS | {"scanned_by"}
        full = set() if history == "scanned" else {"name"}
        assert fields["scanned_by"].keys() == {"shown_as", "tag"} | full
    else:
        assert fields.keys() == (ERROR if history == "unknown" else STATUS)


@row(6)
def test_the_other_answers_have_these_fields(mount: Mount) -> None:
    assert read(mount.browser(post("begin"))).keys() == STATUS | CODE | {"verification_uri"}
    assert read(mount.browser(post("begin", {"deliver": "body"}))).keys() == STATUS | CODE | {
        "verification_uri",
        "device_code",
    }
    tab = reach(mount, "pending")
    seen = {"login_id", "state", "context", "begun_ago", "expires_in", "known_browser"}
    assert read(tab.phone("look")).keys() == seen | {"landing"}
    assert read(tab.phone("scan")).keys() == seen
    assert read(tab.phone("outcome")).keys() == {"login_id", "state"}
    assert read(tab.phone("release")).keys() == {"login_id", "state"}
    tab.phone("scan")
    assert read(tab.phone("confirm")).keys() == {"login_id", "state"}
    assert read(tab.redeem()).keys() == {"login_id", "state"}
    assert read(tab.redeem(op="another-op-altogether")).keys() == ERROR
    tab = reach(mount, "scanned")
    assert read(tab.phone("deny")).keys() == read(tab.phone("deny")).keys() == {"login_id", "state"}
    assert read(reach(mount, "pending").cancel()).keys() == {"login_id", "state"}
    mount.store.down = True
    assert read(tab.look()).keys() == ERROR | {"retry_after"}


def test_the_repr_of_a_wire_value_shows_no_secret(journal: Journal) -> None:
    tab = journal.tab
    marked = [
        tab.device_code,
        tab.code.rpartition("/")[2],
        journal.tag,
        OP,
        "marked-",
        "of-the-phone-app",
    ]
    request = Request(
        "POST",
        f"{tab.login_id}/redeem",
        f"x={OP}",
        (("cookie", tab.device_code), CREDENTIAL),
        OP.encode(),
    )
    shown: list[Any] = [
        request,
        CARRIER,
        Cookie(tab.cookie, tab.device_code, 1),
        *(answer for _, answer in journal.answers),
    ]
    dialect = journal.mount.endpoint.dialect
    cookie = ("cookie", f"{tab.cookie}={tab.device_code}")
    shown += [
        dialect.browser(get(tab.login_id, "wait=25", cookie)),
        dialect.browser(get(tab.login_id, "", cookie)),
    ]
    shown += [
        dialect.browser(
            post(f"{tab.login_id}/redeem", {"acknowledged": journal.tag, "op": OP}, cookie)
        )
    ]
    shown += [
        dialect.phone(post("scan", {"code": tab.code}, CREDENTIAL), CARRIER),
        dialect.browser(post("begin", {}, AGENT)),
    ]
    for value in shown:
        for text in (repr(value), str(value), f"{value}"):
            assert not [secret for secret in marked if secret in text], text


@row(39, 461)
def test_no_error_and_no_log_line_holds_a_secret(
    mount: Mount, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[Exception] = []
    refuse = mount.endpoint.dialect.refuse

    def listening(request: Request, error: Any) -> Any:
        errors.append(error)
        return refuse(request, error)

    monkeypatch.setattr(mount.endpoint.dialect, "refuse", listening)
    caplog.set_level(logging.DEBUG)
    journal = Journal(mount)
    tab = journal.tab
    record = mount.store.inner._records._records[tab.login_id]
    mount.store.inner._records._records[tab.login_id] = {**record, "context": "{}"}
    assert tab.look().status == 404
    mount.store.down = True
    assert tab.look().status == 503
    assert len(errors) > 10
    marked = [
        tab.device_code,
        tab.code.rpartition("/")[2],
        journal.tag,
        OP,
        "marked-",
        "of-the-phone-app",
    ]
    for text in [caplog.text, *("".join(traceback.format_exception(error)) for error in errors)]:
        assert not [secret for secret in marked if secret in text], text
    assert "fails its seal" in caplog.text


AGENTS = {
    "controls": "Fire\x00fox\x07\x1b[31mred\x1b[0m\x7f 1.0",
    "lines": "Firefox\r\nSet-Cookie: a=b\r\n\r\n<html>",
    "64 KB": "A" * 65536,
    "64 KB of controls": "\x1b" * 65536,
    "right to left": "Firefox\u202egpj.exe\u2066\u2069\u200f",
    "html": "<script>alert(1)</script>",
    "quotes": '"' * 300,
    "backslashes": "\\" * 300,
    "not ascii": "Лиса \u00a0 \u3000 \ud800 \U0001f98a",
    "spaces": "   ",
    "nothing": "",
    "invisible": "\u200b\u2060\ufeff",
    "json": '","subject":"1',
}


@for_each_row("agent", AGENTS.values())
def test_no_user_agent_is_shown_but_a_short_printable_name(mount: Mount, agent: str) -> None:
    tab = Tab(mount)
    assert tab.begin(("user-agent", agent)).status == 201
    context = read(tab.phone("scan"))["context"]
    assert context.keys() <= {"browser"}
    shown = context.get("browser", "")
    assert shown.isascii()
    assert shown.isprintable()
    assert len(shown) <= 40
    assert shown == shown.strip()
    assert not shown or shown != agent.strip()


def test_the_first_of_two_user_agents_is_named(mount: Mount) -> None:
    tab = Tab(mount)
    tab.begin(("user-agent", "curl/1"), ("user-agent", "Wget/2"))
    assert read(tab.phone("scan"))["context"] == {"browser": "curl"}


SPLITTERS = (
    "\r\nSet-Cookie: split=here",
    "\nx: y",
    "\r",
    "\x00",
    "\x85",
    "\u2028",
    "\u0a0d",
    "%0d%0aSet-Cookie:split=here",
    "é\r\n",
)


def answers_with(tab: Tab, text: str) -> Iterator[Response]:
    """The answers when this text is in each place that a client can write."""
    mount = tab.mount
    for name in (
        "cookie",
        "user-agent",
        "origin",
        "host",
        "if-none-match",
        "content-type",
        "authorization",
        "accept-language",
        text,
    ):
        yield mount.browser(post("begin", None, (name, text)))
        yield mount.browser(get("qr-login-element.js", "", (name, text)))
    yield tab.send(get(tab.login_id, text))
    yield tab.send(get(text))
    yield tab.send(get(f"{tab.login_id}/{text}"))
    yield tab.send(Request(text, tab.login_id))
    yield tab.send(post(f"{tab.login_id}/redeem", {"acknowledged": text, "op": text}))
    yield tab.send(post(f"{tab.login_id}/redeem", {"acknowledged": text, "op": "o" * 22}))
    yield tab.send(post("begin", {"deliver": text}))
    yield tab.send(post("begin", {text: text}))
    yield mount.phone(post("scan", {"code": text}, CREDENTIAL))
    yield mount.phone(post("scan", text.encode("utf-8", "replace")[:BODY_CAP], CREDENTIAL))


@row(35)
@for_each_row("text", SPLITTERS)
def test_no_input_of_a_client_splits_a_header(mount: Mount, text: str) -> None:
    tab = reach(mount, "pending")
    for answer in answers_with(tab, text):  # the mount checks each header of each answer
        assert not any("split=here" in value.lower() for _, value in answer.header_list())
