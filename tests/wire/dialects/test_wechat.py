"""WeChat's web login sends the documented bytes in every state, and a stranger learns nothing."""

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
from tests.wire.dialects.polled_clients import (
    COLOURS_AND_STORES,
    check_device_cookie,
    opened,
    redis_of,
)
from tests.wire.dialects.wechat_clients import (
    WeChatClient,
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
#: A number is a poll with this code; +n lets n seconds pass.
STORIES = {
    "not scanned": "408 408",
    "scanned": "scan 201 408 408",
    "scanned between two polls": "408 scan 201 408",
    "released, and scanned again": "scan 201 408 release 408 408 scan 201 408",
    "scanned and released between two polls": "scan release 408 408",
    "another scans in between": "scan 201 release scan:bob 201 408",
    "approved": "scan 201 confirm 200 200 200",
    "scanned and approved between two polls": "scan confirm 200 200",
    "approved at the last moment": "408 +299 scan 201 +89 confirm +29 200",
    "refused": "scan 201 deny 400 400",
    "approved, then refused": "scan confirm 200 deny 400 400",
    "given up": "408 cancel 400 400",
    "collected": "scan confirm 200 collect 400 400",
    "not scanned in time": "408 +300 400 400",
    "not approved in time": "scan 201 +90 400 400",
    "not collected in time": "scan confirm 200 +30 400 400",
    "long gone": "scan confirm +3600 400",
    "the store is unavailable": "scan away 500 500",
}


@EVERYWHERE
@for_each_row("story", STORIES)
def test_each_poll_gets_the_documented_code(
    story: str, colour: Colour, store: str, request: pytest.FixtureRequest
) -> None:
    with opened(wechat, colour, redis_of(request, store)) as service:
        client = WeChatClient(service)
        client.begin()
        for step in STORIES[story].split():
            if not step.isdigit():
                happen(client, step)
                continue
            answer = client.poll()
            expected = {
                "200": f'window.code=200;\nwindow.redirect_uri="{redirect_uri(client)}";'
                if step == "200"
                else "",
                "201": f"window.code=201;window.userAvatar = '{AVATAR}';",
            }.get(step, f"window.code={step};")
            assert answer.body.decode() == expected
            assert (answer.status, dict(answer.headers)["Content-Type"], answer.redeemed) == (
                200,
                JS,
                None,
            )


def redirect_uri(client: WeChatClient) -> str:
    ticket = client.facts()["ticket"]
    query = f"ticket={ticket}@qrticket_0&uuid={client.code}&lang=zh_CN&scan={NOON // 1000}"
    return f"https://example.com/{OPEN}?{query}"


@EVERYWHERE
def test_a_login_from_beginning_to_end(
    colour: Colour, store: str, request: pytest.FixtureRequest
) -> None:
    with opened(wechat, colour, redis_of(request, store)) as service:
        client = WeChatClient(service)
        begun = client.begin(("user-agent", "Firefox/140.0"))
        assert begun.body.decode() == (
            "window.QRLogin = window.QRLogin || {}; window.QRLogin.code = 200; "
            f'window.QRLogin.uuid = "{client.code}";'
        )
        assert re.fullmatch(r"[A-Za-z0-9_-]{22}==", client.code)
        assert (begun.status, dict(begun.headers)["Content-Type"]) == (200, JS)
        (device,) = begun.cookies
        check_device_cookie(device, 300 + 90 + 30 + 30)
        happen(client, "scan")
        assert (
            service.phone("scan", client.code, BOB).status == 409
        )  # the bare id, from a second account
        happen(client, "confirm")

        path, query, _ = client.collect_request()
        answer = client.send(path, query)
        assert answer.redeemed is not None
        assert (answer.redeemed.subject, answer.redeemed.replayed) == ("1", False)
        assert answer.redeemed.context == {"browser": "Firefox"}
        assert (answer.status, dict(answer.headers)["Location"]) == (301, "https://example.com/")
        xml(answer, ret="0", message="")


def xml(answer: Response, **expected: str) -> dict[str, str]:
    """The fields that chat clients read. Some use regular expressions, so the order counts."""
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
        own = [cookie for cookie in answer.cookies if cookie.key.startswith("wx")]
        assert [(cookie.key, cookie.value) for cookie in own] == [("wxuin", uin), ("wxsid", sid)]
        assert all(cookie.secure and cookie.httponly and cookie.max_age == 86_400 for cookie in own)
    else:
        assert answer.cookies == ()
    return found


# Repeated requests and lost answers


@EVERYWHERE
@for_each_row("echo", [False, True])
def test_an_answer_lost_at_each_step_loses_no_login(
    echo: bool, colour: Colour, store: str, request: pytest.FixtureRequest
) -> None:
    """The cookies of a lost answer are lost too, so the client repeats the request without them."""
    with opened(wechat, colour, redis_of(request, store)) as service:
        service.store.echo = echo
        client = WeChatClient(service)
        client.begin()
        lost, lost_id = dict(client.jar), client.code
        client.begin()
        assert client.code != lost_id  # the answer that began the other login was lost

        happen(client, "scan")
        before, first = dict(client.jar), client.poll()
        client.jar = before
        assert client.poll() == first
        happen(client, "release")
        before, first = dict(client.jar), client.poll()
        client.jar = before
        assert client.poll() == first
        happen(client, "scan", "confirm")
        assert client.poll().body == client.poll().body

        path, query, _ = client.collect_request()
        once, twice, as_chat = (
            client.send(path, query),
            client.send(path, query),
            client.send(path, f"{query}&fun=new&version=v2"),
        )
        assert (once.body, once.cookies, once.headers) == (twice.body, twice.cookies, twice.headers)
        assert (once.body, as_chat.status) == (as_chat.body, 200)
        assert "Location" not in dict(as_chat.headers)
        assert [redeemed.replayed for redeemed in service.redeemed] == [False, True, True]
        service.clock.advance(31)
        late = client.send(path, query)
        assert (late.status, late.redeemed) == (200, None)
        xml(late, ret="400", message="This login has already been used.")
        assert lost != client.jar


def test_a_poll_is_held_until_there_is_news_for_this_client() -> None:
    with opened(wechat) as service:
        client, dialect = WeChatClient(service), WeChat(service.core)

        def held() -> HeldStatus:
            path, query, _ = client.poll_request()
            exchange = dialect.browser(Request("GET", path, query, (("cookie", client.cookies),)))
            assert isinstance(exchange, Exchange)
            assert isinstance(exchange.operation, HeldStatus)
            assert exchange.operation.timeout == 25
            return exchange.operation

        client.begin()
        assert held().after is None
        # The state's own time, then 90 s to decide, 30 s to collect and 30 s to ask again.
        for step, version, max_age in (("scan", 2, 240), ("release", 3, 450), ("scan", 4, 240)):
            happen(client, step)
            answer = client.poll()
            (cookie,) = answer.cookies
            assert (cookie.value, cookie.httponly, cookie.max_age) == (str(version), True, max_age)
            assert held().after == version
            assert client.poll().cookies == ()
        happen(client, "confirm")
        assert client.poll().cookies == ()
        assert held().after == 4  # so the next poll returns the code again

        client.jar = {
            name: "x" if name.endswith("-told") else value for name, value in client.jar.items()
        }
        assert held().after is None


def test_without_a_free_wait_slot_a_poll_gets_503_with_retry_after() -> None:
    with opened(wechat) as service:
        client = WeChatClient(service)
        client.begin()
        path, query, _ = client.poll_request()
        exchange = WeChat(service.core).browser(
            Request("GET", path, query, (("cookie", client.cookies),))
        )
        assert isinstance(exchange, Exchange)
        assert isinstance(exchange.operation, HeldStatus)
        crowded = exchange.operation.crowded(
            service.run(service.core.status(service.core.read_device_code(client.device_code)))
        )
        assert (crowded.status, dict(crowded.headers)["Retry-After"]) == (503, "2")


def test_without_loginicon_a_poll_contains_no_avatar() -> None:
    with opened(wechat) as service:
        client = WeChatClient(service)
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
def test_an_avatar_of_the_application_must_be_a_data_uri(bad: str) -> None:
    shown: list[ScannedBy] = []

    def draw(person: ScannedBy) -> str:
        shown.append(person)
        return "data:image/jpg;base64,AAAA" if len(shown) == 1 else bad

    with opened(partial(wechat, avatar=draw)) as service:
        client = WeChatClient(service)
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
def test_a_stranger_gets_the_answer_for_a_login_that_does_not_exist(
    colour: Colour, store: str, request: pytest.FixtureRequest
) -> None:
    with opened(wechat, colour, redis_of(request, store)) as service:
        client, other = WeChatClient(service), WeChatClient(service)
        client.begin()
        other.begin()
        happen(client, "scan", "confirm")
        path, query, _ = client.collect_request()
        asked = len(service.store.calls)
        without_cookie, thief, forger, foreign = strangers(client, other)
        flipped = client.code[:5] + ("A" if client.code[5] != "A" else "B") + client.code[6:]

        answers = [
            other.poll(client.code),
            without_cookie.poll(client.code),
            thief.poll(client.code),
            forger.poll(client.code),
        ]
        answers += [
            client.poll(code)
            for code in (foreign, flipped, "A" * 22 + "==", "x", "x" * 3000, "%00", "0" * 32)
        ]
        assert {answer.body for answer in answers} == {b"window.code=400;"}
        assert len({(answer.headers, answer.cookies) for answer in answers}) == 1

        landed = [each.send(path, query) for each in (other, without_cookie, thief, forger)]
        landed += [
            client.send(path, query.replace(client.code, code))
            for code in (flipped, "x", other.code)
        ]
        assert len({(answer.body, answer.headers, answer.status) for answer in landed}) == 1
        xml(landed[0], ret="400", message="There is no such login. Show a new code.")
        assert len(service.store.calls) == asked, "a forged code reached the store"

        assert {client.send(path, query.replace("@", f"{digit}@")).body for digit in "0x"} == {
            landed[0].body
        }
        swapped = query.replace(parameters(query)["ticket"], "0" * 32 + "@qrticket_0")
        assert client.send(path, swapped).body == landed[0].body
        assert service.redeemed == []
        assert client.collect().redeemed  # the login is unharmed


@pytest.mark.parametrize("history", ["", "scan", "scan confirm"])
def test_a_login_that_the_store_lost_is_refused(history: str) -> None:
    with opened(wechat) as service:
        client = WeChatClient(service)
        client.begin()
        happen(client, *history.split())
        forget(service)
        assert client.poll().body == b"window.code=400;"


def test_a_client_cannot_choose_the_page_that_the_login_leads_to() -> None:
    """An open redirect would help phishing."""
    with opened(wechat) as service:
        client = WeChatClient(service)
        client.send("jslogin", "redirect_uri=https%3A%2F%2Fevil.example%2F&appid=wx")
        client.begin()
        happen(client, "scan", "confirm")
        path, query, _ = client.collect_request()
        assert "evil" not in client.poll().body.decode()
        answer = client.send(
            path, f"{query}&redirect_uri=https%3A%2F%2Fevil.example%2F&defaulturl=//evil.example"
        )
        assert dict(answer.headers)["Location"] == "https://example.com/"


# Other routes


def test_post_begins_like_get() -> None:
    with opened(wechat) as service:
        client = WeChatClient(service)
        answer = client.send("jslogin", "appid=wx782c26e4c19acffb&fun=new", "")
        assert re.search(
            rb'window.QRLogin.code = 200; window.QRLogin.uuid = "[\w-]{22}==";', answer.body
        )
        assert answer.cookies


def test_an_unavailable_store_answers_code_500() -> None:
    with opened(wechat) as service:
        client = WeChatClient(service)
        client.begin()
        happen(client, "scan", "confirm")
        collecting = client.collect_request()
        service.store.down = True
        out = "The login service is temporarily unavailable. Try again."
        assert client.begin().body.decode() == (
            "window.QRLogin = window.QRLogin || {}; window.QRLogin.code = 500; "
            f'window.QRLogin.error = "{out}";'
        )
        xml(client.send(*collecting), ret="500", message=out)


def test_only_a_page_of_this_origin_can_log_out() -> None:
    with opened(wechat) as service:
        client = WeChatClient(service)
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


def test_a_malformed_query_is_refused() -> None:
    with opened(wechat) as service:
        client = WeChatClient(service)
        client.begin()
        asked = len(service.store.calls)
        for path, query in (
            (client.poll_path, ""),
            (client.poll_path, f"uuid={client.code}&uuid={client.code}"),
            (client.poll_path, "uuid=%ff"),
            (OPEN, f"uuid={client.code}"),
            (OPEN, "ticket=1"),
        ):
            assert client.send(path, query).status == 400, query
        assert len(service.store.calls) == asked


@pytest.mark.parametrize("hold", [0, -1, 31])
def test_a_hold_longer_than_the_clients_wait_is_refused(hold: float) -> None:
    core = Core(secret_keys=[KEY], verification_uri=URI, audience=None, policy=STANDARD)
    with pytest.raises(Misconfigured, match="hold"):
        WeChat(core, hold=hold)


def test_the_mount_and_the_after_login_path_are_in_every_address() -> None:
    with opened(
        partial(wechat, at="https://example.com/wx/", after_login_path="/account")
    ) as service:
        client = WeChatClient(service)
        client.begin()
        assert service.phone("scan", f"https://example.com/wx/l/{client.code}").status == 200
        assert service.phone("confirm", client.code).status == 200
        assert (
            b'window.redirect_uri="https://example.com/wx/cgi-bin/mmwebwx-bin/webwxnewloginpage?ticket='
            in client.poll().body
        )
        assert client.send(f"qrcode/{client.code}").body == png(
            f"https://example.com/wx/l/{client.code}"
        )
        _, query, _ = client.collect_request()
        assert dict(client.send(OPEN, query).headers)["Location"] == "https://example.com/account"
