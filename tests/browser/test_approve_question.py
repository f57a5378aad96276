"""The question of <qr-approve>: its facts, its answers, and which presses count."""

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser

from tests.browser.approve_page import FITS, ApprovePage, approve_page
from tests.browser.approve_stub import ApproveStub
from tests.browser.login_stub import Fault
from tests.browser.test_hostile import NAMES, SCRAPE, unseen
from tests.browser.test_redeem import GO_ON, KEEP_CALM
from tests.browser.words import EACH_LANGUAGE
from tests.security_rows import row

NO, YES, LATER = "No, not me", "Yes, log in", "Not now"
FACTS = """it => [...it.shadowRoot.querySelectorAll('dt')]
  .map(label => [label.textContent, label.nextElementSibling.textContent])"""


async def facts(phone: ApprovePage) -> list[list[str]]:
    found: list[list[str]] = await phone.element.evaluate(FACTS)
    return found


@row(7, 123, 124, 136, 137)
async def test_the_question_shows_every_fact(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        stub.attributes += ' site="Example"'
        stub.context |= {
            "client": "Living room TV",
            "Ticket": "8 of 12",
            "scope": "openid watch",
            "permissions": "Watch films",
        }
        async with approve_page(chromium, tmp_path) as phone:
            await phone.ask(stub.url)
            host = stub.origin.removeprefix("http://")
            assert await facts(phone) == [
                *(
                    ["Site", f"Example{host}"],
                    ["Account", "Alice"],
                    # What a browser says about itself is a claim; it can send any name.
                    ["Browser", "says it is Firefox 140 on Windows 11"],
                ),
                *(["App", "Living room TV"], ["Permissions", "Watch films"]),
                *(["Location", "Utrecht, Netherlands"], ["IP address", "203.0.113.7"]),
                *(["Ticket", "8 of 12"], ["Started", "10 seconds ago"]),
            ]
            assert (
                "If someone sent you the code, or you did not start this login, choose No"
                in await phone.text()
            )
            assert await phone.title() == "Log this browser in as Alice?"
            assert [call.body for call in stub.calls] == [{"code": stub.url}]


#: Where the answers and the countdown end, and where the warning ends and the answers begin.
EDGES = """it => { const box = part => it.shadowRoot.querySelector(part).getBoundingClientRect();
  return [Math.max(...[".deny", ".approve", ".left"].map(part => box(part).bottom)) - innerHeight,
    box(".warning").bottom - box(".actions").top] }"""


@pytest.mark.parametrize("lang", EACH_LANGUAGE)
async def test_the_answers_are_in_sight_on_a_small_phone_and_cover_nothing_for_good(
    chromium: Browser, tmp_path: Path, lang: str
) -> None:
    """At the end of the page, the whole warning is above the answers."""
    small = {"width": 320, "height": 568}
    with ApproveStub(lang=lang, state="scanned") as stub:
        async with approve_page(chromium, tmp_path, viewport=small) as phone:
            await phone.ask(stub.url)
            below, _ = await phone.element.evaluate(EDGES)
            await phone.shot(f"answers-{lang}")
            assert below <= 0, "the answers are in sight without scrolling"
            await phone.page.evaluate("() => scrollTo(0, document.body.scrollHeight)")
            below, covered = await phone.element.evaluate(EDGES)
            assert below <= 0
            assert covered <= 0


@row(7)
async def test_a_missing_fact_is_not_invented(chromium: Browser, tmp_path: Path) -> None:
    context: dict[str, Any] = {
        "browser": "",
        "system": None,
        "place": {"toString": 1},
        "address": ["x"],
        "n": 7,
        "__proto__": "p",
    }
    with ApproveStub(
        attributes='src="/qrlogin/phone/" at="/qr"', context=context, begun_ago=0
    ) as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.ask(stub.url)
            assert await phone.title() == "Log this browser in to your account?"
            assert await facts(phone) == [
                *(
                    ["Site", stub.origin[7:]],
                    ["Browser", "an unknown browser"],
                    ["n", "7"],
                    ["__proto__", "p"],
                ),
                ["Started", "now"],
            ]


@row(41, 406)
async def test_untrusted_text_is_shown_as_text(chromium: Browser, tmp_path: Path) -> None:
    """This holds for a value, and for the key of a value that the application added."""
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            phone.page.on("dialog", lambda dialog: phone.problems.append(dialog.message))
            for name in filter(None, NAMES):
                stub.context = {"browser": name, name: name}
                await phone.ask(stub.url)
                shown = [
                    text
                    for pair in (await facts(phone))[2:-1]
                    for text in pair
                    if text != "Browser"
                ]
                assert len(shown) >= 3
                assert all(len(text) <= 400 for text in shown)
                assert unseen("".join(shown)) == []
                assert await phone.buttons() == [NO, YES]
                assert (
                    await phone.element.evaluate(
                        "it => it.shadowRoot.querySelectorAll('img, script, a').length"
                    )
                    == 0
                )
                assert await phone.element.evaluate(
                    "it => [...it.shadowRoot.querySelectorAll('dd > *')]"
                    ".every(child => ['BDI', 'SPAN'].includes(child.tagName))"
                )
                assert await phone.page.evaluate(FITS)


async def test_long_values_are_cut(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub(
        context={
            "browser": "x" * 400,
            "place": "x" * 400,
            "permissions": "x" * 600,
            **{f"key {n}": "y" for n in range(40)},
        }
    ) as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.ask(stub.url)
            shown = dict(await facts(phone))
            assert shown["Browser"] == "says it is " + "x" * 40 + "…"
            assert shown["Location"] == "x" * 160 + "…"
            assert shown["Permissions"] == "x" * 500 + "…"
            assert len(shown) == 12 + 3


@row(124, 138)
async def test_both_answers_have_the_same_weight(chromium: Browser, tmp_path: Path) -> None:
    look = """it => { const style = getComputedStyle(it), box = it.getBoundingClientRect();
      return [box.width, box.height, box.y, style.fontSize, style.fontWeight, style.opacity,
        style.borderWidth] }"""
    with ApproveStub() as stub:
        for scheme in ("light", "dark"):
            async with approve_page(chromium, tmp_path, color_scheme=scheme) as phone:
                stub.state = "pending"
                await phone.ask(stub.url)
                await phone.ready()
                no, yes = [phone.element.get_by_role("button", name=name) for name in (NO, YES)]
                assert await no.evaluate(look) == await yes.evaluate(look)
                order = []
                for _ in range(2):
                    await phone.page.keyboard.press("Tab")
                    order.append(
                        await phone.element.evaluate(
                            "it => it.shadowRoot.activeElement.textContent"
                        )
                    )
                assert order == await phone.buttons() == [NO, YES]


async def test_a_login_that_this_account_holds_can_be_given_back(
    chromium: Browser, tmp_path: Path
) -> None:
    """Only then: a look takes nothing, so there is nothing to give back."""
    with ApproveStub(state="scanned") as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.page.clock.install()
            await phone.ask(stub.url)
            assert await phone.buttons() == [NO, YES, LATER]
            await phone.press(LATER)
            await phone.until("released")
            await phone.press("View details again")
            await phone.until("ask")
            assert await phone.buttons() == [NO, YES]
            assert stub.kinds() == ["look", "release", "look"]


@row(214)
async def test_a_typed_code_is_shown_to_be_compared(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        stub.attributes += " typed"
        async with approve_page(chromium, tmp_path) as phone:
            await phone.page.clock.install()
            for address in (
                "qr?user_code=wdjb-mjht",
                "qr/?user_code=wdjb-mjht",
                "qr/WDJBMJHT",
                "qr/wdjb-mjht",
                "qr/wdjb%2Dmjht",
            ):
                stub.calls.clear()
                await phone.page.goto(f"{stub.origin}/{address}")
                await phone.until("found")
                assert stub.calls == [], "a link alone costs no guess"
                for part in (
                    "Does your other device show exactly this code?",
                    "approving it would log them in to your account",
                    "wdjb-mjht",
                ):
                    assert part in (await phone.text()).lower().replace("does your", "Does your")
                assert await phone.element.get_by_role(
                    "link", name="It shows a different code"
                ).get_attribute("href") == (f"{stub.origin}/qr")
                await phone.press("View details")
                await phone.until("ask")
                assert await phone.title() == "Log the other device in as Alice?"
                assert (
                    "Approve only if your other device shows exactly this code."
                    in await phone.text()
                )
                assert "wdjb-mjht" in (await phone.text()).lower()


async def test_the_question_counts_down_and_expires(chromium: Browser, tmp_path: Path) -> None:
    """The countdown changes all the time; screen readers announce it four times."""
    with ApproveStub(lifetime=70) as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.opens(stub.url, "ask")
            heard, left = [], phone.element.get_by_role("timer")
            assert (await left.inner_text()).startswith("1:")
            for _ in range(70):
                spoken = await phone.element.evaluate(
                    "it => it.shadowRoot.querySelector('.spoken').textContent"
                )
                heard += [spoken] if spoken not in heard else []
                if await phone.state() != "ask":
                    break
                await phone.page.clock.run_for(2000)
            assert [text for text in heard if text] == [
                *(
                    "Expires within 2 minutes",
                    "Expires within a minute",
                    "Expires within 30 seconds",
                    "Expires within 10 seconds",
                )
            ]
            await phone.until("expired")
            assert await phone.buttons() == []
            assert stub.kinds() == ["look"]


# Presses that do not count


@row(16)
async def test_a_press_within_the_delay_does_nothing(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path, has_touch=False, is_mobile=False) as phone:
            await phone.page.add_init_script(f"({KEEP_CALM})()")  # before the question appears
            await phone.ask(stub.url)
            for name in (NO, YES):
                button = phone.element.get_by_role("button", name=name)
                await button.click(force=True)
                await button.focus()
                await phone.page.keyboard.press("Enter")
                await phone.page.keyboard.press("Space")
            assert stub.kinds() == ["look"]
            box = await phone.element.get_by_role("button", name=YES).bounding_box()
            assert box
            await phone.page.mouse.move(box["x"] + 9, box["y"] + 9)
            await phone.page.mouse.down()  # this press begins too early,
            await phone.page.evaluate(GO_ON)
            await phone.ready()
            await phone.page.mouse.up()  # and ends late enough
            assert await phone.state() == "ask"
            assert stub.kinds() == ["look"]
            await phone.press(YES)
            await phone.until("approved")


@pytest.mark.parametrize("event", ["focus", "visibilitychange"])
async def test_the_delay_begins_again_when_the_window_comes_back(
    chromium: Browser, tmp_path: Path, event: str
) -> None:
    """Double-click jacking: the first click closes a window above, the second lands here."""
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.ask(stub.url)
            await phone.ready()
            if event == "visibilitychange":
                await phone.turn("hidden")
                assert await phone.element.locator("button[aria-disabled]").count() == 0
            assert await phone.returns(event) == 2
            await phone.page.evaluate(KEEP_CALM)
            await phone.element.get_by_role("button", name=YES).click(force=True)
            assert set(stub.kinds()) == {"look"}
            await phone.page.evaluate(GO_ON)
            await phone.press(YES)
            await phone.until("approved")


@row(16, 317, 447)
async def test_a_click_by_a_script_does_not_count(chromium: Browser, tmp_path: Path) -> None:
    """Some scripts click on every button called "Yes"."""
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.page.clock.install()
            everything = (
                "it => it.shadowRoot.querySelectorAll('button').forEach(button => button.click())"
            )
            for state, path in (("found", "/qr/WDJB-MJHT"), ("ask", stub.url)):
                await phone.page.goto(path if path == stub.url else stub.origin + path)
                await phone.until(state)
                await phone.ready()
                await phone.element.evaluate(everything)
                assert await phone.state() == state
            assert stub.kinds() == ["look"]


async def test_only_a_press_by_a_person_looks_up_a_typed_code(
    chromium: Browser, tmp_path: Path
) -> None:
    """A script cannot submit the form, and a press that began too early does not count."""
    with ApproveStub(attributes='src="/qrlogin/phone/" at="/qr" typed') as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.page.goto(f"{stub.origin}/qr")
            await phone.until("typing")
            await phone.ready()
            await phone.element.get_by_label("Code").fill("WDJB-MJHT")
            for script in (
                "querySelector('button').click()",
                "querySelector('form').requestSubmit()",
            ):
                await phone.element.evaluate(f"it => it.shadowRoot.{script}")
                assert await phone.state() == "typing"
            await phone.page.evaluate(KEEP_CALM)
            await phone.element.locator("button[aria-disabled]").wait_for()
            await phone.page.keyboard.press("Enter")
            await phone.element.get_by_role("button", name="Next").click(force=True)
            assert (await phone.state(), stub.calls) == ("typing", [])
            await phone.page.evaluate(GO_ON)
            await phone.ready()
            await phone.page.keyboard.press("Enter")
            await phone.until("ask")


async def test_a_key_that_is_held_down_answers_nothing(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            await phone.ask(stub.url)
            await phone.ready()
            await phone.element.get_by_role("heading").focus()
            await phone.page.keyboard.down("Enter")
            await phone.element.get_by_role("button", name=YES).focus()
            for _ in range(5):
                await phone.page.keyboard.down(
                    "Enter"
                )  # the key is down already, so this is a repeat
            await phone.page.keyboard.up("Enter")
            assert await phone.state() == "ask"
            await phone.page.keyboard.press("Enter")
            await phone.until("approved")


async def test_a_double_click_approves_once_and_does_not_stop_the_login(
    chromium: Browser, tmp_path: Path
) -> None:
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path, has_touch=False, is_mobile=False) as phone:
            await phone.ask(stub.url)
            await phone.ready()
            box = await phone.element.get_by_role("button", name=YES).bounding_box()
            assert box
            await phone.page.mouse.click(box["x"] + 9, box["y"] + 9, click_count=4)
            await phone.until("approved")
            stop = await phone.element.get_by_role(
                "button", name="Cancel this login"
            ).bounding_box()
            assert stop
            await phone.page.evaluate(KEEP_CALM)
            await phone.page.mouse.click(stop["x"] + 9, stop["y"] + 9, click_count=4)
            assert stub.kinds(reads=False) == ["scan", "confirm"]
            leave = phone.element.get_by_role("link", name="Home")
            await leave.click()
            assert phone.page.url == stub.url, "links do not react either"
            await phone.page.evaluate(GO_ON)
            await phone.ready()
            await leave.click()
            await phone.page.wait_for_url("**/start")


@row(504)
async def test_the_keyboard_alone_is_enough(chromium: Browser, tmp_path: Path) -> None:
    """From typing a code to cancelling the login. The focus is never lost."""
    with ApproveStub() as stub:
        stub.attributes += " typed"
        async with approve_page(chromium, tmp_path) as phone:
            keys, focus = phone.page.keyboard, "it => it.shadowRoot.activeElement?.localName"
            await phone.page.clock.install()
            await phone.page.goto(f"{stub.origin}/qr")
            await phone.until("typing")
            await phone.ready()
            await keys.press("Tab")
            await keys.type("wdjb mjht")
            await keys.press("Enter")
            await phone.until("ask")
            assert await phone.element.evaluate(focus) == "h1"
            await phone.ready()
            for _ in range(2):
                await keys.press("Tab")
            await keys.press("Space")
            await phone.until("approved")
            assert await phone.element.evaluate(focus) == "h1"
            await phone.ready()
            await keys.press("Tab")
            await keys.press("Enter")
            await phone.until("stopped")
            assert stub.kinds(reads=False) == ["scan", "confirm", "deny"]
            assert {call.body["code"] for call in stub.calls} == {"wdjb mjht"}


async def test_the_page_gets_an_event_and_keeps_no_code(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        stub.attributes += " typed"
        async with approve_page(chromium, tmp_path) as phone:
            await phone.page.clock.install()
            await phone.page.add_init_script(
                """window.events = []; for (const type of ["qr-approve:state", "qr-approve:done"])
                addEventListener(type, event => events.push([event.type, event.detail]))"""
            )
            await phone.page.goto(f"{stub.origin}/qr")
            await phone.until("typing")
            await phone.ready()
            stub.faults["confirm"].append(Fault.LOST)
            await phone.element.get_by_label("Code").fill("BCDFGHJK")
            await phone.page.keyboard.press("Enter")
            await phone.press(YES)
            await phone.until("approved")
            assert "BCDFGHJK" not in await phone.page.evaluate(SCRAPE)
            await phone.press("Cancel this login")
            await phone.until("stopped")
            events = await phone.page.evaluate("events")
            states = ["typing", "looking", "ask", "sending", "approved", "sending", "stopped"]
            assert [detail for kind, detail in events if kind.endswith("state")] == [
                {"state": state} for state in states
            ]
            assert [detail for kind, detail in events if kind.endswith("done")] == [
                {"decision": "approved"},
                {"decision": "denied"},
            ]


HEARD = """it => { window.heard = [];
it.shadowRoot.addEventListener("focusin", event => heard.push(event.target.innerText)) }"""


@row(517)
async def test_a_screen_reader_speaks_the_title_of_each_view(
    chromium: Browser, tmp_path: Path
) -> None:
    """It speaks what takes the focus, and says nothing about an element that keeps the focus."""
    with ApproveStub() as stub:
        stub.faults["look"].append(Fault.SILENT)
        async with approve_page(chromium, tmp_path) as phone:
            await phone.page.clock.install()
            await phone.page.goto(stub.url)
            await phone.until("looking")
            await phone.element.evaluate(HEARD)
            await phone.element.evaluate("it => it.start()")
            await phone.until("ask")
            await phone.press_still(YES)
            await phone.until("approved")
            stub.state = "redeemed"
            await phone.until("redeemed", hurry=True)
            stub.state = "expired"
            await phone.element.evaluate("it => it.start()")
            await phone.until("expired")
            heard = [text for text in await phone.page.evaluate("heard") if text != YES]
            assert heard == [
                "One moment…",
                "Log this browser in as Alice?",
                "Sending your answer…",
                "Approved",
                "Firefox 140 on Windows 11 is logged in",
                "One moment…",
                "This code has expired",
            ]
