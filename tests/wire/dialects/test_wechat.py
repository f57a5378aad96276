"""WeChat's web login: byte for byte in every state, over both stores, in both colours; and what strangers get."""

import re
from functools import partial
from xml.etree import ElementTree

import pytest

from qrlogin import STANDARD, BadArgument, Misconfigured
from qrlogin.answers import ScannedBy
from qrlogin.core import Core
from qrlogin.render import png
from qrlogin.wire import Request, Response
from qrlogin.wire.dialect import Exchange, HeldStatus
from qrlogin.wire.dialects.wechat import WeChat
from tests.tables import for_each_row
from tests.wire.dialects.polled_clients import COLOURS_AND_STORES, opened, redis_of
from tests.wire.dialects.wechat_clients import (
    OfWeChat,
    forget,
    happen,
    parameters,
    strangers,
    wechat,
)
from tests.wire.mount import BOB, KEY, NOON, ORIGIN, URI, Colour

EVERYWHERE = pytest.mark.parametrize(("colour", "store"), COLOURS_AND_STORES)
AVATAR = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAACAAAAAgAQMAAABJtOi3AAAABlBMVEXd3d2IiIhRgz/7AAAAQklEQVR42mNgwAmYDwAJ/g9AQv4H"
    "jLD/g4NAKAHrAOtFA2DZ+n9A4v9/BgbG//8bGJj//z8AIdj//3+ATvD///8BABxDKSz+XY/cAAAAAElFTkSuQmCC"
)
JS = "application/javascript; charset=utf-8"
OPEN = "cgi-bin/mmwebwx-bin/webwxnewloginpage"
LOGOUT = "cgi-bin/mmwebwx-bin/webwxlogout"
#: Numbers are polls and what they are told; +n lets n seconds pass.
STORIES = {
    "nobody comes": "408 408",
    "somebody scans": "scan 201 408 408",
    "scanned while nobody asked": "408 scan 201 408",
    "released, and scanned again": "scan 201 408 release 408 408 scan 201 408",
    "released before anybody heard": "scan release 408 408",
    "another scans in between": "scan 201 release scan:bob 201 408",
    "approved": "scan 201 confirm 200 200 200",
    "approved before anybody heard": "scan confirm 200 200",
    "approved at the last moment": "scan 201 +299 confirm +30 200",
    "refused": "scan 201 deny 400 400",
    "approved, then refused": "scan confirm 200 deny 400 400",
    "given up": "408 cancel 400 400",
    "collected": "scan confirm 200 collect 400 400",
    "nobody in time": "408 +300 400 400",
    "not approved in time": "scan 201 +300 400 400",
    "not collected in time": "scan confirm 200 +330 400 400",
    "long gone": "scan confirm +3600 400",
    "the store is away": "scan away 500 500",
}


@EVERYWHERE
@for_each_row("story", STORIES)
def test_each_poll_gets_the_documented_code(
    story: str, colour: Colour, store: str, request: pytest.FixtureRequest
) -> None:
    with opened(wechat, colour, redis_of(request, store)) as house:
        client = OfWeChat(house)
        client.begin()
        for step in STORIES[story].split():
            if not step.isdigit():
                happen(client, step)
                continue
            told = client.poll()
            expected = {
                "200": f'window.code=200;\nwindow.redirect_uri="{redirect_uri(client)}";'
                if step == "200"
                else "",
                "201": f"window.code=201;window.userAvatar = '{AVATAR}';",
            }.get(step, f"window.code={step};")
            assert told.body.decode() == expected
            assert (told.status, dict(told.headers)["Content-Type"], told.redeemed) == (
                200,
                JS,
                None,
            )


def redirect_uri(client: OfWeChat) -> str:
    ticket = client.facts()["ticket"]
    return f"https://example.com/{OPEN}?ticket={ticket}@qrticket_0&uuid={client.code}&lang=zh_CN&scan={NOON // 1000}"


