"""Bytes that attackers send: a corpus, and mutations of it and of genuine texts.

`corpus.json` holds what once broke a parser, here or elsewhere. Add what breaks one.
"""

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.wire.dialects.hostile import HOSTILE

_FILE: list[str] = json.loads(Path(__file__).with_name("corpus.json").read_text("utf-8"))
CORPUS = (*HOSTILE, *_FILE)
_SIGNS = (
    "\x00", "\t", "\r\n", " ", "\x7f", "\x85", "\xa0", "\xad", "é", "ß", "İ", "\u017f", "\u200b",
    "٣", "\u202e", "\u2028", "\ufeff", "\uff21", "\ud800", "\U0001f512", "%", "%00", "%ff", "%25",
    "&", "=", ";", ",", ".", "-", "_", "/", "\\", "?", "#", "@", ":", "[", "]", "{", "}", '"', "'",
    "<", ">", "+", "*", "(", ")", "0", "9", "A", "z",
)  # fmt: skip
_LONGEST = 20_000


def texts(drawn: random.Random, genuine: Sequence[str], number: int) -> Iterator[str]:
    """The corpus and the genuine texts, each alone; then mutations of them, `number` texts in all.

    :param drawn: draws the mutations.
    :param genuine: texts that the parser accepts.
    :param number: how many.
    """
    known = [*genuine, *CORPUS]
    yield from known[:number]
    for _ in range(number - len(known)):
        # Mostly of genuine texts: others fail at the first check.
        text = drawn.choice(genuine) if genuine and drawn.random() < 0.7 else drawn.choice(known)
        for _ in range(drawn.randint(1, 3)):
            text = mutated(drawn, text, known)
        yield text


def mutated(drawn: random.Random, text: str, known: Sequence[str]) -> str:
    """A text with one mutation."""
    at = drawn.randint(0, len(text))
    to = drawn.randint(at, min(len(text), at + 8))
    match drawn.randrange(8):
        case 0:
            return text[:at] + drawn.choice(_SIGNS) + text[at:]
        case 1:
            return text[:at] + text[to:]
        case 2:
            return text[:at] + drawn.choice(_SIGNS) + text[at + 1 :]
        case 3:
            return text[:at] + drawn.choice(known) + text[to:]
        case 4:
            other = drawn.choice(known)
            return text[:at] + other[drawn.randint(0, len(other)) :]
        case 5:
            return (text[:at] + text[at:to] * drawn.choice((2, 50, 1000)) + text[to:])[:_LONGEST]
        case 6:
            return text[:at] + chr(drawn.randrange(0x110000)) + text[at:]
        case _:
            return text.swapcase() if drawn.random() < 0.5 else text[::-1]


def as_bytes(text: str) -> bytes:
    """Bytes for a text: also such as are no UTF-8."""
    return text.encode("utf-8", "surrogatepass")
