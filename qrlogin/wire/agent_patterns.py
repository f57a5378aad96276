"""Which patterns of the extra `context` a User-Agent can fit at all, found without trying them.

The extra has some six hundred patterns, and each search looks through the whole User-Agent. But
most patterns hold a text that has to be there, such as "SamsungBrowser/", and to look for a text
takes much less time. So a User-Agent is searched by a few patterns, whatever a client writes into
it: few of these texts fit into its 320 characters. What is found is the same.
"""

import re
from typing import Final

_COUNT: Final = re.compile(r"\{([0-9]*)(?:,[0-9]*)?\}")
_CLASS: Final = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
#: Groups that are not read: with flags, with a name, and what looks ahead or back.
_OTHER_GROUP: Final = re.compile(r"\(\?(?!:)")


def needed_texts(pattern: str) -> tuple[str, ...]:
    """Texts in lower case of which at least one is in every ASCII text that fits this pattern, in
    whatever case. ("",) if it is not easy to see.
    """
    if _OTHER_GROUP.search(pattern):
        return ("",)
    return tuple(sorted(_Reader(pattern).read_choice())) or ("",)


class _Reader:
    """Reads a valid pattern from the left. A set of no texts means: nothing is known to be there.

    What it does not know it skips, so it may miss a text, and never adds one.
    """

    def __init__(self, pattern: str) -> None:
        self._pattern, self._at = pattern, 0

    def read_choice(self) -> frozenset[str]:
        """Read up to the end of the pattern or of the group."""
        choice = [self._read_sequence()]
        while self._next() == "|":
            self._at += 1
            choice.append(self._read_sequence())
        return frozenset().union(*choice) if all(choice) else frozenset()

    def _read_sequence(self) -> frozenset[str]:
        best, run = frozenset[str](), ""
        while self._next() not in ("", "|", ")"):
            found = self._read_item()
            least, most = self._read_count()
            if isinstance(found, str) and found and (least, most) == (1, 1):
                run += found
                continue
            if least and isinstance(found, str):
                run += found
            best, run = _better(best, frozenset([run]) if run else frozenset()), ""
            if least and isinstance(found, frozenset):
                best = _better(best, found)
        return _better(best, frozenset([run]) if run else frozenset())

    def _read_item(self) -> str | frozenset[str]:
        """Read one character, class or group: the character, "" for one that may vary, or texts of
        which one is in the group.
        """
        sign = self._next()
        if sign == "(":
            self._at += 3 if self._pattern.startswith("(?:", self._at) else 1
            texts = self.read_choice()
            self._at += 1
            return texts
        if sign == "[" and (found := _CLASS.match(self._pattern, self._at)):
            self._at = found.end()
            one = found[0][1:-1].lower()
            return one[0] if len(one) == 2 and one[0] == one[1] and one.isalpha() else ""
        if sign == "\\":
            escaped = self._pattern[self._at + 1]
            self._at += 2
            return "" if escaped.isalnum() else escaped  # \d, \w, \b and the like
        self._at += 1
        return "" if sign in "^$." else sign.lower()

    def _read_count(self) -> tuple[int, int | None]:
        """How often the item before is there: at least, and at most (None: more than once)."""
        sign, least, most = self._next(), 1, None
        if sign in ("?", "*"):
            least = 0
            self._at += 1
        elif sign == "+":
            self._at += 1
        elif sign == "{" and (found := _COUNT.match(self._pattern, self._at)):
            least = int(found[1] or 0)
            self._at = found.end()
        else:
            return 1, 1
        if self._next() in ("?", "+"):  # lazy, or possessive
            self._at += 1
        return least, most

    def _next(self) -> str:
        return self._pattern[self._at : self._at + 1]


def _better(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    """The texts that are less likely to be in a User-Agent: the longer ones, then the fewer."""
    return max(one, other, key=lambda texts: (min(map(len, texts), default=0), -len(texts)))
