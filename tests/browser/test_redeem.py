"""From "Continue as …?" to a page that is logged in.

The login is redeemed once, for the account that the page showed, and the page opens the right
address, even if answers are lost. That a repeated redeem succeeds in the store is tested in
tests/test_core_repeats.py.
"""

import asyncio
import re

import pytest

from tests.browser.login_page import LoginPage
from tests.browser.login_stub import Fault, Reply, Stub, html, problem
from tests.security_rows import row
from tests.tables import in_matrix

# Keeps the buttons inert, however late the page's timers are.
KEEP_CALM = """() => { let at = performance.now(); performance.now = () => (at += 0.001);
const hold = () => dispatchEvent(new Event("focus"));
hold(); window.calm = setInterval(hold, 20) }"""
GO_ON = "() => { clearInterval(window.calm); delete performance.now }"


async def asked(
    login_page: LoginPage, stub: Stub, shown_as: str = "M•••a", tag: str = "tag-of-mina"
) -> None:
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    stub.move("confirmed", shown_as, tag)
    await login_page.until("confirmed")


def ops(stub: Stub) -> list[str]:
    return [call.body["op"] for call in stub.calls if call.kind == "redeem"]


@row(9)
async def test_a_click_redeems_once_with_the_tag_that_was_shown(
    login_page: LoginPage, stub: Stub
) -> None:
    await asked(login_page, stub)
    assert stub.count("redeem") == 0, "nothing is redeemed before a person clicks"
    await login_page.press("Continue")
    await login_page.logged_in()
    (call,) = [call for call in stub.calls if call.kind == "redeem"]
    assert set(call.body) == {"acknowledged", "op"}
    assert call.body["acknowledged"] == "tag-of-mina"
    assert re.fullmatch("[0-9a-f]{32}", call.body["op"])
    assert len(stub.sessions) == 1
    posts = [call.headers for call in stub.calls if call.kind != "status"]
    assert {headers["content-type"] for headers in posts} == {"application/json"}
    assert {headers["origin"] for headers in posts} == {stub.url.rstrip("/")}, (
        "also from a page that sends no referrer"
    )


@row(53)
@pytest.mark.parametrize(
    "lost",
    [
        *(Fault.LOST, problem(503, "unavailable")),
        *in_matrix([Fault.DROPPED, html(502), Reply(200, b"", ())]),
    ],
)
async def test_a_redeem_whose_answer_is_lost_is_repeated_with_the_same_op(
    login_page: LoginPage, stub: Stub, lost: Reply | Fault
) -> None:
    await login_page.page.clock.install()
    stub.faults["redeem"].extend([lost, lost])
    await asked(login_page, stub)
    await login_page.press("Continue")
    await login_page.eventually(lambda: stub.count("redeem") == 3, hurry=True)
    await login_page.logged_in()
    assert len(ops(stub)) == 3
    assert len(set(ops(stub))) == 1
    assert len(stub.sessions) == 1


async def test_many_lost_answers_end_with_a_button_that_keeps_the_op(
    login_page: LoginPage, stub: Stub
) -> None:
    await login_page.page.clock.install()
    stub.always["redeem"] = Fault.LOST
    await asked(login_page, stub)
    await login_page.press("Continue")
    await login_page.ends("unavailable", "Try again", hurry=True)
    stub.always.clear()
    await login_page.press("Try again")
    await login_page.logged_in()
    assert len(ops(stub)) == 6
    assert len(set(ops(stub))) == 1
    assert len(stub.sessions) == 1


async def test_every_click_has_its_own_op(login_page: LoginPage, stub: Stub) -> None:
    await asked(login_page, stub)
    stub.login.tag = "tag-of-eve"  # another account scans during the click
    await login_page.press("Continue")
    await login_page.eventually(lambda: stub.count("redeem") == 1)
    await login_page.until("confirmed")
    await login_page.press("Continue")
    await login_page.logged_in()
    first, second = ops(stub)
    assert first != second


async def test_a_double_click_redeems_once(login_page: LoginPage, stub: Stub) -> None:
    await asked(login_page, stub)
    await login_page.element.get_by_role("button", name="Continue").dblclick()
    await login_page.logged_in()
    assert stub.count("redeem") == 1