@EVERYWHERE
def test_a_login_from_beginning_to_end(
    colour: Colour, store: str, request: pytest.FixtureRequest
) -> None:
    with opened(wechat, colour, redis_of(request, store)) as house:
        client = OfWeChat(house)
        begun = client.begin(("user-agent", "Browser 1.0"))
        assert begun.body.decode() == (
            f'window.QRLogin = window.QRLogin || {{}}; window.QRLogin.code = 200; window.QRLogin.uuid = "{client.code}";'
        )
        assert re.fullmatch(r"[A-Za-z0-9_-]{22}==", client.code)
        assert (begun.status, dict(begun.headers)["Content-Type"]) == (200, JS)
        (device,) = begun.cookies
        assert (device.httponly, device.secure, device.samesite, device.path, device.max_age) == (
            True,
            True,
            "Lax",
            "/",
            360,
        )
        happen(client, "scan")
        assert house.phone("scan", client.code, BOB).status == 409  # the bare id, and not the first
        happen(client, "confirm")

        path, query, _ = client.errand()
        answer = client.send(path, query)
        assert answer.redeemed is not None
        assert (answer.redeemed.subject, answer.redeemed.replayed) == ("1", False)
        assert answer.redeemed.context == {"browser": "Browser 1.0"}
        assert (answer.status, dict(answer.headers)["Location"]) == (301, "https://example.com/")
        xml(answer, ret="0", message="")


def xml(answer: Response, **expected: str) -> dict[str, str]:
    """What chat clients read. They take it apart with regular expressions too, so the order counts."""
    assert dict(answer.headers)["Content-Type"] == "text/plain; charset=utf-8"
    found = {each.tag: each.text or "" for each in ElementTree.fromstring(answer.body.decode())}
    names = ["ret", "message", "skey", "wxsid", "wxuin", "pass_ticket", "isgrayscale"]
    assert list(found) == (names if answer.redeemed else names[:2])
    assert {name: found[name] for name in expected} == expected
    if answer.redeemed:
        skey, sid, uin, pass_ticket = (found[name] for name in names[2:6])
        assert answer.body.decode() == (
            f"<error><ret>0</ret><message></message><skey>{skey}</skey><wxsid>{sid}</wxsid><wxuin>{uin}</wxuin>"
            f"<pass_ticket>{pass_ticket}</pass_ticket><isgrayscale>1</isgrayscale></error>"
        )
        assert re.fullmatch(r"@crypt_[0-9a-f]{8}_[0-9a-f]{32}", skey)
        assert re.fullmatch(r"[0-9]{1,10}", uin)
        assert [(cookie.key, cookie.value) for cookie in answer.cookies] == [
            ("wxuin", uin),
            ("wxsid", sid),
        ]
        assert all(
            cookie.secure and cookie.httponly and cookie.max_age == 86_400
            for cookie in answer.cookies
        )
    else:
        assert answer.cookies == ()
    return found


# What repeats and what is lost


@EVERYWHERE
@for_each_row("echo", [False, True])
def test_an_answer_lost_at_each_step_loses_no_login(
    echo: bool, colour: Colour, store: str, request: pytest.FixtureRequest
) -> None:
    """What is lost takes its cookies along: the client asks again as it was."""
    with opened(wechat, colour, redis_of(request, store)) as house:
        house.store.echo = echo
        client = OfWeChat(house)
        client.begin()
        lost, lost_id = dict(client.jar), client.code
        client.begin()
        assert client.code != lost_id  # nobody has seen the other one

        happen(client, "scan")
        before, first = dict(client.jar), client.poll()
        client.jar = before
        assert client.poll() == first
        happen(client, "release")
        before, first = dict(client.jar), client.poll()
        client.jar = before
        assert client.poll() == first
        happen(client, "scan")
        happen(client, "confirm")
        assert client.poll().body == client.poll().body

        path, query, _ = client.errand()
        once, twice, as_chat = (
            client.send(path, query),
            client.send(path, query),
            client.send(path, f"{query}&fun=new&version=v2"),
        )
        assert (once.body, once.cookies, once.headers) == (twice.body, twice.cookies, twice.headers)
        assert (once.body, as_chat.status) == (as_chat.body, 200)
        assert "Location" not in dict(as_chat.headers)
        assert [redeemed.replayed for redeemed in house.redeemed] == [False, True, True]
        house.clock.advance(31)
        late = client.send(path, query)
        assert (late.status, late.redeemed) == (200, None)
        xml(late, ret="400", message="This login has already been used.")
        assert lost != client.jar


def test_a_poll_is_held_until_there_is_news_for_this_client() -> None:
    with opened(wechat) as house:
        client, dialect = OfWeChat(house), WeChat(house.core)

        def held() -> HeldStatus:
            path, query, _ = client.asked()
            cookies = "; ".join(f"{name}={value}" for name, value in client.jar.items())
            exchange = dialect.browser(Request("GET", path, query, (("cookie", cookies),)))
            assert isinstance(exchange, Exchange)
            assert isinstance(exchange.operation, HeldStatus)
            assert exchange.operation.timeout == 25
            return exchange.operation

        client.begin()
        assert held().after is None
        for step, version in (("scan", 2), ("release", 3), ("scan", 4)):
            happen(client, step)
            told = client.poll()
            (cookie,) = told.cookies
            assert (cookie.value, cookie.httponly, cookie.max_age) == (str(version), True, 360)
            assert held().after == version
            assert client.poll().cookies == ()
        happen(client, "confirm")
        assert client.poll().cookies == ()
        assert held().after == 4  # so that it is told again

        client.jar = {
            name: "x" if name.endswith("-told") else value for name, value in client.jar.items()
        }
        assert held().after is None


