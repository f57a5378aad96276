"""The question of <qr-approve>: what it shows, that it weighs nothing in favour of yes, and that no stray press answers it."""

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser

from tests.browser.approve_stub import ApproveStub
from tests.browser.stub import Fault
from tests.browser.test_hostile import NAMES, SCRAPE, unseen
from tests.browser.test_redeem import GO_ON, KEEP_CALM
from tests.browser.thumb import FITS, Thumb, thumb

NO, YES, LATER = "No, not me", "Yes, log in", "Not now"
FACTS = "it => [...it.shadowRoot.querySelectorAll('dt')].map(each => [each.textContent, each.nextElementSibling.textContent])"


async def facts(hand: Thumb) -> list[list[str]]:
    found: list[list[str]] = await hand.element.evaluate(FACTS)
    return found


async def test_everything_to_judge_by_is_there(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        stub.attributes += ' site="Example"'
        stub.context |= {"client_id": "tv", "Ticket": "8 of 12", "scope": "openid"}
        async with thumb(chromium, tmp_path) as hand:
            await hand.ask(stub.url)
            host = stub.origin.removeprefix("http://")
            assert await facts(hand) == [
                *(["Site", f"Example{host}"], ["Account", "Alice"], ["Browser", "Firefox 140"], ["System", "Windows 11"]),
                *(["Location", "Utrecht, Netherlands"], ["IP address", "203.0.113.7"], ["App", "tv"]),
                *(["Permissions", "openid"], ["Ticket", "8 of 12"], ["Started", "10 seconds ago"]),
            ]
            assert "If someone sent you the code, or you did not start this login, choose No" in await hand.text()
            assert await hand.title() == "Log in this browser as Alice?"
            assert [call.body for call in stub.calls] == [{"code": stub.url}]


async def test_what_is_not_known_is_not_invented(chromium: Browser, tmp_path: Path) -> None:
    context: dict[str, Any] = {
        "browser": "",
        "system": None,
        "place": {"toString": 1},
        "address": ["x"],
        "n": 7,
        "__proto__": "p",
    }
    with ApproveStub(attributes='src="/qrlogin/phone/" at="/qr"', context=context, begun_ago=0) as stub:
        async with thumb(chromium, tmp_path) as hand:
            await hand.ask(stub.url)
            assert await hand.title() == "Log in this browser to your account?"
            assert await facts(hand) == [
                *(["Site", stub.origin[7:]], ["Browser", "unknown"], ["n", "7"], ["__proto__", "p"]),
                ["Started", "a few seconds ago"],
            ]


async def test_foreign_text_is_text(chromium: Browser, tmp_path: Path) -> None:
    """As a value, and as the key of a value that the application added."""
    with ApproveStub() as stub:
        async with thumb(chromium, tmp_path) as hand:
            hand.page.on("dialog", lambda dialog: hand.problems.append(dialog.message))
            for name in filter(None, NAMES):
                stub.context = {"browser": name, name: name}
                await hand.ask(stub.url)
                shown = [text for pair in (await facts(hand))[2:-1] for text in pair if text != "Browser"]
                assert len(shown) >= 3
                assert all(len(text) <= 400 for text in shown)
                assert unseen("".join(shown)) == []
                assert await hand.buttons() == [NO, YES, LATER]
                assert await hand.element.evaluate("it => it.shadowRoot.querySelectorAll('img, script, a').length") == 0
                assert await hand.element.evaluate(
                    "it => [...it.shadowRoot.querySelectorAll('dd > *')].every(each => ['BDI', 'SPAN'].includes(each.tagName))"
                )
                assert await hand.page.evaluate(FITS)
                stub.state = "pending"


async def test_long_values_are_cut(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub(context={"browser": "x" * 400, **{f"key {n}": "y" for n in range(40)}}) as stub:
        async with thumb(chromium, tmp_path) as hand:
            await hand.ask(stub.url)
            shown = dict(await facts(hand))
            assert shown["Browser"] == "x" * 160 + "…"
            assert len(shown) == 12 + 3


async def test_a_no_weighs_as_much_as_a_yes(chromium: Browser, tmp_path: Path) -> None:
    look = """it => { const style = getComputedStyle(it), box = it.getBoundingClientRect();
      return [box.width, box.height, box.y, style.fontSize, style.fontWeight, style.opacity, style.borderWidth] }"""
    with ApproveStub() as stub:
        for scheme in ("light", "dark"):
            async with thumb(chromium, tmp_path, color_scheme=scheme) as hand:
                stub.state = "pending"
                await hand.ask(stub.url)
                await hand.ready()
                no, yes = [hand.element.get_by_role("button", name=name) for name in (NO, YES)]
                assert await no.evaluate(look) == await yes.evaluate(look)
                assert await hand.buttons() == [NO, YES, LATER]
                order = []
                for _ in range(3):
                    await hand.page.keyboard.press("Tab")
                    order.append(await hand.element.evaluate("it => it.shadowRoot.activeElement.textContent"))
                assert order == [NO, YES, LATER]


async def test_a_typed_code_is_shown_to_be_compared(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        stub.attributes += " typed"
        async with thumb(chromium, tmp_path) as hand:
            for address in ("qr?user_code=wdjb-mjht", "qr/WDJBMJHT", "qr/wdjb-mjht"):
                stub.state = "pending"
                await hand.page.goto(f"{stub.origin}/{address}")
                await hand.until("found")
                for part in (
                    "Does your other device show exactly this code?",
                    "approving it would log them in to your account",
                    "wdjb-mjht",
                ):
                    assert part in (await hand.text()).lower().replace("does your", "Does your")
                assert await hand.element.get_by_role("link", name="It shows a different code").get_attribute("href") == (
                    f"{stub.origin}/qr"
                )
                await hand.press("View details")
                await hand.until("ask")
                assert await hand.title() == "Log in the other device as Alice?"
                assert "Approve only if your other device shows exactly this code." in await hand.text()
                assert "wdjb-mjht" in (await hand.text()).lower()


async def test_time_passes(chromium: Browser, tmp_path: Path) -> None:
    """A countdown to be seen, few words to be heard; at its end the question is gone."""
    with ApproveStub(lifetime=70) as stub:
        async with thumb(chromium, tmp_path) as hand:
            await hand.opens(stub.url, "found")
            await hand.press_still("View details")
            await hand.until("ask")
            heard, left = [], hand.element.get_by_role("timer")
            assert (await left.inner_text()).startswith("1:")
            for _ in range(70):
                spoken = await hand.element.evaluate("it => it.shadowRoot.querySelector('.spoken').textContent")
                heard += [spoken] if spoken not in heard else []
                if await hand.state() != "ask":
                    break
                await hand.page.clock.run_for(2000)
            assert [each for each in heard if each] == [
                *("Expires within 2 minutes", "Expires within a minute", "Expires within 30 seconds", "Expires within 10 seconds")
            ]
            await hand.until("expired")
            assert await hand.buttons() == []
            assert stub.kinds() == ["scan"]


# Presses that are no answer


async def test_a_press_within_the_delay_does_nothing(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        async with thumb(chromium, tmp_path, has_touch=False, is_mobile=False) as hand:
            await hand.page.goto(stub.url)
            await hand.until("found")
            await hand.ready()
            await hand.page.evaluate(KEEP_CALM)  # from before the question is there
            await hand.page.locator("button[aria-disabled]").first.wait_for()
            await hand.page.evaluate(GO_ON)
            await hand.press("View details")
            await hand.page.evaluate(KEEP_CALM)
            await hand.until("ask")
            for name in (NO, YES, LATER):
                button = hand.element.get_by_role("button", name=name)
                await button.click(force=True)
                await button.focus()
                await hand.page.keyboard.press("Enter")
                await hand.page.keyboard.press("Space")
            assert stub.kinds() == ["scan"]
            box = await hand.element.get_by_role("button", name=YES).bounding_box()
            assert box
            await hand.page.mouse.move(box["x"] + 9, box["y"] + 9)
            await hand.page.mouse.down()  # begun too early,
            await hand.page.evaluate(GO_ON)
            await hand.ready()
            await hand.page.mouse.up()  # ended late enough
            assert await hand.state() == "ask"
            assert stub.kinds() == ["scan"]
            await hand.press(YES)
            await hand.until("approved")


@pytest.mark.parametrize("event", ["focus", "visibilitychange"])
async def test_the_delay_begins_again_when_the_window_comes_back(chromium: Browser, tmp_path: Path, event: str) -> None:
    """Double-click jacking: the first click closes a window that lay above this one, the second lands here."""
    with ApproveStub() as stub:
        async with thumb(chromium, tmp_path) as hand:
            await hand.ask(stub.url)
            await hand.ready()
            if event == "visibilitychange":
                await hand.turn("hidden")
                assert await hand.element.locator("button[aria-disabled]").count() == 0
            assert await hand.returns(event) == 3
            await hand.page.evaluate(KEEP_CALM)
            await hand.element.get_by_role("button", name=YES).click(force=True)
            assert stub.kinds() == ["scan"]
            await hand.page.evaluate(GO_ON)
            await hand.press(YES)
            await hand.until("approved")


async def test_what_no_person_pressed_does_not_count(chromium: Browser, tmp_path: Path) -> None:
    """There are scripts that click on everything that is called "Yes"."""
    with ApproveStub() as stub:
        async with thumb(chromium, tmp_path) as hand:
            await hand.page.goto(stub.url)
            await hand.until("found")
            await hand.ready()
            everything = "it => it.shadowRoot.querySelectorAll('button').forEach(each => each.click())"
            await hand.element.evaluate(everything)
            assert await hand.state() == "found"
            await hand.press("View details")
            await hand.until("ask")
            await hand.ready()
            await hand.element.evaluate(everything)
            assert await hand.state() == "ask"
            assert stub.kinds() == ["scan"]


async def test_a_typed_code_is_looked_up_for_persons_only(chromium: Browser, tmp_path: Path) -> None:
    """Neither for a script, however it sends the form, nor for a press that was on its way."""
    with ApproveStub(attributes='src="/qrlogin/phone/" at="/qr" typed') as stub:
        async with thumb(chromium, tmp_path) as hand:
            await hand.page.goto(f"{stub.origin}/qr")
            await hand.until("typing")
            await hand.ready()
            await hand.element.get_by_label("Code").fill("WDJB-MJHT")
            for script in ("querySelector('button').click()", "querySelector('form').requestSubmit()"):
                await hand.element.evaluate(f"it => it.shadowRoot.{script}")
                assert await hand.state() == "typing"
            await hand.page.evaluate(KEEP_CALM)
            await hand.element.locator("button[aria-disabled]").wait_for()
            await hand.page.keyboard.press("Enter")
            await hand.element.get_by_role("button", name="Next").click(force=True)
            assert (await hand.state(), stub.calls) == ("typing", [])
            await hand.page.evaluate(GO_ON)
            await hand.ready()
            await hand.page.keyboard.press("Enter")
            await hand.until("ask")


async def test_a_key_held_down_answers_nothing(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        async with thumb(chromium, tmp_path) as hand:
            await hand.ask(stub.url)
            await hand.ready()
            await hand.element.get_by_role("heading").focus()
            await hand.page.keyboard.down("Enter")
            await hand.element.get_by_role("button", name=YES).focus()
            for _ in range(5):
                await hand.page.keyboard.down("Enter")  # a key that is down already repeats
            await hand.page.keyboard.up("Enter")
            assert await hand.state() == "ask"
            await hand.page.keyboard.press("Enter")
            await hand.until("approved")


async def test_a_double_click_is_one_answer_and_does_not_stop_it(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        async with thumb(chromium, tmp_path, has_touch=False, is_mobile=False) as hand:
            await hand.ask(stub.url)
            await hand.ready()
            box = await hand.element.get_by_role("button", name=YES).bounding_box()
            assert box
            await hand.page.mouse.click(box["x"] + 9, box["y"] + 9, click_count=4)
            await hand.until("approved")
            stop = await hand.element.get_by_role("button", name="Cancel this login").bounding_box()
            assert stop
            await hand.page.evaluate(KEEP_CALM)
            await hand.page.mouse.click(stop["x"] + 9, stop["y"] + 9, click_count=4)
            assert stub.kinds() == ["scan", "confirm"]
            leave = hand.element.get_by_role("link", name="Home")
            await leave.click()
            assert hand.page.url == stub.url, "a link leads nowhere either"
            await hand.page.evaluate(GO_ON)
            await hand.ready()
            await leave.click()
            await hand.page.wait_for_url("**/start")


async def test_by_keyboard_alone(chromium: Browser, tmp_path: Path) -> None:
    """From a typed code to a stop. The focus is never lost."""
    with ApproveStub() as stub:
        stub.attributes += " typed"
        async with thumb(chromium, tmp_path) as hand:
            keys, focus = hand.page.keyboard, "it => it.shadowRoot.activeElement?.localName"
            await hand.page.goto(f"{stub.origin}/qr")
            await hand.until("typing")
            await hand.ready()
            await keys.press("Tab")
            await keys.type("wdjb mjht")
            await keys.press("Enter")
            await hand.until("ask")
            assert await hand.element.evaluate(focus) == "h1"
            await hand.ready()
            for _ in range(2):
                await keys.press("Tab")
            await keys.press("Space")
            await hand.until("approved")
            assert await hand.element.evaluate(focus) == "h1"
            await hand.ready()
            await keys.press("Tab")
            await keys.press("Enter")
            await hand.until("denied")
            assert stub.kinds() == ["scan", "confirm", "deny"]
            assert {call.body["code"] for call in stub.calls} == {"wdjb mjht"}


async def test_the_page_is_told_and_no_code_is_left_in_it(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        stub.attributes += " typed"
        async with thumb(chromium, tmp_path) as hand:
            await hand.page.add_init_script(
                """window.events = []; for (const type of ["qr-approve:state", "qr-approve:done"])
                addEventListener(type, event => events.push([event.type, event.detail]))"""
            )
            await hand.page.goto(f"{stub.origin}/qr")
            await hand.until("typing")
            await hand.ready()
            stub.faults["confirm"].append(Fault.LOST)
            await hand.element.get_by_label("Code").fill("BCDFGHJK")
            await hand.page.keyboard.press("Enter")
            await hand.press(YES)
            await hand.until("approved")
            assert "BCDFGHJK" not in await hand.page.evaluate(SCRAPE)
            await hand.press("Cancel this login")
            await hand.until("denied")
            told = await hand.page.evaluate("events")
            states = ["typing", "looking", "ask", "sending", "approved", "sending", "denied"]
            assert [detail for kind, detail in told if kind.endswith("state")] == [{"state": state} for state in states]
            assert [detail for kind, detail in told if kind.endswith("done")] == [
                {"decision": "approved"},
                {"decision": "denied"},
            ]
