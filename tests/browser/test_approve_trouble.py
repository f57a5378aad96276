"""Networks and servers that fail while a person decides.

The answer arrives, or the page says that it may not have arrived.
"""

import json
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.browser.approve_page import ApprovePage, approve_page
from tests.browser.approve_stub import ApproveStub
from tests.browser.login_stub import Fault, Reply, html, problem
from tests.security_rows import row
from tests.tables import in_matrix

YES = "Yes, log in"
PRESSES = {"scan": YES, "confirm": YES, "deny": "No, not me", "release": "Not now"}
VIEWS = {
    "look": "ask",
    "scan": "approved",
    "confirm": "approved",
    "deny": "denied",
    "release": "released",
}
FOREIGN = {
    verb: Reply(200, json.dumps({"login_id": "M" * 22, "state": state}).encode())
    for verb, state in {"scan": "scanned", "confirm": "confirmed"}.items()
}


async def do(phone: ApprovePage, stub: ApproveStub, verb: str) -> None:
    """Opens the page, and presses the button that leads to this call.

    The page's clock is the test's, so that pauses pass at once.
    """
    await phone.page.clock.install()
    if verb == "release":
        stub.state = "scanned"
    await phone.page.goto(stub.url)
    if verb != "look":
        await phone.press(PRESSES[verb])


LOST, TRIED_LATER = Fault.LOST, problem(503, "unavailable", retry_after=1)
OTHERS = [Fault.DROPPED, problem(500, "error"), html(), html(502), html(429)]


#: One function sends every call: each call is lost once, and one call meets every other fault.
@pytest.mark.parametrize(
    ("verb", "fault"),
    [
        *((verb, LOST) for verb in VIEWS),
        *(("confirm", fault) for fault in (TRIED_LATER, *OTHERS)),
        *in_matrix((verb, TRIED_LATER) for verb in VIEWS if verb != "confirm"),
    ],
)
async def test_a_failed_call_is_sent_again(
    chromium: Browser, tmp_path: Path, verb: str, fault: Fault | Reply
) -> None:
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            stub.faults[verb].append(fault)
            await do(phone, stub, verb)
            await phone.until(VIEWS[verb], hurry=True)
            assert stub.kinds().count(verb) == 2
            assert len({call.body["code"] for call in stub.calls}) == 1
            assert "Retrying" not in await phone.text()


async def test_an_account_that_scanned_many_codes_waits_and_gets_through(
    chromium: Browser, tmp_path: Path
) -> None:
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            stub.faults["scan"].append(problem(429, "too_many_scans", retry_after=2))
            await do(phone, stub, "scan")
            said = phone.page.get_by_role("status").filter(has_text="You have scanned many codes.")
            await said.wait_for()
            await phone.until("approved")
            assert stub.kinds().count("scan") == 2


READ_AND_WRITTEN = ["look", "confirm", *in_matrix(["scan", "deny", "release"])]


@pytest.mark.parametrize("verb", READ_AND_WRITTEN)
async def test_a_call_without_an_answer_is_sent_again(
    chromium: Browser, tmp_path: Path, verb: str
) -> None:
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            stub.faults[verb].append(Fault.SILENT)
            await do(phone, stub, verb)
            await phone.eventually(lambda: verb in stub.kinds())
            await phone.page.clock.run_for(13_000)
            await phone.until(VIEWS[verb])
            assert stub.kinds().count(verb) == 2


@pytest.mark.parametrize("verb", READ_AND_WRITTEN)
async def test_a_call_that_keeps_failing_ends_with_try_again(
    chromium: Browser, tmp_path: Path, verb: str
) -> None:
    """The page does not wait for ever, and "Try again" repeats the same call."""
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            stub.always[verb] = Fault.LOST
            await do(phone, stub, verb)
            await phone.page.get_by_role("status").filter(has_text="Retrying…").wait_for()
            await phone.until("unavailable", hurry=True)
            assert stub.kinds().count(verb) == 4
            assert await phone.buttons() == ["Try again"]
            stub.always.clear()
            await phone.press("Try again")
            await phone.until(VIEWS[verb])
            assert stub.kinds().count(verb) == 5