def test_without_a_free_wait_slot_a_poll_gets_503_with_retry_after() -> None:
    with opened(wechat) as house:
        client = OfWeChat(house)
        client.begin()
        path, query, _ = client.asked()
        cookies = "; ".join(f"{name}={value}" for name, value in client.jar.items())
        exchange = WeChat(house.core).browser(Request("GET", path, query, (("cookie", cookies),)))
        assert isinstance(exchange, Exchange)
        assert isinstance(exchange.operation, HeldStatus)
        crowded = exchange.operation.crowded(
            house.run(house.core.status(house.core.read_device_code(client.device_code)))
        )
        assert (crowded.status, dict(crowded.headers)["Retry-After"]) == (503, "2")


def test_without_loginicon_there_is_no_picture_of_the_person() -> None:
    with opened(wechat) as house:
        client = OfWeChat(house)
        client.more = ""
        client.begin()
        happen(client, "scan")
        assert client.poll().body == b"window.code=201;"


@pytest.mark.parametrize(
    "bad",
    [
        "https://example.com/a.png",
        "data:image/png;base64,AA'",
        "data:image/png;base64,AA\n",
        "data:image/svg+xml,<svg/>",
        "data:text/html;base64,</script>",
        "",
    ],
)
def test_the_application_draws_the_avatar_and_cannot_break_out_of_the_script(bad: str) -> None:
    shown: list[ScannedBy] = []

    def draw(person: ScannedBy) -> str:
        shown.append(person)
        return "data:image/jpg;base64,AAAA" if len(shown) == 1 else bad

    with opened(partial(wechat, avatar=draw)) as house:
        client = OfWeChat(house)
        client.begin()
        happen(client, "scan")
        before = dict(client.jar)
        assert (
            client.poll().body
            == b"window.code=201;window.userAvatar = 'data:image/jpg;base64,AAAA';"
        )
        assert shown[0].shown_as == "A•••e"
        client.jar = before
        with pytest.raises(BadArgument, match="data: URI"):
            client.poll()


# Strangers


@EVERYWHERE
def test_strangers_hear_what_is_said_of_a_login_that_never_was(
    colour: Colour, store: str, request: pytest.FixtureRequest
) -> None:
    with opened(wechat, colour, redis_of(request, store)) as house:
        client, other = OfWeChat(house), OfWeChat(house)
        client.begin()
        other.begin()
        happen(client, "scan")
        happen(client, "confirm")
        path, query, _ = client.errand()
        asked = len(house.store.calls)
        nobody, thief, forger, foreign = strangers(client, other)
        flipped = client.code[:5] + ("A" if client.code[5] != "A" else "B") + client.code[6:]

        told = [
            other.poll(client.code),
            nobody.poll(client.code),
            thief.poll(client.code),
            forger.poll(client.code),
        ]
        told += [
            client.poll(code)
            for code in (foreign, flipped, "A" * 22 + "==", "x", "x" * 3000, "%00", "0" * 32)
        ]
        assert {answer.body for answer in told} == {b"window.code=400;"}
        assert len({(answer.headers, answer.cookies) for answer in told}) == 1

        landed = [one.send(path, query) for one in (other, nobody, thief, forger)]
        landed += [
            client.send(path, query.replace(client.code, code))
            for code in (flipped, "x", other.code)
        ]
        assert len({(answer.body, answer.headers, answer.status) for answer in landed}) == 1
        xml(landed[0], ret="400", message="There is no such login. Show a new code.")
        assert len(house.store.calls) == asked, "the store was asked about a code that cannot be"

        assert {client.send(path, query.replace("@", f"{digit}@")).body for digit in "0x"} == {
            landed[0].body
        }
        swapped = query.replace(parameters(query)["ticket"], "0" * 32 + "@qrticket_0")
        assert client.send(path, swapped).body == landed[0].body
        assert house.redeemed == []
        assert client.collect().redeemed  # none of it did any harm


