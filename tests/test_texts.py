"""The catalogue of texts: every language has every text, with the same words to fill in."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from qrlogin import browser
from qrlogin.browser import LANGUAGES, MODULES, language, module, texts, translate
from tests.security_rows import row
from tests.tables import for_each_row

SECTIONS = ("login", "approve", "pages")


def pairs() -> Iterator[tuple[str, str, str]]:
    """Each text: its section and key, in English, and in Chinese."""
    for section in SECTIONS:
        for key, english in texts("en")[section].items():
            yield f"{section}.{key}", english, texts("zh-CN")[section][key]


@row(123)
def test_every_language_has_the_same_sections_and_keys() -> None:
    assert LANGUAGES == ("en", "zh-CN")
    for lang in LANGUAGES:
        assert tuple(texts(lang)) == SECTIONS
        for section in SECTIONS:
            assert list(texts(lang)[section]) == list(texts("en")[section]), (
                "the same keys in the same order"
            )
            assert all(
                re.fullmatch("[a-z][A-Za-z0-9]*|fact_[a-z_]+", key) for key in texts(lang)[section]
            ), "the key of a fact contains its name in the context"


def test_a_text_has_the_same_words_to_fill_in_in_every_language() -> None:
    for name, english, chinese in pairs():
        words = [sorted(re.findall(r"\{\w*\}", text)) for text in (english, chinese)]
        assert words[0] == words[1], name
        for text in (english, chinese):
            assert text == text.strip(), name
            assert "<" not in text, f"{name} is plain text, not HTML"
            assert not re.search(r"[{}]", re.sub(r"\{[a-z][A-Za-z]*\}", "", text)), name
        assert bool(english) == bool(chinese), name
        assert english.isprintable(), name
        assert not re.search("[\u3000-\u9fff\uff00-\uffef]", english), name


#: Words in Latin letters that Chinese texts may contain: names, and terms that are usual in China.
LATIN = {"JavaScript", "Cookie", "App", "NFC", "IP"}


def test_a_chinese_text_follows_the_rules_of_chinese() -> None:
    for name, _, chinese in pairs():
        text = re.sub(r"\{\w+\}", "X", chinese)
        assert not re.search(r"[,;:!?()\"']|\.(?!\d)", text), f"{name}: full-width punctuation"
        assert set(re.findall("[A-Za-z]{2,}", text)) <= LATIN, name
        assert not re.search("您", text), f"{name}: users are addressed as 你"
        assert not re.search("[A-Za-z0-9][\u4e00-\u9fff]|[\u4e00-\u9fff][A-Za-z0-9]", text), (
            f"{name}: a space between Chinese and Latin"
        )
        assert not re.search("帐|登陆|扫瞄", text), f"{name}: 账号, 登录, 扫描"
        assert not text or re.search("[\u4e00-\u9fff]", text), name


@row(511)
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
def test_the_header_selects_the_language(accepted: str, found: str) -> None:
    assert language(accepted) == found


def test_an_unknown_language_gets_the_english_texts() -> None:
    assert texts("") is texts("xx-nonsense") is texts("en")
    assert texts("zh-hk") is texts("zh-CN")


def test_the_catalogue_is_read_only() -> None:
    with pytest.raises(TypeError):
        texts("en")["login"]["yes"] = "no"  # type: ignore[index]


def test_the_modules_are_complete_and_import_only_each_other() -> None:
    folder = Path(browser.__file__).parent
    assert set(MODULES) == {file.name for file in folder.glob("*.js")}
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


def test_filled_in_words_do_not_change_the_direction_of_the_text() -> None:
    assert translate("en", "loggedInAs", name="{n} \u202eevil") == texts("en")["pages"][
        "loggedInAs"
    ].replace("{name}", "\u2068{n} evil\u2069")
    closing = translate("en", "loggedInAs", name="x\u2069\u202e\n\u2029(nimda) \u0646\u200c\u0647")
    assert closing == texts("en")["pages"]["loggedInAs"].replace(
        "{name}", "\u2068x (nimda) \u0646\u200c\u0647\u2069"
    )
    assert "15" in translate("zh-CN", "passwordHelp", n=15)
    assert "\u2068" not in translate("zh-CN", "passwordHelp", n=15), "a number needs no isolates"
    for key, words in (("noSuchKey", {}), ("loggedInAs", {}), ("loggedInAs", {"nome": "a"})):
        with pytest.raises(KeyError):
            translate("en", key, **words)