@pytest.mark.parametrize("event", ["focus", "visibilitychange"])
async def test_no_press_counts_just_after_the_window_comes_back(
    login_page: LoginPage, stub: Stub, event: str
) -> None:
    """Double-click jacking: the first click closes a window above, the second lands here."""
    await asked(login_page, stub)
    await login_page.ready()
    if event == "visibilitychange":
        await login_page.turn("hidden")
    assert await login_page.returns(event) == 2
    await login_page.page.evaluate(KEEP_CALM)
    await login_page.element.get_by_role("button", name="Continue").click(force=True)
    assert (await login_page.state(), stub.count("redeem")) == ("confirmed", 0)
    await login_page.page.evaluate(GO_ON)
    await login_page.press("Continue")
    await login_page.logged_in()


@row(447, 509)
async def test_a_press_that_began_before_the_question_does_not_count(
    login_page: LoginPage, stub: Stub
) -> None:
    """It may end at any time. A press by a script never counts."""
    await asked(login_page, stub)
    await login_page.page.evaluate(KEEP_CALM)
    button = login_page.element.get_by_role("button", name="Continue")
    box = await button.bounding_box()
    assert box
    await login_page.page.mouse.move(box["x"] + 9, box["y"] + 9)
    await login_page.page.mouse.down()
    await login_page.page.evaluate(GO_ON)
    await login_page.ready()
    await login_page.page.mouse.up()
    await button.evaluate("it => it.click()")
    assert (await login_page.state(), stub.count("redeem")) == ("confirmed", 0)
    await login_page.press("Continue")
    await login_page.logged_in()


@row(9)
async def test_another_scanner_is_asked_about_in_a_new_question(
    login_page: LoginPage, stub: Stub
) -> None:
    await asked(login_page, stub)
    stub.login.shown_as, stub.login.tag = "E•e", "tag-of-eve"
    await login_page.press("Continue")
    await login_page.eventually(login_page.text, lambda text: "Continue as E•e?" in text)
    assert stub.sessions == []
    assert await login_page.buttons() == ["That is not me", "Continue"]
    await login_page.turn("hidden")
    await login_page.turn("visible")
    await asyncio.sleep(0.2)
    assert stub.count("redeem") == 1, "the old click does not answer the new question"
    await login_page.press("Continue")
    await login_page.logged_in()
    assert [call.body["acknowledged"] for call in stub.calls if call.kind == "redeem"] == [
        "tag-of-mina",
        "tag-of-eve",
    ]


async def test_a_withdrawn_approval_ends_the_question(login_page: LoginPage, stub: Stub) -> None:
    """The server does not hold polls of a confirmed login, so the page polls every few seconds."""
    await asked(login_page, stub)
    stub.move("denied")
    await login_page.ends("denied", "Show a new code")


REFUSALS = {
    "denied": ("denied", "Show a new code"),
    "cancelled": ("cancelled", "Show a new code"),
    "expired": ("expired", "Show a new code"),
    "unknown_login": ("forgotten", "Show a new code"),
    "already_redeemed": ("used", "Reload page"),
    "forbidden": ("refused", "Try again"),
}


@pytest.mark.parametrize(
    ("error", "state", "button"), [(key, *value) for key, value in REFUSALS.items()]
)
async def test_a_rejected_redeem_shows_its_reason(
    login_page: LoginPage, stub: Stub, error: str, state: str, button: str
) -> None:
    stub.always["redeem"] = problem(
        {"expired": 410, "unknown_login": 404, "forbidden": 403}.get(error, 409), error
    )
    login_page.forgives("/redeem: 403 forbidden")
    await login_page.page.clock.install()
    await asked(login_page, stub)
    await login_page.press("Continue")
    await login_page.ends(state, button)
    assert stub.count("redeem") == 1
    stub.always.clear()
    stub.attributes += ' data-second="true"'
    await login_page.press(button)
    await (login_page.logged_in() if error == "forbidden" else login_page.until("pending"))


