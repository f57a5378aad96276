"""From "Continue as …?" to a page that is logged in: once, by the right person, to the right place, whatever gets lost."""

import asyncio
import re

import pytest

from tests.browser.login_page import LoginPage
from tests.browser.login_stub import Fault, Reply, Stub, html, problem

# Half a second that does not pass, however late the page's timers are.
KEEP_CALM = """() => { let at = performance.now(); performance.now = () => (at += 0.001);
const hold = () => dispatchEvent(new Event("focus")); hold(); window.calm = setInterval(hold, 20) }"""
GO_ON = "() => { clearInterval(window.calm); delete performance.now }"


async def asked(
    desk: LoginPage, stub: Stub, shown_as: str = "M•••a", tag: str = "tag-of-mina"
) -> None:
    await desk.page.goto(stub.url)
    await desk.until("pending")
    stub.move("confirmed", shown_as, tag)
    await desk.until("confirmed")


def ops(stub: Stub) -> list[str]:
    return [call.body["op"] for call in stub.calls if call.kind == "redeem"]


async def test_once_with_what_was_shown(desk: LoginPage, stub: Stub) -> None:
    await asked(desk, stub)
    assert stub.count("redeem") == 0, "nothing is redeemed before a person says so"
    await desk.press("Continue")
    await desk.logged_in()
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


@pytest.mark.parametrize(
    "lost", [Fault.LOST, Fault.DROPPED, html(502), problem(503, "unavailable"), Reply(200, b"", ())]
)
async def test_a_lost_answer_is_asked_for_again_with_the_same_op(
    desk: LoginPage, stub: Stub, lost: Reply | Fault
) -> None:
    await desk.page.clock.install()
    stub.faults["redeem"].extend([lost, lost])
    await asked(desk, stub)
    await desk.page.clock.run_for(1000)
    await desk.press("Continue")
    await desk.eventually(lambda: stub.count("redeem") == 3, hurry=True)
    await desk.logged_in()
    assert len(ops(stub)) == 3
    assert len(set(ops(stub))) == 1
    assert len(stub.sessions) == 1


async def test_many_lost_answers_end_with_a_button_that_keeps_the_op(
    desk: LoginPage, stub: Stub
) -> None:
    await desk.page.clock.install()
    stub.always["redeem"] = Fault.LOST
    await asked(desk, stub)
    await desk.page.clock.run_for(1000)
    await desk.press("Continue")
    await desk.ends("unavailable", "Try again", hurry=True)
    stub.always.clear()
    await desk.press("Try again")
    await desk.logged_in()
    assert len(ops(stub)) == 6
    assert len(set(ops(stub))) == 1
    assert len(stub.sessions) == 1


async def test_every_click_has_its_own_op(desk: LoginPage, stub: Stub) -> None:
    await asked(desk, stub)
    stub.login.tag = "tag-of-eve"  # scanned again, in the moment of the click
    await desk.press("Continue")
    await desk.eventually(lambda: stub.count("redeem") == 1)
    await desk.until("confirmed")
    await desk.press("Continue")
    await desk.logged_in()
    first, second = ops(stub)
    assert first != second


async def test_a_double_click_is_one_click(desk: LoginPage, stub: Stub) -> None:
    await asked(desk, stub)
    await desk.element.get_by_role("button", name="Continue").dblclick()
    await desk.logged_in()
    assert stub.count("redeem") == 1


@pytest.mark.parametrize("event", ["focus", "visibilitychange"])
async def test_no_press_counts_right_after_the_window_came_back(
    desk: LoginPage, stub: Stub, event: str
) -> None:
    """Double-click jacking: the first click closes a window that lay above this one, the second lands here."""
    await asked(desk, stub)
    await desk.ready()
    if event == "visibilitychange":
        await desk.turn("hidden")
    assert await desk.returns(event) == 2
    await desk.page.evaluate(KEEP_CALM)
    await desk.element.get_by_role("button", name="Continue").click(force=True)
    assert (await desk.state(), stub.count("redeem")) == ("confirmed", 0)
    await desk.page.evaluate(GO_ON)
    await desk.press("Continue")
    await desk.logged_in()