async def test_an_answer_that_was_given_offline_can_be_sent_again(
    chromium: Browser, tmp_path: Path
) -> None:
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await do(phone, stub, "look")
            await phone.until("ask")
            await phone.ready()
            await phone.context.set_offline(True)
            await phone.press(PRESSES["confirm"])
            await phone.until("offline", hurry=True)
            assert "Your request may not have gone through." in await phone.text()
            await phone.context.set_offline(False)
            await phone.press("Try again")
            await phone.until("approved")
            assert stub.kinds(reads=False) == ["scan", "confirm"]


@pytest.mark.parametrize("verb", ["scan", "confirm"])
async def test_an_answer_for_another_login_is_discarded_and_asked_again(
    chromium: Browser, tmp_path: Path, verb: str
) -> None:
    """The page decides only the login that it shows."""
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            stub.faults[verb].append(FOREIGN[verb])
            await do(phone, stub, verb)
            await phone.until("approved", hurry=True)
            kinds = {"scan": ["scan", "scan", "confirm"], "confirm": ["scan", "confirm", "confirm"]}
            assert stub.kinds(reads=False) == kinds[verb]


@pytest.mark.parametrize(("press", "last"), [("Yes, log in", "confirm"), ("No, not me", "deny")])
async def test_an_answer_claims_the_login_and_decides_it(
    chromium: Browser, tmp_path: Path, press: str, last: str
) -> None:
    """Both calls outlive the page. A login that this account holds is not scanned again."""
    keepalive = """addEventListener("qr-approve:state", (event) => { const it = event.target;
      window.sent ??= []; it.request = (url, init) =>
        (sent.push([url.pathname.split("/").pop(), init.keepalive]), fetch(url, init)) })"""
    for state, calls in (("pending", ["scan", last]), ("scanned", [last])):
        with ApproveStub(state=state) as stub:
            async with approve_page(chromium, tmp_path) as phone:
                await phone.page.add_init_script(keepalive)
                await phone.ask(stub.url)
                await phone.press(press)
                await phone.until(VIEWS[last])
                assert stub.kinds(reads=False) == calls
                sent = await phone.page.evaluate("sent")
                assert sent[:3] == [["look", False], *([call, True] for call in calls)]


async def test_a_login_that_was_approved_elsewhere_meanwhile_is_not_asked_about_again(
    chromium: Browser, tmp_path: Path
) -> None:
    """By this account, in another tab. A late "No" says that it is too late."""
    for press, view in ((YES, "redeemed"), (PRESSES["deny"], "late")):
        with ApproveStub() as stub:
            async with approve_page(chromium, tmp_path) as phone:
                await phone.ask(stub.url)
                stub.state = "redeemed"
                await phone.press(press)
                await phone.until(view)


FINAL = [
    (problem(404, "unknown_login"), "gone"),
    (problem(409, "cancelled"), "cancelled"),
    (problem(409, "denied"), "denied"),
    (problem(409, "wrong_state"), "moved"),
    (problem(410, "expired"), "expired"),
    (html(401), "signin"),
    (html(403), "stale"),
    (html(404), "refused"),
]


async def test_a_final_error_is_not_retried(chromium: Browser, tmp_path: Path) -> None:
    """This holds also for an answer in HTML, from a framework."""
    async with approve_page(chromium, tmp_path) as phone:
        await phone.page.clock.install()
        for error, state in FINAL:
            with ApproveStub() as stub:
                stub.faults["confirm"].append(error)
                await phone.page.goto(stub.url)
                await phone.press(PRESSES["confirm"])
                await phone.until(state)
                assert stub.kinds() == ["look", "scan", "confirm"], state
                await phone.page.goto("about:blank")


async def test_a_call_can_be_sent_again_after_a_new_sign_in(
    chromium: Browser, tmp_path: Path
) -> None:
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            stub.faults["look"].append(problem(401, "unauthenticated"))
            await do(phone, stub, "look")
            await phone.until("signin")
            assert await phone.page.get_by_role("link", name="Sign in here").is_visible()
            await phone.press("Try again")
            await phone.until("ask")
            assert not await phone.page.get_by_role("link", name="Sign in here").is_visible()


