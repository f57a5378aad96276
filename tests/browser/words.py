"""Checks that a page shows only texts of the catalogue, in any language and from any server.

It collects what people and screen readers get: visible text, labels, alternative texts, the title.
Each piece must be a text of the catalogue, with something in place of its {words}, or data that the
test names. On a Chinese page this finds every English text that was not translated.
"""

import re
from collections.abc import Iterable, Mapping

import pytest
from playwright.async_api import Page

from qrlogin.browser import texts

EACH_LANGUAGE = [
    pytest.param(lang, marks=[] if lang == "en" else pytest.mark.matrix)
    for lang in ("en", "zh-CN", "ar")
]
"""For a rule that does not depend on the language. `make test` tries it in English, and the matrix
without spaces between words and from right to left. A whole login in Chinese is part of
`make test`: tests/demo/test_languages.py. The pictures of all languages: test_languages.py.
"""

# Visible text nodes, shadow roots included; attributes that are spoken or shown; text from style
# sheets.
SHOWN = r"""() => { const found = [document.title];
const spoken = ["aria-label", "aria-description", "aria-roledescription", "aria-valuetext", "alt",
  "title", "placeholder"];
const walk = element => {
  if (!element.checkVisibility({visibilityProperty: true})) return;
  for (const name of spoken) if (element.hasAttribute(name)) found.push(element.getAttribute(name));
  if (element.matches("input[type=submit], input[type=button], input[type=reset]"))
    found.push(element.value);
  for (const pseudo of ["::before", "::after", "::marker"]) {
    const written = /^"(.*)"$/.exec(getComputedStyle(element, pseudo).content);
    if (written && /\p{L}/u.test(written[1])) found.push(written[1]) }
  const slotted = element.localName === "slot" && element.assignedNodes().length;
  for (const node of slotted ? [] : (element.shadowRoot ?? element).childNodes)
    if (node.nodeType === Node.TEXT_NODE) found.push(node.data);
    else if (node.nodeType === Node.ELEMENT_NODE) walk(node);
  if (element.shadowRoot)
    for (const child of element.children) if (child.assignedSlot) walk(child) };
walk(document.body);
return found.map(each => each.replace(/\s+/gu, " ").trim()).filter(Boolean) }"""

_WORD = re.compile(r"\{\w+\}|\*")  # *emphasized* words are elements


async def shown(page: Page) -> list[str]:
    """Each piece of text that the page shows now."""
    return [str(each) for each in await page.evaluate(SHOWN)]


def for_two(strings: Mapping[str, str], key: str) -> str:
    """A text that depends on a number, for two."""
    return strings.get(f"{key}_two", strings[f"{key}_other"]).replace("{n}", "2")


async def strangers(page: Page, lang: str, data: Iterable[str] = ()) -> list[str]:
    """The pieces of text that the page shows and the catalogue in this language does not have.

    Pieces without a letter, such as numbers, are left out.

    :param lang: a language of the catalogue
    :param data: regular expressions for text that is the same in every language, such as a name, an
        address or a code
    """
    forms = [*_forms(lang), *map(re.compile, data)]
    return [
        piece
        for piece in await shown(page)
        if re.search(r"[^\W\d_]", piece) and not any(form.fullmatch(piece) for form in forms)
    ]


def _forms(lang: str) -> list[re.Pattern[str]]:
    """A pattern for each text, and one for each part between its {words}.

    In place of a word, any short text matches. The parts match alone because markup may split a
    text there.
    """
    forms = []
    for text in (text for section in texts(lang).values() for text in section.values()):
        plain = " ".join(text.split())  # a space that does not break is one, too
        parts = [re.escape(part.strip()) for part in _WORD.split(plain)]
        if any(parts):
            forms.append(
                re.compile(r".{1,80}?".join(re.escape(part) for part in _WORD.split(plain)))
            )
        forms += [re.compile(part) for part in parts if part]
    return forms
