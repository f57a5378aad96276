"""Reads the unified diff in a README and applies it to a folder, without any fuzz."""

import re
from pathlib import Path

HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+\d+(?:,\d+)? @@")


def diff_in(readme: Path) -> str:
    found = re.search(r"```diff\n(.*?)```", readme.read_text("utf-8"), re.DOTALL)
    assert found, f"{readme} shows no diff"
    return found[1]


def added(diff: str) -> list[str]:
    """The added lines, without blank ones."""
    return [
        line[1:]
        for line in diff.splitlines()
        if line.startswith("+") and not line.startswith("+++") and line[1:].strip()
    ]


def apply(diff: str, folder: Path) -> None:
    """Raises AssertionError where a line of the diff differs from the file."""
    for part in re.split(r"^(?=--- )", diff, flags=re.MULTILINE)[1:]:
        old, new, *lines = part.splitlines()
        target = folder / new.removeprefix("+++ b/")
        before = [] if old == "--- /dev/null" else target.read_text("utf-8").splitlines()
        after, at = list[str](), 0
        for line in lines:
            if hunk := HUNK.fullmatch(line):
                start = max(int(hunk[1]) - 1, 0)
                after += before[at:start]
                at = start
            elif line.startswith("+"):
                after.append(line[1:])
            else:
                assert before[at] == line[1:], (
                    f"{target.name}, line {at + 1}: {before[at]!r} is not {line[1:]!r}"
                )
                after += [] if line.startswith("-") else [before[at]]
                at += 1
        target.write_text("\n".join(after + before[at:]) + "\n", "utf-8")
