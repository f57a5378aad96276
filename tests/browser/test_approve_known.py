"""<qr-approve> says whether the account was logged in on that browser before."""

from pathlib import Path

import pytest
from playwright.async_api import Browser

from qrlogin.browser import texts
from tests.browser.approve_page import FITS, approve_page
from tests.browser.approve_stub import ApproveStub
from tests.browser.test_approve_question import EDGES
from tests.browser.words import EACH_LANGUAGE
from tests.security_rows import row

#: The part, its text, and whether it comes before the facts and after the heading.
SHOWN = """it => [...it.shadowRoot.querySelectorAll('[part~=known]')].map(part => [part.textContent,
  !!part.querySelector('em'),
  !!(part.compareDocumentPosition(it.shadowRoot.querySelector('.facts')) & 4) &&
  !!(part.compareDocumentPosition(it.shadowRoot.querySelector('h1')) & 2)])"""


@row(69)
@pytest.mark.parametrize("lang", EACH_LANGUAGE)
async def test_the_question_begins_with_what_no_browser_can_fake(
    chromium: Browser, tmp_path: Path, lang: str
) -> None:
    """In light, in dark and on a small phone, where the answers stay in sight."""
    words = texts(lang)["approve"]
    for known, key in ((True, "known"), (False, "neverUsed")):
        with ApproveStub(lang=lang, known_browser=known) as stub:
            async with approve_page(chromium, tmp_path) as phone:
                await phone.ask(stub.url)
                text = words[key].replace("*", "")
                assert await phone.element.evaluate(SHOWN) == [[text, not known, True]]
                for scheme in ("light", "dark"):
                    await phone.page.emulate_media(color_scheme=scheme)
                    assert await phone.axe() == []
                    await phone.shot(f"{lang}-{key}-{scheme}")
                await phone.page.set_viewport_size({"width": 320, "height": 568})
                assert await phone.page.evaluate(FITS)
                assert (await phone.element.evaluate(EDGES))[0] <= 0, "the answers are in sight"
                await phone.shot(f"{lang}-{key}-small")


#: What a server may answer that says nothing about the browser.
SILENCE = {"nothing": None, "a text": "true", "a number": 1, "a list": [True]}


async def test_without_an_answer_nothing_is_shown(chromium: Browser, tmp_path: Path) -> None:
    for what, answer in SILENCE.items():
        with ApproveStub(known_browser=answer) as stub:
            async with approve_page(chromium, tmp_path) as phone:
                await phone.ask(stub.url)
                assert await phone.element.evaluate(SHOWN) == [], what


def test_english_and_chinese_say_what_to_do_in_front_of_another_browser() -> None:
    english = texts("en")["approve"]
    assert english["known"] == "You have logged in on this browser before."
    assert english["neverUsed"].startswith(
        "*This browser has never been used with your account.* If you are not in front of it"
    )
