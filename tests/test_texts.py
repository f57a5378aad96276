"""The catalogue of texts: every language says everything, with the same words to fill in, in its own punctuation."""

import re
from pathlib import Path

import pytest

from qrlogin import browser
from qrlogin.browser import LANGUAGES, MODULES, language, module, texts, translate
from tests.tables import for_each_row

SECTIONS = ("login", "approve", "pages")
EVERY = [(section, key) for section in SECTIONS for key in texts("en")[section]]


def test_the_languages_and_their_sections() -> None:
    assert LANGUAGES == ("en", "zh-CN")
    for lang in LANGUAGES:
        assert tuple(texts(lang)) == SECTIONS
        for section in SECTIONS:
            assert list(texts(lang)[section]) == list(texts("en")[section]), (
                "the same keys in the same order"
            )
            assert all(
                re.fullmatch("[a-z][A-Za-z0-9]*|fact_[a-z_]+", key) for key in texts(lang)[section]
            ), "a fact is named as in the context"


@for_each_row("section, key", EVERY)
def test_a_text_in_every_language(section: str, key: str) -> None:
    english, chinese = (texts(lang)[section][key] for lang in LANGUAGES)
    words = [sorted(re.findall(r"\{\w*\}", text)) for text in (english, chinese)]
    assert words[0] == words[1]
    for text in (english, chinese):
        assert text == text.strip()
        assert "<" not in text, "texts are no HTML"
        assert not re.search(r"[{}]", re.sub(r"\{[a-z][A-Za-z]*\}", "", text))
    assert bool(english) == bool(chinese)
    assert english.isprintable()
    assert not re.search("[\u3000-\u9fff\uff00-\uffef]", english)


#: Written with Latin letters in Chinese, too: names, and what people in China call them.
LATIN = {"JavaScript", "Cookie", "App", "NFC", "IP"}


@for_each_row("section, key", EVERY)
def test_chinese_is_chinese(section: str, key: str) -> None:
    text = re.sub(r"\{\w+\}", "X", texts("zh-CN")[section][key])
    assert not re.search(r"[,;:!?()\"']|\.(?!\d)", text), "punctuation is full-width"
    assert set(re.findall("[A-Za-z]{2,}", text)) <= LATIN
    assert not re.search("您", text), "people are addressed as 你, everywhere"
    assert not re.search("[A-Za-z0-9][\u4e00-\u9fff]|[\u4e00-\u9fff][A-Za-z0-9]", text), (
        "a space between Chinese and Latin"
    )
    assert not re.search("帐|登陆|扫瞄", text), "账号, 登录, 扫描"
    assert not text or re.search("[\u4e00-\u9fff]", text)


@for_each_row(
    "accepted, found",
    [
        ("", "en"),
        ("*", "en"),
        ("de", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("ZH-cn", "zh-CN"),
        ("zh", "zh-CN"),
        ("zh-TW,en;q=0.5", "zh-CN"),
        ("zh-Hant-TW", "zh-CN"),
        ("en-GB,zh;q=0.9", "en"),
        ("zh;q=0.5, en;q=0.8", "en"),
        ("de-DE,de;q=0.9,zh;q=0.1", "zh-CN"),
        ("en;q=0, *", "zh-CN"),
        ("zh;q=0", "en"),
        ("zh-CN;q=0, zh", "en"),
        ("zh;q=2, zh;q=x, ;q=1, -, \x00, é", "en"),
        ("zh ; q=0.4 , en ; q=0.2", "zh-CN"),
        ("zhx", "en"),
        ("x," * 50_000 + "zh", "en"),
    ],
)
def test_which_language_a_browser_asks_for(accepted: str, found: str) -> None:
    assert language(accepted) == found


def test_an_unknown_language_gets_the_english_texts() -> None:
    assert texts("") is texts("xx-nonsense") is texts("en")
    assert texts("zh-hk") is texts("zh-CN")


def test_the_catalogue_is_read_only() -> None:
    with pytest.raises(TypeError):
        texts("en")["login"]["yes"] = "no"  # type: ignore[index]


def test_the_modules_are_all_there_are_and_import_each_other_only() -> None:
    folder = Path(browser.__file__).parent
    assert set(MODULES) == {each.name for each in folder.glob("*.js")}
    for name in MODULES:
        source = module(name).decode()
        assert source.isascii() or name == "qr-login-texts.js" or "…" in source
        for imported in re.findall(
            r"""(?:\bfrom|\bimport)\s*\(?["']([^"']+)["']""",
            re.sub(r"/\*.*?\*/", "", source, flags=re.S),
        ):
            assert imported.removeprefix("./") in MODULES, f"{name} imports {imported}"
    with pytest.raises(KeyError):
        module("__init__.py")


def test_words_are_filled_in_and_turn_nothing_around_them() -> None:
    assert translate("en", "loggedInAs", name="{n} \u202eevil") == texts("en")["pages"][
        "loggedInAs"
    ].replace("{name}", "\u2068{n} evil\u2069")
    closing = translate("en", "loggedInAs", name="x\u2069\u202e\n\u2029(nimda) \u0646\u200c\u0647")
    assert closing == texts("en")["pages"]["loggedInAs"].replace(
        "{name}", "\u2068x(nimda) \u0646\u200c\u0647\u2069"
    )
    assert "15" in translate("zh-CN", "passwordHelp", n=15)
    assert "\u2068" not in translate("zh-CN", "passwordHelp", n=15), "a number turns nothing"
    for key, words in (("noSuchKey", {}), ("loggedInAs", {}), ("loggedInAs", {"nome": "a"})):
        with pytest.raises(KeyError):
            translate("en", key, **words)
