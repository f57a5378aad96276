"""The demo's pages are in the language of the browser, and take every text from the catalogue."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser

from qrlogin.browser import LANGUAGES, texts
from qrlogin.demo import pages
from qrlogin.demo.people import PEOPLE
from qrlogin.demo.site import Site
from tests.browser.login_page import LoginPage
from tests.browser.words import strangers
from tests.demo.phone_page import camera, open_phone
from tests.demo.running import RunningDemo, send
from tests.tables import for_each_row

#: The same in every language: names, addresses, the description of a browser, a code.
DATA = [
    "qrlogin",
    "Alice",
    "Bob",
    "[AB]",
    "(Headless)?Chrome.*",
    "Linux.*",
    r"(http://)?127\.0\.0\.1.*",
    "A•••e",
    "[B-Z]{4}-[B-Z]{4}",
    "([B-Z][ ,]*)+",
    "[^A-Za-z]*(Alice)? · qrlogin 演示",
    "现在|[0-9]+(秒钟?|分钟)前",  # by Intl
]


@for_each_row(
    "accept, lang",
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("zh-HK, zh-CN;q=0.5", "zh-TW"),
        ("ar", "ar"),
        ("nl, en;q=0.5", "en"),
        ("\x00;;q=", "en"),
    ],
)
@for_each_row("path", ["/", "/phone", "/qr/x", "/gallery", "/no/such/page"])
def test_a_page_is_in_the_language_of_accept_language(
    site: Site, path: str, accept: str, lang: str
) -> None:
    html = send(site, "GET", path, accept_language=accept).body.decode()
    assert f'<html lang="{lang}" dir="{"rtl" if lang == "ar" else "ltr"}"' in html
    title = {"/": "logIn", "/gallery": "demoGallery", "/no/such/page": "notFound"}.get(
        path, "demoPhone"
    )
    assert f"<title>{texts(lang)['pages'][title]} · qrlogin" in html


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_text_of_a_page_is_from_the_catalogue(
    lang: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    marked = {key: f"⟦{text}⟧" for key, text in texts(lang)["pages"].items()}
    monkeypatch.setattr(pages, "texts", lambda lang: {"pages": marked})
    for page in (
        pages.login(lang),
        pages.phone(lang),
        pages.not_found(lang),
        pages.logged_in(PEOPLE["alice"], lang),
        pages.gallery(lang, "", "http://127.0.0.1/gallery"),
    ):
        html = re.sub(r"⟦[^⟦⟧]*⟧", "", page.body.decode())
        shown = re.sub(r"<[^>]*>", "\n", html) + "".join(
            re.findall(r'(?:aria-label|alt|title|placeholder)="([^"]*)"', html)
        )
        tags = set("-".join(LANGUAGES).split("-"))  # the gallery's script replaces them with names
        assert set(re.findall(r"[^\W\d_]+", shown)) <= {"qrlogin", "A", "B"} | tags
        assert "⟦" in page.body.decode()


def test_texts_of_the_catalogue_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    evil = dict.fromkeys(texts("en")["pages"], "<script>{name}</script>")
    monkeypatch.setattr(pages, "texts", lambda lang: {"pages": evil})
    for page in (
        pages.login("en"),
        pages.phone("en"),
        pages.not_found("en"),
        pages.logged_in(PEOPLE["alice"], "en"),
        pages.gallery("en", "", "http://127.0.0.1/gallery"),
    ):
        assert b"<script>" not in page.body


@pytest.mark.parametrize("name", ["phone.js", "gallery.js"])
def test_the_scripts_of_the_pages_contain_no_texts(name: str) -> None:
    """Visible text has a space or a letter beyond ASCII. The strings of these scripts are code."""
    source = re.sub(r"/\*.*?\*/|// [^\n]*", "", pages.asset(name).body.decode(), flags=re.DOTALL)
    quoted = re.findall(r'"([^"\n]*)"', source)
    words = [text for text in quoted if re.search(r"[^\x00-\x7f]|[A-Za-z] [A-Za-z]", text)]
    assert words == []


async def test_a_whole_login_is_shown_in_chinese(
    chromium: Browser, demo: RunningDemo, tmp_path: Path
) -> None:
    zh, words = texts("zh-CN")["approve"], texts("zh-CN")["pages"]
    context = await chromium.new_context(viewport={"width": 1200, "height": 800}, locale="zh-CN")
    login_page = await LoginPage.in_context(context, tmp_path)
    phone = await open_phone(chromium, tmp_path, locale="zh-CN")

    async def reads(side: LoginPage) -> None:
        assert await strangers(side.page, "zh-CN", DATA) == []
        await side.shot(f"zh-{len(list(tmp_path.iterdir()))}")

    await login_page.page.goto(demo.origin)
    await login_page.until("pending")
    await reads(login_page)
    await phone.open(f"{demo.origin}/phone")
    await phone.view("who", words["demoWhose"])
    await reads(phone)
    await phone.press(words["demoPhoneOf"].replace("{name}", "Alice"))
    await phone.view("aim", words["demoAim"])
    await reads(phone)
    await phone.open(await camera(login_page))
    await phone.view("ask", zh["ask"].partition("{")[0])
    await reads(phone)
    await phone.press(zh["approve"])
    await phone.view("approved", zh["approved"])
    await reads(phone)
    await login_page.until("confirmed")
    await login_page.press(texts("zh-CN")["login"]["yes"])
    await login_page.page.get_by_role(
        "heading", name=words["loggedInAs"].replace("{name}", "Alice")
    ).wait_for()
    await reads(login_page)
    await phone.view("redeemed", "已登录")
    await reads(phone)
    await context.close()
    await phone.close()
    assert login_page.problems == []