async def test_a_press_that_began_before_the_question_does_not_count(
    desk: LoginPage, stub: Stub
) -> None:
    """However late it ends; and one that a person did not make never does."""
    await asked(desk, stub)
    await desk.page.evaluate(KEEP_CALM)
    button = desk.element.get_by_role("button", name="Continue")
    box = await button.bounding_box()
    assert box
    await desk.page.mouse.move(box["x"] + 9, box["y"] + 9)
    await desk.page.mouse.down()
    await desk.page.evaluate(GO_ON)
    await desk.ready()
    await desk.page.mouse.up()
    await button.evaluate("it => it.click()")
    assert (await desk.state(), stub.count("redeem")) == ("confirmed", 0)
    await desk.press("Continue")
    await desk.logged_in()


async def test_another_scanner_is_another_question(desk: LoginPage, stub: Stub) -> None:
    await asked(desk, stub)
    stub.login.shown_as, stub.login.tag = "E•e", "tag-of-eve"
    await desk.press("Continue")
    await desk.eventually(desk.text, lambda text: "Continue as E•e?" in text)
    assert stub.sessions == []
    assert await desk.buttons() == ["Continue", "That is not me"]
    await desk.turn("hidden")
    await desk.turn("visible")
    await asyncio.sleep(0.2)
    assert stub.count("redeem") == 1, "the old click does not answer the new question"
    await desk.press("Continue")
    await desk.logged_in()
    assert [call.body["acknowledged"] for call in stub.calls if call.kind == "redeem"] == [
        "tag-of-mina",
        "tag-of-eve",
    ]


async def test_the_phone_withdraws_while_the_browser_is_asked(desk: LoginPage, stub: Stub) -> None:
    """A confirmed login is not held by the server, so the page looks every few seconds."""
    await asked(desk, stub)
    stub.move("denied")
    await desk.ends("denied", "Show a new code")


REFUSALS = {
    "denied": ("denied", "Show a new code"),
    "cancelled": ("cancelled", "Show a new code"),
    "expired": ("expired", "Show a new code"),
    "unknown_login": ("forgotten", "Show a new code"),
    "already_redeemed": ("used", "Reload page"),
    "forbidden": ("unavailable", "Try again"),
}


@pytest.mark.parametrize(
    ("error", "state", "button"), [(key, *value) for key, value in REFUSALS.items()]
)
async def test_refused_at_redeem(
    desk: LoginPage, stub: Stub, error: str, state: str, button: str
) -> None:
    stub.always["redeem"] = problem(
        {"expired": 410, "unknown_login": 404, "forbidden": 403}.get(error, 409), error
    )
    await asked(desk, stub)
    await desk.press("Continue")
    await desk.ends(state, button)
    assert stub.count("redeem") == 1
    stub.always.clear()
    stub.attributes += ' data-second="true"'
    await desk.press(button)
    await (desk.logged_in() if error == "forbidden" else desk.until("pending"))


async def test_released_in_the_moment_of_the_click(desk: LoginPage, stub: Stub) -> None:
    await asked(desk, stub)
    stub.always["redeem"] = problem(409, "wrong_state")
    stub.login.state = "pending"
    await desk.press("Continue")
    await desk.until("pending")
    assert stub.count("redeem") == 1


async def test_hidden_while_redeeming(desk: LoginPage, stub: Stub) -> None:
    """The click was made: the answer is worth having, whoever looks at the page."""
    stub.faults["redeem"].append(problem(503, "unavailable"))
    await asked(desk, stub)
    await desk.press("Continue")
    await desk.turn("hidden")
    await desk.logged_in()


# -- afterwards ------------------------------------------------------------------------------------------------------

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
    "path", ["/account", "/account?a=b&c=d#e", "/account#/../..//x", "/./account"]
)
async def test_next(desk: LoginPage, stub: Stub, path: str) -> None:
    await asked(desk, stub)
    await desk.element.evaluate("(it, path) => it.setAttribute('next', path)", path)
    await desk.press("Continue")
    await desk.page.wait_for_url(lambda url: url != stub.url)
    assert desk.page.url.startswith(stub.url)
    assert not desk.page.url.startswith(stub.url + "/")