@pytest.mark.parametrize("history", ["", "scan", "scan confirm"])
def test_a_login_that_is_lost_is_unknown(history: str) -> None:
    with opened(wechat) as house:
        client = OfWeChat(house)
        client.begin()
        for step in history.split():
            happen(client, step)
        forget(house)
        assert client.poll().body == b"window.code=400;"


def test_a_client_cannot_choose_where_it_is_sent() -> None:
    """An open redirect would be one click from a phishing page; so would a page that logs in and goes there."""
    with opened(wechat) as house:
        client = OfWeChat(house)
        client.send("jslogin", "redirect_uri=https%3A%2F%2Fevil.example%2F&appid=wx")
        client.begin()
        happen(client, "scan")
        happen(client, "confirm")
        path, query, _ = client.errand()
        assert "evil" not in client.poll().body.decode()
        answer = client.send(
            path, f"{query}&redirect_uri=https%3A%2F%2Fevil.example%2F&defaulturl=//evil.example"
        )
        assert dict(answer.headers)["Location"] == "https://example.com/"


# The rest


def test_post_begins_like_get() -> None:
    with opened(wechat) as house:
        client = OfWeChat(house)
        answer = client.send("jslogin", "appid=wx782c26e4c19acffb&fun=new", "")
        assert re.search(
            rb'window.QRLogin.code = 200; window.QRLogin.uuid = "[\w-]{22}==";', answer.body
        )
        assert answer.cookies


def test_no_store_no_login() -> None:
    with opened(wechat) as house:
        client = OfWeChat(house)
        client.begin()
        happen(client, "scan")
        happen(client, "confirm")
        errand = client.errand()
        house.store.down = True
        out = "The login service is temporarily unavailable. Try again."
        assert client.begin().body.decode() == (
            f'window.QRLogin = window.QRLogin || {{}}; window.QRLogin.code = 500; window.QRLogin.error = "{out}";'
        )
        xml(client.send(*errand), ret="500", message=out)


def test_logging_out_needs_a_page_of_ours() -> None:
    with opened(wechat) as house:
        client = OfWeChat(house)
        query = "redirect=1&type=1&skey=%40crypt_1"
        for headers in ([], [("origin", ORIGIN), ("sec-fetch-site", "same-origin")]):
            answer = client.send(LOGOUT, query, "sid=1&uin=2", *headers)
            assert (answer.status, answer.log_out, dict(answer.headers)["Location"]) == (
                301,
                True,
                "https://example.com/",
            )
            assert [(cookie.key, cookie.max_age) for cookie in answer.cookies] == [
                ("wxuin", 0),
                ("wxsid", 0),
            ]
        for header in (
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("origin", "https://example.com:8443"),
        ):
            assert not client.send(LOGOUT, query, "", header).log_out
        assert not client.send(LOGOUT, query, "", ("sec-fetch-site", "same-site")).log_out
        by_link = client.send(LOGOUT, query)
        assert (by_link.status, dict(by_link.headers)["Allow"], by_link.log_out) == (
            405,
            "POST",
            False,
        )


def test_a_malformed_request_is_refused_as_malformed() -> None:
    with opened(wechat) as house:
        client = OfWeChat(house)
        client.begin()
        asked = len(house.store.calls)
        for path, query in (
            (client.polls, ""),
            (client.polls, f"uuid={client.code}&uuid={client.code}"),
            (client.polls, "uuid=%ff"),
            (OPEN, f"uuid={client.code}"),
            (OPEN, "ticket=1"),
        ):
            assert client.send(path, query).status == 400, query
        assert len(house.store.calls) == asked


@pytest.mark.parametrize("hold", [0, -1, 31])
def test_a_hold_that_its_clients_do_not_survive_is_refused(hold: float) -> None:
    core = Core(secret_keys=[KEY], verification_uri=URI, audience=None, policy=STANDARD)
    with pytest.raises(Misconfigured, match="hold"):
        WeChat(core, hold=hold)


def test_mounted_below_a_path_and_landing_elsewhere() -> None:
    with opened(partial(wechat, at="https://example.com/wx/", landing_path="/account")) as house:
        client = OfWeChat(house)
        client.begin()
        assert house.phone("scan", f"https://example.com/wx/l/{client.code}").status == 200
        assert house.phone("confirm", client.code).status == 200
        assert (
            b'window.redirect_uri="https://example.com/wx/cgi-bin/mmwebwx-bin/webwxnewloginpage?ticket='
            in client.poll().body
        )
        assert client.send(f"qrcode/{client.code}").body == png(
            f"https://example.com/wx/l/{client.code}"
        )
        _, query, _ = client.errand()
        assert dict(client.send(OPEN, query).headers)["Location"] == "https://example.com/account"
