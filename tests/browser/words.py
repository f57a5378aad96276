"""Whether a page says anything that is not in the catalogue: for every page of ours, in every language, whoever served it.

What a page shows is collected where people and screen readers meet it: visible text, labels, alternative texts, the title.
Each piece must be a text of the catalogue, with something in place of its {words}, or one of the data that the test names.
In Chinese nothing hides: English that was forgotten in a page is none of its texts.
"""

import re
from collections.abc import Iterable

from playwright.async_api import Page

from qrlogin.browser import texts

# Visible text nodes, shadow roots included; attributes that are spoken or shown; what a stylesheet writes.
SHOWN = r"""() => { const found = [document.title];
const spoken = ["aria-label", "aria-description", "aria-roledescription", "aria-valuetext", "alt", "title", "placeholder"];
const walk = element => {
  if (!element.checkVisibility({visibilityProperty: true})) return;
  for (const name of spoken) if (element.hasAttribute(name)) found.push(element.getAttribute(name));
  if (element.matches("input[type=submit], input[type=button], input[type=reset]")) found.push(element.value);
  for (const pseudo of ["::before", "::after", "::marker"]) {
    const written = /^"(.*)"$/.exec(getComputedStyle(element, pseudo).content);
    if (written && /\p{L}/u.test(written[1])) found.push(written[1]) }
  const slotted = element.localName === "slot" && element.assignedNodes().length;
  for (const node of slotted ? [] : (element.shadowRoot ?? element).childNodes)
    if (node.nodeType === Node.TEXT_NODE) found.push(node.data); else if (node.nodeType === Node.ELEMENT_NODE) walk(node);
  if (element.shadowRoot) for (const child of element.children) if (child.assignedSlot) walk(child) };
walk(document.body);
return found.map(each => each.replace(/\s+/gu, " ").trim()).filter(Boolean) }"""

_WORD = re.compile(r"\{\w+\}|\*")  # *stressed* words are elements of their own


async def shown(page: Page) -> list[str]:
    """Everything that the page says now, piece by piece."""
    return [str(each) for each in await page.evaluate(SHOWN)]


async def strangers(page: Page, lang: str, data: Iterable[str] = ()) -> list[str]:
    """What the page says and the catalogue in this language does not. `data` are regular expressions for what no language
    changes, such as a name, an address or a code; a number is data anyway, and so is what has no letter.
    """
    forms = [*_forms(lang), *map(re.compile, data)]
    return [
        piece
        for piece in await shown(page)
        if re.search(r"[^\W\d_]", piece) and not any(form.fullmatch(piece) for form in forms)
    ]


def _forms(lang: str) -> list[re.Pattern[str]]:
    """Of each text the whole, with anything short in place of its {words}, and each part between them: markup may cut there."""
    forms = []
    for text in (each for section in texts(lang).values() for each in section.values()):
        parts = [re.escape(" ".join(part.split())) for part in _WORD.split(text)]
        forms += (
            [re.compile(r".{1,80}?".join(re.escape(part) for part in _WORD.split(text)))]
            if any(parts)
            else []
        )
        forms += [re.compile(part) for part in parts if part]
    return forms