@pytest.mark.long
async def test_a_next_address_of_another_site_is_not_followed(desk: LoginPage, stub: Stub) -> None:
    """Each goes through the whole story in one page, with the navigation itself watched by the browser."""
    asked_for: list[str] = []
    desk.page.on("request", lambda request: asked_for.append(request.url))
    await desk.page.clock.install()
    for path in REFUSED_PATHS:
        await asked(desk, stub)
        await desk.page.clock.run_for(1000)
        await desk.element.evaluate("(it, path) => it.setAttribute('next', path)", path)
        await desk.press("Continue")
        await desk.logged_in()
        assert desk.page.url == stub.url, path
        await desk.context.clear_cookies()
    assert [url for url in asked_for if not url.startswith(stub.url)] == []


async def test_next_to_the_same_page_loads_it(desk: LoginPage, stub: Stub) -> None:
    stub.attributes += ' next="/#inside"'
    await asked(desk, stub)
    await desk.press("Continue")
    await desk.logged_in()


async def test_the_login_page_is_not_what_back_leads_to(desk: LoginPage, stub: Stub) -> None:
    await desk.page.goto("about:blank")
    stub.attributes += ' next="/account"'
    await asked(desk, stub)
    await desk.press("Continue")
    await desk.logged_in()
    await desk.page.go_back()
    assert desk.page.url == "about:blank"


async def test_events(desk: LoginPage, stub: Stub) -> None:
    await desk.page.goto(stub.url)
    await desk.page.evaluate(
        """() => { window.events = [];
        for (const type of ["qr-login:state", "qr-login:redeemed"]) document.addEventListener(type, event => {
          events.push([type, event.detail, event.composed]); if (event.cancelable) event.preventDefault() }) }"""
    )
    await desk.until("pending")
    await desk.page.evaluate("() => document.querySelector('qr-login').start()")
    await desk.until("pending")
    stub.move("scanned")
    await desk.until("scanned")
    stub.move("confirmed")
    await desk.press("Continue")
    await desk.until("redeemed")
    events = await desk.page.evaluate("() => events")
    states = [detail["state"] for type_, detail, _ in events if type_ == "qr-login:state"]
    assert states[-6:] == ["starting", "pending", "scanned", "confirmed", "redeeming", "redeemed"]
    assert events[-1] == ["qr-login:redeemed", {"login_id": stub.login.login_id}, True]
    assert all(set(detail) == {"state"} for type_, detail, _ in events if type_ == "qr-login:state")
    assert await desk.state() == "redeemed"
    assert desk.page.url == stub.url, "preventDefault keeps the page"
    await desk.page.evaluate(
        "() => document.dispatchEvent(new Event('visibilitychange', {bubbles: true}))"
    )
    await desk.page.wait_for_timeout(200)
    assert stub.count("redeem") == 1


async def test_csrf_header_on_posts_only(desk: LoginPage, stub: Stub) -> None:
    stub.attributes += ' csrf-header="X-CSRFToken" csrf-token="of-the-application"'
    await asked(desk, stub)
    await desk.press("Continue")
    await desk.logged_in()
    for call in stub.calls:
        assert call.headers.get("x-csrftoken") == (
            None if call.kind == "status" else "of-the-application"
        )


async def test_request_is_a_seam(desk: LoginPage, stub: Stub) -> None:
    """A subclass under its own name adds a header; its own words show too."""
    stub.around = '<my-login src="/qrlogin" id="mine"></my-login>'
    stub.attributes = 'src="/nowhere/" start="manual"'
    await desk.page.goto(stub.url)
    await desk.page.evaluate(
        """async () => { const {QRLoginElement} = await import("/qrlogin/qr-login-element.js");
        customElements.define("my-login", class extends QRLoginElement {
          get texts() { return {...super.texts, pending: "Bitte scannen"} }
          request(url, init) { init.headers.set("X-Mine", "yes"); return super.request(url, init) } }) }"""
    )
    await desk.page.locator("#mine", has_text="Bitte scannen").wait_for()
    assert {call.headers.get("x-mine") for call in stub.calls} == {"yes"}


async def test_another_src_is_another_login(desk: LoginPage, stub: Stub) -> None:
    await desk.page.goto(stub.url)
    await desk.until("pending")
    await desk.element.evaluate("it => it.setAttribute('src', '/qrlogin')")
    await desk.eventually(lambda: stub.count("begin") == 2)
    await desk.until("pending")