async def test_a_login_that_is_released_during_the_click_waits_again(
    login_page: LoginPage, stub: Stub
) -> None:
    await asked(login_page, stub)
    stub.always["redeem"] = problem(409, "wrong_state")
    stub.login.state = "pending"
    await login_page.press("Continue")
    await login_page.until("pending")
    assert stub.count("redeem") == 1


async def test_a_hidden_page_finishes_its_redeem(login_page: LoginPage, stub: Stub) -> None:
    """The user has clicked, so the page waits for the answer even while it is hidden."""
    stub.faults["redeem"].append(problem(503, "unavailable"))
    await login_page.page.clock.install()
    await asked(login_page, stub)
    await login_page.press("Continue")
    await login_page.turn("hidden")
    await login_page.eventually(lambda: stub.count("redeem") == 2, hurry=True)
    await login_page.logged_in()


# After the login

REFUSED_PATHS = [
    "",
    "account",
    "?a=b",
    "//elsewhere.example",
    "//elsewhere.example/account",
    "///elsewhere.example",
    "/\\elsewhere.example",
    "\\\\elsewhere.example",
    "/\t/elsewhere.example",
    "/\n/elsewhere.example",
    "/..//elsewhere.example",
    "/.//elsewhere.example",
    "/a/..//elsewhere.example",
    "/%2e%2e//elsewhere.example",
    "/a/%2E./%2e%2e//elsewhere.example",
    " /account",
    "/account\x00",
    "/acc ount",
    "/\u00a0account",
    "/\u2028account",
    "/\x85account",
    "http://elsewhere.example/",
    "https:/account",
    "http:account",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\nscript:alert(1)",
    "data:text/html,x",
    "blob:http://127.0.0.1/x",
    "vbscript:x",
    "file:///etc/passwd",
    "@elsewhere.example",
    ".elsewhere.example",
]


@pytest.mark.parametrize(
    "path",
    ["/account?a=b&c=d#e", "/./account", *in_matrix(["/account", "/account#/../..//x"])],
)
async def test_the_page_opens_next_after_the_login(
    login_page: LoginPage, stub: Stub, path: str
) -> None:
    await login_page.page.clock.install()
    await asked(login_page, stub)
    await login_page.element.evaluate("(it, path) => it.setAttribute('next', path)", path)
    await login_page.press("Continue")
    await login_page.page.wait_for_url(lambda url: url != stub.url)
    assert login_page.page.url.startswith(stub.url)
    assert not login_page.page.url.startswith(stub.url + "/")


#: One for each reason to refuse a path.
THROUGH_A_LOGIN = [
    "//elsewhere.example/account",
    "/\\elsewhere.example",
    "/\t/elsewhere.example",
    "/a/..//elsewhere.example",
    "javascript:alert(1)",
]
REFUSED_BY_THE_ELEMENT = """async paths => { const {ownPath} = await import(
  "/qrlogin/qr-login-parts.js"); return paths.filter(path => ownPath(path) === "") }"""


@row(34, 422)
@pytest.mark.parametrize(
    "paths",
    [
        THROUGH_A_LOGIN,
        pytest.param(REFUSED_PATHS, marks=[pytest.mark.matrix, pytest.mark.long]),
    ],
    ids=["some", "all"],
)
async def test_a_next_address_of_another_site_is_not_followed(
    login_page: LoginPage, stub: Stub, paths: list[str]
) -> None:
    """Each goes through a whole login, and the browser reports every request of the page. The
    function that the login asks refuses all of them.
    """
    asked_for: list[str] = []
    login_page.page.on("request", lambda request: asked_for.append(request.url))
    await login_page.page.clock.install()
    for path in paths:
        await asked(login_page, stub)
        await login_page.element.evaluate("(it, path) => it.setAttribute('next', path)", path)
        await login_page.press("Continue")
        await login_page.logged_in()
        assert login_page.page.url == stub.url, path
        await login_page.context.clear_cookies()
    assert await login_page.page.evaluate(REFUSED_BY_THE_ELEMENT, REFUSED_PATHS) == REFUSED_PATHS
    assert [url for url in asked_for if not url.startswith(stub.url)] == []


