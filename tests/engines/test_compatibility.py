"""The oldest browsers that docs/element.md lists are those of MDN's compatibility data.

Each module is searched for the features below. What a newer browser has and an element can do
without is in EXTRAS, and in the second table of the page.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import npm_parts
import pytest

from tests import servers
from tests.engines.windows import FOLDER

pytestmark = pytest.mark.matrix

ROOT = FOLDER.parent.parent
BROWSERS = ("chrome", "safari", "firefox")
CLASSES, OPERATORS = "javascript.classes", "javascript.operators"
#: A regular expression for each feature that an element cannot do without, and its name at MDN.
NEEDED = {
    r"adoptedStyleSheets": "api.Document.adoptedStyleSheets",
    r"replaceSync": "api.CSSStyleSheet.replaceSync",
    r"\{ signal": ("api.EventTarget.addEventListener.options_parameter.options_signal_parameter"),
    r"AbortController": "api.AbortController",
    r"AbortSignal\.timeout": "api.AbortSignal.timeout_static",
    r"AbortSignal\.any": "api.AbortSignal.any_static",
    r"\bResponse\.json\(": "api.Response.json_static",
    r"replaceChildren": "api.Element.replaceChildren",
    r"queueMicrotask": "api.queueMicrotask",
    r"globalThis": "javascript.builtins.globalThis",
    r"toggleAttribute": "api.Element.toggleAttribute",
    r"flatMap": "javascript.builtins.Array.flatMap",
    r"replaceAll\(": "javascript.builtins.String.replaceAll",
    r"\.at\(": "javascript.builtins.Array.at",
    r"findLast\(": "javascript.builtins.Array.findLast",
    r"structuredClone": "api.structuredClone",
    r"randomUUID": "api.Crypto.randomUUID",
    r"static \{": f"{CLASSES}.static.initialization_blocks",
    r"static \w+ =": f"{CLASSES}.static.class_fields",
    r"this\.#": f"{CLASSES}.private_class_fields",
    r"\n  (async )?#\w+\(": f"{CLASSES}.private_class_methods",
    r"#\w+ in ": f"{CLASSES}.private_class_fields_in",
    r"\?\.": f"{OPERATORS}.optional_chaining",
    r" \?\? ": f"{OPERATORS}.nullish_coalescing",
    r"\?\?=": f"{OPERATORS}.nullish_coalescing_assignment",
    r"\|\|=": f"{OPERATORS}.logical_or_assignment",
    r"\\p\{": "javascript.regular_expressions.unicode_character_class_escape",
    r"\(\?<[=!]": "javascript.regular_expressions.lookbehind_assertion",
    r":is\(": "css.selectors.is",
    r":has\(": "css.selectors.has",
    r":focus-visible": "css.selectors.focus-visible",
    r"aspect-ratio:": "css.properties.aspect-ratio",
    r"margin-inline": "css.properties.margin-inline",
    r"inset": "css.properties.inset",
    r"\bimport\(": "javascript.operators.import",
    r"Intl\.PluralRules": "javascript.builtins.Intl.PluralRules",
    r"Intl\.RelativeTimeFormat": "javascript.builtins.Intl.RelativeTimeFormat",
    r"@container": "css.at-rules.container",
    r"@layer": "css.at-rules.layer",
}
EXTRAS = {
    r"light-dark\(": "css.types.color.light-dark",
    r"color-mix\(": "css.types.color.color-mix",
    r"text-wrap": "css.properties.text-wrap.balance",
    r"Segmenter": "javascript.builtins.Intl.Segmenter",
    r"keepalive": "api.Request.keepalive",
}


@cache
def mdn() -> dict[str, Any]:
    if not npm_parts.ready(FOLDER):
        servers.missing("MDN's compatibility data", npm_parts.HOW)
    data = FOLDER / "node_modules" / "@mdn" / "browser-compat-data" / "data.json"
    read: dict[str, Any] = json.loads(data.read_text("utf-8"))
    return read


def since(feature: str, browser: str) -> tuple[int, ...]:
    """The first version of this browser that has the feature, without a flag or a prefix."""
    found: Any = mdn()
    for name in feature.split("."):
        found = found[name]
    support = found["__compat"]["support"][browser]
    whole = [
        each
        for each in (support if isinstance(support, list) else [support])
        if not {"flags", "prefix", "alternative_name", "partial_implementation"} & each.keys()
    ]
    return version(whole[0]["version_added"])


def version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split("."))


def without_comments(text: str) -> str:
    return re.sub(r"/\*\*.*?\*/|(?m:(?:^| )//[^\n]*$)", "", text, flags=re.DOTALL)


def source(element: str) -> str:
    """The module of an element and those that it imports, without comments."""
    seen: dict[str, str] = {}
    wanted = [f"{element}-element.js"]
    for name in wanted:
        text = (ROOT / "qrlogin" / "browser" / name).read_text("utf-8")
        wanted += [
            each for each in re.findall(r'from "\./([\w-]+\.js)"', text) if each not in wanted
        ]
        seen[name] = without_comments(text)
    return "\n".join(seen.values())


def documented(row: str) -> dict[str, tuple[int, ...]]:
    """The versions in a row of the page's tables, by browser."""
    page = (ROOT / "docs" / "element.md").read_text("utf-8")
    return {
        browser: version(found)
        for browser, found in re.findall(r"(Chrome|Safari|Firefox) (\d[\d.]*)", row_of(page, row))
    }


def row_of(page: str, start: str) -> str:
    (line,) = (line for line in page.splitlines() if line.startswith(f"| {start}"))
    return line


@pytest.mark.parametrize("element", ["qr-login", "qr-approve"])
def test_the_oldest_browsers_in_the_docs_have_every_feature_that_an_element_needs(
    element: str,
) -> None:
    text, page = source(element), (ROOT / "docs" / "element.md").read_text("utf-8")
    for start, browser in (("Chrome", "chrome"), ("Safari", "safari"), ("Firefox", "firefox")):
        oldest = {
            feature: since(feature, browser)
            for pattern, feature in NEEDED.items()
            if re.search(pattern, text)
        }
        cells = row_of(page, start).split("|")
        assert version(cells[2].split()[0]) == max(oldest.values()), (browser, oldest)


@pytest.mark.parametrize(
    "script", sorted((ROOT / "examples").rglob("static/*.js")), ids=lambda path: path.name
)
def test_a_script_of_an_example_works_in_the_oldest_browsers_of_an_element(script: Path) -> None:
    """`PublicKeyCredential` is newer: passkeys.js looks for it, and offers nothing without it."""
    text, page = without_comments(script.read_text("utf-8")), (ROOT / "docs" / "element.md")
    for start, browser in (("Chrome", "chrome"), ("Safari", "safari"), ("Firefox", "firefox")):
        oldest = version(row_of(page.read_text("utf-8"), start).split("|")[2].split()[0])
        for pattern, feature in NEEDED.items():
            if re.search(pattern, text):
                assert since(feature, browser) <= oldest, (feature, browser)


def test_the_docs_say_which_browsers_lack_an_extra() -> None:
    text = source("qr-login") + source("qr-approve")
    names = {
        r"light-dark\(": "`light-dark()`",
        r"color-mix\(": "`color-mix()`",
        r"text-wrap": "`text-wrap: balance`",
        r"Segmenter": "`Intl.Segmenter`",
        r"keepalive": "`fetch(…, {keepalive})`",
    }
    for pattern, feature in EXTRAS.items():
        assert re.search(pattern, text), pattern
        for browser, found in documented(names[pattern]).items():
            assert since(feature, browser.lower()) == found, (feature, browser)
