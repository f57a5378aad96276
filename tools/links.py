"""Links of Markdown files: those that lead out of the place where the text is shown.

`readme_hook.py` and `build_docs.py` use it. It imports only the standard library, because the
build of the wheel runs it.
"""

import re
from collections.abc import Callable
from typing import Any

#: A link or picture, and what it leads to. Fenced blocks and spans of code come first: they stay.
_LINK = re.compile(
    r"^(?P<fence>```+|~~~+).*?^(?P=fence)\s*$|`[^`\n]+`"
    r"|(?P<picture>!?)\[(?P<text>(?:[^\[\]]|!\[[^\]]*\]\([^)]*\)|\[[^\]]*\])*)\]"
    r"\((?P<target>[^)\s]+)\)",
    re.DOTALL | re.MULTILINE,
)
_ABSOLUTE = re.compile(r"[a-z][a-z+.-]*:|#|//")


def rewrite(markdown: str, change: Callable[[str, bool], str | None]) -> str:
    """The text with other targets. `change` gets a relative target, and whether it is a picture.

    It returns the new target, or None to leave only the text of the link.
    """

    def changed(found: re.Match[str]) -> str:
        target = found["target"]
        if not target:
            return found[0]
        text = rewrite(found["text"], change)  # a picture may be the text of a link
        if not _ABSOLUTE.match(target):
            other = change(target, bool(found["picture"]))
            if other is None:
                return text
            target = other
        return f"{found['picture']}[{text}]({target})"

    return _LINK.sub(changed, markdown)


def source_address(project: dict[str, Any]) -> str | None:
    """The address of the repository in pyproject.toml's [project.urls]; None if it has none yet."""
    address = project.get("urls", {}).get("Source")
    return str(address).rstrip("/") if address else None


def in_repository(source: str, version: str, path: str, picture: bool) -> str:
    """The address of a file of this version. GitHub knows these paths, and GitLab forwards them."""
    return f"{source}/{'raw' if picture else 'blob'}/v{version}/{path}"
