"""What a person reads after an audit, and the same as JSON."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from qrlogin.audit.check import Outcome, Result, Severity

_WIDTH: Final = 88
_STUDY: Final = " (a flaw of the 2025 study: {})"


@dataclass(frozen=True, slots=True)
class Report:
    """The results of an audit."""

    target: str
    """The name of the target."""
    results: tuple[Result, ...]
    """One for each check that ran, in their order."""

    def having(self, outcome: Outcome) -> list[Result]:
        """The results with this outcome, the worst first."""
        order = list(Severity)
        found = [each for each in self.results if each.outcome is outcome]
        return sorted(found, key=lambda result: order.index(result.check.severity))

    @property
    def failed(self) -> list[str]:
        """The names of the checks that failed, the worst first."""
        return [each.check.name for each in self.having(Outcome.FAILED)]

    @property
    def exit_status(self) -> int:
        """0 if no check failed, 1 if one did, 2 if one could not be carried out."""
        if self.having(Outcome.ERROR):
            return 2
        return 1 if self.failed else 0

    def text(self) -> str:
        """The report for a terminal: what to do first, then what was not tried, then what holds."""
        return "\n".join(self._lines())

    def json(self) -> dict[str, object]:
        """The report as values that `json.dumps` accepts."""
        return {
            "target": self.target,
            "exit_status": self.exit_status,
            "counts": {str(each): len(self.having(each)) for each in Outcome},
            "checks": [
                {
                    "name": each.check.name,
                    "outcome": str(each.outcome),
                    "severity": str(each.check.severity),
                    "study": each.check.study,
                    "proves": each.check.proves,
                    "reason": each.reason,
                    "advice": each.check.advice,
                }
                for each in self.results
            ],
        }

    def _lines(self) -> Iterator[str]:
        yield f"Audit of {self.target}"
        for outcome in (Outcome.ERROR, Outcome.FAILED):
            for result in self.having(outcome):
                yield ""
                yield from explained(result)
        skipped = self.having(Outcome.NOT_APPLICABLE)
        if skipped:
            yield ""
            yield "Not applicable:"
            for result in skipped:
                yield from _wrapped(f"  {result.check.name}: ", result.reason)
        passed = [each for each in self.results if each.outcome is Outcome.PASSED]
        if passed:
            yield ""
            yield "Passed:"
            for result in passed:
                yield from _wrapped(f"  {result.check.name}: ", result.check.proves)
        yield ""
        if self.results[0].outcome is not Outcome.PASSED:
            yield "An honest login does not work, so no other check was made."
        counts = [f"{len(self.having(each))} {each}" for each in Outcome]
        yield f"{len(self.results)} checks: {', '.join(counts)}"


def explained(result: Result) -> Iterator[str]:
    """The lines that say what was seen, which rule it breaks, and what to do."""
    yield f"{result.outcome.upper()}  {result.check.severity}  {result.check.name}"
    study = _STUDY.format(result.check.study) if result.check.study else ""
    yield from _wrapped("  Rule: ", result.check.proves + study)
    yield from _wrapped("  Seen: ", result.reason)
    yield from _wrapped("  Do:   ", result.check.advice)


def _wrapped(start: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=start,
        subsequent_indent=" " * min(len(start), 8),
        break_long_words=False,
        break_on_hyphens=False,
    )