async def test_a_next_address_of_the_same_page_loads_it_again(
    login_page: LoginPage, stub: Stub
) -> None:
    stub.attributes += ' next="/#inside"'
    await asked(login_page, stub)
    await login_page.press("Continue")
    await login_page.logged_in()


async def test_going_back_after_the_login_skips_the_login_page(
    login_page: LoginPage, stub: Stub
) -> None:
    await login_page.page.goto("about:blank")
    stub.attributes += ' next="/account"'
    await asked(login_page, stub)
    await login_page.press("Continue")
    await login_page.logged_in()
    await login_page.page.go_back()
    assert login_page.page.url == "about:blank"


async def test_the_events_report_the_states_and_the_login(
    login_page: LoginPage, stub: Stub
) -> None:
    await login_page.page.goto(stub.url)
    await login_page.page.evaluate(
        """() => { window.events = [];
        for (const type of ["qr-login:state", "qr-login:redeemed"])
          document.addEventListener(type, event => {
            events.push([type, event.detail, event.composed]);
            if (event.cancelable) event.preventDefault() }) }"""
    )
    await login_page.until("pending")
    await login_page.page.evaluate("() => document.querySelector('qr-login').begin()")
    await login_page.until("pending")
    stub.move("scanned")
    await login_page.until("scanned")
    stub.move("confirmed")
    await login_page.until("confirmed")
    stub.extra = {"token": "t"}  # what the application's log_in returned
    await login_page.press("Continue")
    await login_page.until("redeemed")
    events = await login_page.page.evaluate("() => events")
    states = [detail["state"] for type_, detail, _ in events if type_ == "qr-login:state"]
    assert states[-6:] == ["starting", "pending", "scanned", "confirmed", "redeeming", "redeemed"]
    body = {"login_id": stub.login.login_id, "state": "redeemed", "version": stub.login.version}
    assert events[-1] == [
        "qr-login:redeemed", {"login_id": stub.login.login_id, "body": {**body, "token": "t"}}, True
    ]  # fmt: skip
    assert all(set(detail) == {"state"} for type_, detail, _ in events if type_ == "qr-login:state")
    assert await login_page.state() == "redeemed"
    assert login_page.page.url == stub.url, "preventDefault keeps the page"
    await login_page.page.evaluate(
        "() => document.dispatchEvent(new Event('visibilitychange', {bubbles: true}))"
    )
    await login_page.page.wait_for_timeout(200)
    assert stub.count("redeem") == 1


async def test_only_posts_have_the_csrf_header(login_page: LoginPage, stub: Stub) -> None:
    stub.attributes += ' csrf-header="X-CSRFToken" csrf-token="of-the-application"'
    await asked(login_page, stub)
    await login_page.press("Continue")
    await login_page.logged_in()
    for call in stub.calls:
        assert call.headers.get("x-csrftoken") == (
            None if call.kind == "status" else "of-the-application"
        )


async def test_a_subclass_can_override_request_and_texts(login_page: LoginPage, stub: Stub) -> None:
    """The subclass has its own name, adds a header and changes a text."""
    stub.around = '<my-login src="/qrlogin" id="mine"></my-login>'
    stub.attributes = 'src="/nowhere/" start="manual"'
    await login_page.page.goto(stub.url)
    await login_page.page.evaluate(
        """async () => { const {QRLoginElement} = await import("/qrlogin/qr-login-element.js");
        customElements.define("my-login", class extends QRLoginElement {
          get texts() { return {...super.texts, pending: "Bitte scannen"} }
          request(url, init) {
            init.headers.set("X-Mine", "yes"); return super.request(url, init) } }) }"""
    )
    await login_page.page.locator("#mine", has_text="Bitte scannen").wait_for()
    assert {call.headers.get("x-mine") for call in stub.calls} == {"yes"}


async def test_a_new_src_begins_a_new_login(login_page: LoginPage, stub: Stub) -> None:
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    await login_page.element.evaluate("it => it.setAttribute('src', '/qrlogin')")
    await login_page.eventually(lambda: stub.count("begin") == 2)
    await login_page.until("pending")
