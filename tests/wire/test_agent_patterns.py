"""A User-Agent is read by the few patterns that it can fit, so no client makes it take long."""

import time
from typing import Final

from hypothesis import given
from hypothesis import strategies as st
from ua_parser import BasicResolver, Domain, load_lazy_builtins

from qrlogin.names import clean
from qrlogin.wire.agent_patterns import needed_texts
from qrlogin.wire.context import _SHORT_NAMES, _ascii, _known_names, _parser
from qrlogin.wire.user_agents import read_user_agent
from tests.tables import for_each_row
from tests.wire.test_context import HOSTILE, SHOWN

BROWSERS, SYSTEMS, _ = load_lazy_builtins()
PATTERNS = [str(vars(each)["regex"]) for each in (*BROWSERS, *SYSTEMS)]

#: What the patterns of the extra took longest to read, and what they look for.
_SLOW_WORDS: Final = (
    *(
        "crawl",
        "crawler ",
        "bot",
        "-bot/1",
        "spider",
        "Teams",
        "Teams/1.",
        "A",
        "/",
        "(",
        "1.",
        "-",
    ),
    *("Mobile ", "Android ", "Mozilla/5.0 ", "Version/1 Safari ", "Obigo", "Windows NT ", " "),
)


def _repeated(word: str) -> str:
    return (word * 320)[:320]


def test_a_hostile_user_agent_costs_a_few_times_an_ordinary_one_of_its_length() -> None:
    """Ten times, before the patterns were chosen by the texts that they need."""
    parse = _parser().__wrapped__  # type: ignore[attr-defined]
    prose = "Some words that no browser has, in a sentence of an ordinary kind. "

    def cost(word: str) -> int:
        agent = _repeated(word)
        spent = []
        for _ in range(5):
            began = time.process_time_ns()
            parse(agent)
            spent.append(time.process_time_ns() - began)
        return min(spent)

    ordinary = cost(prose)
    slow = {word: cost(word) / ordinary for word in _SLOW_WORDS}
    assert max(slow.values()) < 6, slow


def test_choosing_patterns_changes_no_name() -> None:
    """Every browser and system of the tests, and hostile ones, as the extra itself reads them."""
    extra = BasicResolver((BROWSERS, SYSTEMS, []))
    known = _known_names(BROWSERS), _known_names(SYSTEMS)
    for agent in (*(each[0] for each in SHOWN), *HOSTILE.values(), *map(_repeated, _SLOW_WORDS)):
        text = _ascii(agent)[:320]
        found = extra(text, Domain.USER_AGENT | Domain.OS)
        names = (
            found.user_agent.family if found.user_agent else "",
            found.os.family if found.os else "",
        )
        own = read_user_agent(text)
        expected = [
            clean(_SHORT_NAMES.get(name, name), 40)
            for name in (
                name if name in names_known else fallback
                for name, names_known, fallback in zip(names, known, own, strict=True)
            )
        ]
        assert [*_parser()(text)] == expected, text


@for_each_row(
    "pattern, texts",
    [
        ("(Firefox)/(\\d+)", ("firefox",)),
        ("(?:Chrome|CriOS)/x", ("chrome", "crios")),
        ("Fire(?:fox|)", ("fire",)),
        ("ab+c?defg", ("defg",)),
        ("ab{0,3}cd{2}", ("cd",)),
        ("[Ss]pider[0-9]*", ("spider",)),
        ("x|", ("",)),
        ("(?i)firefox", ("",)),
        ("[^]a]b.c\\.d", ("c.d",)),
        ("(abc)?de", ("de",)),
    ],
)
def test_a_pattern_names_the_texts_of_which_it_needs_one(
    pattern: str, texts: tuple[str, ...]
) -> None:
    assert needed_texts(pattern) == texts


@given(pattern=st.sampled_from(PATTERNS), data=st.data())
def test_a_text_that_fits_a_pattern_holds_one_that_it_needs(
    pattern: str, data: st.DataObject
) -> None:
    text = data.draw(st.from_regex(pattern, alphabet=st.characters(max_codepoint=126)))
    assert any(needed in text.lower() for needed in needed_texts(pattern))
