"""What <qr-approve> shows when the site's judge refuses a phone or asks for one more step."""

from pathlib import Path

import pytest
from playwright.async_api import Browser

from qrlogin.browser import LANGUAGES, texts
from tests.browser.approve_page import FITS, approve_page
from tests.browser.approve_stub import CODE, ApproveStub
from tests.browser.login_stub import Reply, problem
from tests.browser.words import EACH_LANGUAGE
from tests.tables import for_each_row

WORDS = "Your account is <b>locked</b>. Call 555 0100."
ELSEWHERE = "https://id.example.com/step?for=this"


def step_up(uri: str) -> Reply:
    return problem(403, "step_up_needed", step_up_uri=uri)


@pytest.mark.parametrize("lang", EACH_LANGUAGE)
@pytest.mark.parametrize("verb", ["look", "confirm"])
async def test_a_refusal_shows_the_words_of_the_site_as_its_words(
    chromium: Browser, tmp_path: Path, verb: str, lang: str
) -> None:
    """A login that this account has scanned can be given back."""
    strings = texts(lang)["approve"]
    with ApproveStub(lang=lang) as stub:
        stub.attributes += ' site="Example"'
        stub.faults[verb].append(problem(403, "denied_by_site", words=WORDS))
        async with approve_page(chromium, tmp_path) as phone:
            await phone.page.goto(stub.url)
            if verb == "confirm":
                await phone.press(strings["approve"])
            await phone.until("blocked")
            assert await phone.title() == strings["blocked"]
            said = strings["siteSays"].replace("{site}", "Example").replace("{words}", WORDS)
            assert said in await phone.text(), "as text, not as HTML"
            given_back = [strings["release"]] if verb == "confirm" else []
            assert await phone.buttons() == [strings["rescan"], *given_back]
            await phone.ready()
            assert await phone.axe() == []
            assert await phone.page.evaluate(FITS)
            await phone.shot(f"blocked-{verb}-{lang}")
            if given_back:
                await phone.press(strings["release"])
                await phone.until("released")
            else:
                await phone.press(strings["rescan"])
                await phone.until("ask")


async def test_a_refusal_without_words_is_in_the_language_of_the_page(
    chromium: Browser, tmp_path: Path
) -> None:
    with ApproveStub(lang="zh-CN") as stub:
        stub.faults["look"].append(problem(403, "denied_by_site"))
        async with approve_page(chromium, tmp_path) as phone:
            await phone.page.goto(stub.url)
            await phone.until("blocked")
            assert "denied_by_site" not in await phone.text()
            assert texts("zh-CN")["approve"]["blockedText"] in await phone.text()


@pytest.mark.parametrize("lang", EACH_LANGUAGE)
async def test_a_step_is_a_link_and_the_page_goes_on_with_the_same_code(
    chromium: Browser, tmp_path: Path, lang: str
) -> None:
    """With the keyboard alone. The address of the step holds no code, and nor does its referrer."""
    strings = texts(lang)["approve"]
    with ApproveStub(lang=lang) as stub:
        stub.faults["confirm"].append(step_up("/unlock?for=this"))
        async with approve_page(chromium, tmp_path) as phone:
            await phone.page.goto(stub.url)
            await phone.press(strings["approve"])
            await phone.until("stepup")
            assert await phone.title() == strings["stepup"]
            assert await phone.buttons() == [strings["rescan"], strings["release"]]
            await phone.ready()
            assert await phone.axe() == []
            assert await phone.page.evaluate(FITS)
            await phone.shot(f"stepup-{lang}")
            await phone.page.keyboard.press("Tab")
            async with phone.context.expect_page() as opened:
                await phone.page.keyboard.press("Enter")
            step = await opened.value
            await step.wait_for_load_state()
            assert step.url == f"{stub.origin}/unlock?for=this"
            assert [path for path, _ in stub.pages][-1] == "/unlock"
            assert CODE not in str(stub.pages[-1])
            assert await step.evaluate("window.opener") is None
            await phone.turn("hidden")
            await step.close()
            await phone.turn("visible")
            await phone.until("ask")
            await phone.press(strings["approve"])
            await phone.until("approved")
            assert stub.kinds(reads=False) == ["scan", "confirm", "confirm"], "one scan"
            assert {call.body["code"] for call in stub.calls} == {stub.url}


async def test_a_step_before_the_question_keeps_a_typed_code(
    chromium: Browser, tmp_path: Path
) -> None:
    with ApproveStub() as stub:
        stub.attributes += " typed"
        stub.faults["look"].append(step_up("/unlock"))
        async with approve_page(chromium, tmp_path) as phone:
            await phone.page.goto(f"{stub.origin}/qr")
            await phone.until("typing")
            await phone.element.locator("input").fill("WDJB-MJHT")
            await phone.press("Next")
            await phone.until("stepup")
            await phone.press("View details again")
            await phone.until("ask")
            assert {call.body["code"] for call in stub.calls} == {"WDJB-MJHT"}


async def test_a_step_at_another_site_is_named(chromium: Browser, tmp_path: Path) -> None:
    with ApproveStub() as stub:
        stub.faults["look"].append(step_up(ELSEWHERE))
        async with approve_page(chromium, tmp_path) as phone:
            await phone.page.goto(stub.url)
            await phone.until("stepup")
            link = phone.element.get_by_role("link", name="Go to this step at id.example.com")
            assert await link.get_attribute("href") == ELSEWHERE
            assert await link.get_attribute("rel") == "noopener"
            inside = await link.evaluate("it => [...it.childNodes].map((each) => each.nodeName)")
            assert inside == ["SPAN"], "each part of the sentence would be a line of its own"
            await phone.shot("stepup-elsewhere")


async def test_an_address_that_is_no_step_is_no_link(chromium: Browser, tmp_path: Path) -> None:
    """The person can still look again."""
    wrong = [
        "javascript:alert(1)",
        "//evil.example",
        "http://evil.example/",
        "/..//evil.example",
        "",
    ]
    with ApproveStub() as stub:
        async with approve_page(chromium, tmp_path) as phone:
            for uri in wrong:
                stub.faults["look"].append(step_up(uri))
                await phone.page.goto(stub.url)
                await phone.until("stepup")
                assert await phone.element.get_by_role("link").count() == 0, uri
                assert await phone.buttons() == ["View details again"]


@for_each_row("lang", LANGUAGES)
def test_a_refusal_does_not_claim_that_the_login_is_over(lang: str) -> None:
    """The browser goes on waiting, and another phone may approve."""
    strings = texts(lang)["approve"]
    assert strings["blockedText"] not in (strings["deniedText"], strings["stoppedText"])
