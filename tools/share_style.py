"""Copy the style of the examples from the Flask example, where it is written, to the other two.

Run it after you change a file of `FILES` there: `.venv/bin/python tools/share_style.py`. With
`--check` it changes nothing, names each copy that differs, and exits with 1 if there is one. Each
example has a copy because people copy one example, and have nothing else.
"""

import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SOURCE, COPIES = EXAMPLES / "flask_app", (EXAMPLES / "fastapi_app", EXAMPLES / "django_site")
FILES = ("static/style.css", "static/icon.svg")


def differing() -> list[tuple[Path, bytes]]:
    """Each copy that differs from its source, and what it should contain."""
    pairs = [(folder / name, (SOURCE / name).read_bytes()) for folder in COPIES for name in FILES]
    return [pair for pair in pairs if not pair[0].exists() or pair[0].read_bytes() != pair[1]]


def main() -> int:
    is_check, found = "--check" in sys.argv[1:], differing()
    for copy, content in found:
        print(copy.relative_to(EXAMPLES.parent))
        if not is_check:
            copy.write_bytes(content)
    return 1 if is_check and found else 0


if __name__ == "__main__":
    sys.exit(main())
