"""The catalogue of texts: every language has every text, with the same words to fill in."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from qrlogin import browser
from qrlogin.browser import LANGUAGES, MODULES, language, module, texts, translate
from tests.security_rows import row
from tests.tables import for_each_row

SECTIONS = ("both", "login", "approve", "pages")
PASSKEYS = Path(__file__).parents[1] / "examples" / "flask_app" / "passkey_texts.json"


#: The plural forms of a language for whole numbers below a million: CLDR. A browser checks them in
#: tests/browser/test_languages.py.
PLURALS = {
    **dict.fromkeys(("zh-CN", "zh-TW", "ja"), ("other",)),
    "ru": ("one", "few", "many", "other"),
    "ar": ("zero", "one", "two", "few", "many", "other"),
}
OTHERS = [lang for lang in LANGUAGES if lang != "en"]


def expected_keys(lang: str, section: str) -> list[str]:
    """The keys of a section, with one for each plural form of the language."""
    keys = []
    for key in texts("en")[section]:
        name, _, form = key.rpartition("_")
        if form == "other":
            keys += [f"{name}_{each}" for each in PLURALS.get(lang, ("one", "other"))]
        elif form != "one":
            keys.append(key)
    return keys


def pairs() -> Iterator[tuple[str, str, str, str]]:
    """Each text: its language, its section and key, in English, and in that language."""
    for lang in OTHERS:
        for section in SECTIONS:
            english = texts("en")[section]
            for key, text in texts(lang)[section].items():
                other = f"{key.rpartition('_')[0]}_other"
                reference = english.get(other) or english[key]
                yield lang, f"{lang} {section}.{key}", reference, text


@row(123)
@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_language_has_every_text_and_no_other(lang: str) -> None:
    assert tuple(texts(lang)) == SECTIONS
    for section in SECTIONS:
        found, wanted = list(texts(lang)[section]), expected_keys(lang, section)
        assert [key for key in wanted if key not in found] == [], f"{section} lacks these"
        assert [key for key in found if key not in wanted] == [], f"{section} has more"
        assert found == wanted, "the order is the same"
        assert all(
            re.fullmatch("[a-z][A-Za-z0-9]*(_[a-z]+)?|fact_[a-z_]+", key) for key in found
        ), "the key of a fact contains its name in the context"


def test_every_language_has_a_module_that_the_elements_load() -> None:
    source = module("qr-login-texts.js").decode()
    loaded = re.findall(r'import\("\./qr-login-texts-([\w-]+)\.js"\)', source)
    assert loaded == OTHERS
    assert {f"qr-login-texts-{lang}.js" for lang in OTHERS} <= set(MODULES)


def test_a_text_has_the_same_words_to_fill_in_in_every_language() -> None:
    for lang, name, english, text in pairs():
        words = [sorted(re.findall(r"\{\w*\}", each)) for each in (english, text)]
        # One, two and none may be said in words. In Russian, "one" is 21, too.
        spelled = name.endswith(("_zero", "_one", "_two")) and lang != "ru"
        assert words[0] == words[1] or (spelled and words[1] == []), name
        for each in (english, text):
            assert each == each.strip(), name
            assert "<" not in each, f"{name} is plain text, not HTML"
            assert not re.search(r"[{}]", re.sub(r"\{[a-z][A-Za-z]*\}", "", each)), name
            assert each.count("*") % 2 == 0, f"{name}: *emphasized* words"
        assert text.count("*") == english.count("*"), name
        assert bool(english) == bool(text), name
        assert english.isprintable(), name
        assert not re.search("[\u3000-\u9fff\uff00-\uffef]", english), name


#: The letters of a language, beside digits and punctuation. Texts in Latin letters may contain all.
SCRIPTS = {"zh-CN": "\u4e00-\u9fff", "zh-TW": "\u4e00-\u9fff", "ja": "\u3040-\u30ff\u4e00-\u9fff",
           "ru": "\u0400-\u04ff", "ar": "\u0600-\u06ff"}  # fmt: skip
#: Words in Latin letters that they may contain, too: names, and terms without a translation.
LATIN = {"JavaScript", "Cookie", "cookie", "App", "NFC", "IP", "QR"}


def test_no_text_is_left_in_english() -> None:
    for lang, name, english, text in pairs():
        if name.endswith(".direction"):
            continue
        if lang in SCRIPTS:
            plain = re.sub(r"\{\w+\}|WDJB-MJHT", "", text)
            assert set(re.findall("[A-Za-z]{2,}", plain)) <= LATIN, name
            own = not text or re.search(f"[{SCRIPTS[lang]}]", text)
            assert own, f"{name} has no letter of its language"
        elif text == english:  # a word that both languages have, or a name
            assert len(text.split()) <= 2, name


#: How the texts are written: by language, what no text may contain for each rule.
RULES = tomllib.loads(Path(__file__).with_name("text_rules.toml").read_text("utf-8"))


@for_each_row(
    "lang, rule, forbidden",
    [
        (lang, rule, forbidden)
        for lang in LANGUAGES
        for rule, forbidden in {**RULES["all"], **RULES[lang]}.items()
    ],
)
def test_a_language_has_one_noun_for_one_thing_one_form_of_address_and_its_punctuation(
    lang: str, rule: str, forbidden: str
) -> None:
    passkeys = json.loads(PASSKEYS.read_text("utf-8"))[lang]
    for section, known in {**texts(lang), "passkeys": passkeys}.items():
        for key, text in known.items():
            found = re.search(forbidden, re.sub(r"\{\w+\}", "X", text))
            assert not found, f"{section}.{key}: {text}"


def test_a_text_for_a_page_needs_no_plural() -> None:
    """Python fills it in, and has no plural rules."""
    assert not [key for key in texts("en")["pages"] if "_" in key]


def test_arabic_is_written_from_right_to_left() -> None:
    assert {lang: texts(lang)["pages"]["direction"] for lang in LANGUAGES} == {
        lang: "rtl" if lang == "ar" else "ltr" for lang in LANGUAGES
    }


@row(511)
@for_each_row(
    "accepted, found",
    [
        ("", "en"),
        ("*", "en"),
        ("nl", "en"),
        ("de", "de"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("ZH-cn", "zh-CN"),
        ("zh", "zh-CN"),
        ("zh-TW,en;q=0.5", "zh-TW"),
        ("zh-Hant-TW", "zh-TW"),
        ("zh-hant", "zh-TW"),
        ("zh-HK", "zh-TW"),
        ("zh-Hans-HK", "zh-CN"),
        ("zh-SG", "zh-CN"),
        ("pt-BR", "pt"),
        ("fr-CA-x-none", "fr"),
        ("en-GB,zh;q=0.9", "en"),
        ("zh;q=0.5, en;q=0.8", "en"),
        ("nl-NL,nl;q=0.9,zh;q=0.1", "zh-CN"),
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
    assert texts("zh-hk") is texts("zh-TW")


def test_the_catalogue_is_read_only() -> None:
    with pytest.raises(TypeError):
        texts("en")["login"]["yes"] = "no"  # type: ignore[index]


def test_the_modules_are_complete_and_import_only_each_other() -> None:
    folder = Path(browser.__file__).parent
    assert set(MODULES) == {file.name for file in folder.glob("*.js")}
    for name in MODULES:
        source = module(name).decode()
        assert source.isascii() or name.startswith("qr-login-texts") or "…" in source
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