async def test_stopping_too_late_says_so(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await do(phone, stub, "confirm")
            await phone.until("approved")
            stub.state = "redeemed"
            await phone.press("Cancel this login")
            await phone.until("late")
            assert "The browser is already logged in." in await phone.text()


async def test_a_login_that_was_approved_before_can_be_stopped(
    chromium: Browser, tmp_path: Path
) -> None:
    """It was approved in another tab, or in this one before it was closed."""
    with ApproveStub(state="confirmed") as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await do(phone, stub, "look")
            await phone.until("approved")
            await phone.press("Cancel this login")
            await phone.until("stopped")


@row(512)
async def test_a_mistyped_code_can_be_corrected(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        stub.attributes += " typed"
        async with approve_page(chromium, tmp_path) as phone:
            await phone.page.goto(f"{stub.origin}/qr")
            field = phone.element.get_by_label("Code")
            await phone.ready()
            await phone.page.keyboard.press("Tab")
            await phone.page.keyboard.press(
                "Enter"
            )  # the field is empty: the browser itself complains
            assert await phone.state() == "typing"
            stub.faults["look"].append(problem(404, "unknown_login"))
            await phone.ready()
            await field.fill(" wdjb ")
            await phone.page.keyboard.press("Enter")
            await phone.page.get_by_role("status").filter(has_text="letter by letter").wait_for()
            assert await phone.state() == "typing"
            assert await field.get_attribute("aria-invalid") == "true"
            assert "note" in str(await field.get_attribute("aria-describedby"))
            assert await field.input_value() == "wdjb"
            await phone.page.keyboard.type("WDJB-MJHT")  # replaces the selected text
            await phone.element.get_by_role("button", name="Next").click()
            await phone.until("ask")
            assert [call.body["code"] for call in stub.calls] == ["wdjb", "WDJB-MJHT"]


@pytest.mark.parametrize(
    ("wait", "says"),
    [(30, "Wait 1 minute"), (90, "Wait 2 minutes"), *in_matrix([(600, "Wait 10 minutes")])],
)
async def test_after_too_many_guesses_the_page_says_when_to_try_again(
    chromium: Browser, tmp_path: Path, wait: int, says: str
) -> None:
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            stub.faults["look"].append(problem(429, "too_many_guesses", retry_after=wait))
            await do(phone, stub, "look")
            await phone.until("guesses")
            assert says in await phone.text()
            assert stub.kinds() == ["look"]


async def test_every_call_has_the_csrf_header(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        stub.attributes += ' csrf-header="X-CSRFToken" csrf-token="t0"'
        async with approve_page(chromium, tmp_path) as phone:
            await do(phone, stub, "deny")
            await phone.until("denied")
            assert [call.headers["x-csrftoken"] for call in stub.calls] == ["t0", "t0", "t0"]
            assert {call.headers["origin"] for call in stub.calls} == {stub.origin}
            assert not any("referer" in call.headers for call in stub.calls)


@pytest.mark.parametrize(
    "src", ["https://elsewhere.example/", "//elsewhere.example/", "javascript:alert(1)", ""]
)
async def test_no_request_goes_to_another_origin(
    chromium: Browser, tmp_path: Path, src: str
) -> None:
    with ApproveStub(attributes=f'src="{src}" at="/qr"') as stub:
        async with approve_page(chromium, tmp_path) as phone:
            phone.forgives("src must be a path of this origin")
            asked: list[str] = []
            phone.page.on("request", lambda request: asked.append(request.url))
            await do(phone, stub, "look")
            await phone.until("refused")
            assert all(url.startswith(stub.origin) for url in asked)
            assert stub.calls == []


@pytest.mark.parametrize("status", [403, 419, *in_matrix([400])])
async def test_a_page_with_an_old_csrf_token_offers_a_reload(
    chromium: Browser, tmp_path: Path, status: int
) -> None:
    """Its token worked before. Frameworks refuse it with different statuses."""
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            stub.faults["scan"].append(html(status))
            await do(phone, stub, "scan")
            await phone.until("stale")
            await phone.press("Reload page")
            await phone.until("ask")
