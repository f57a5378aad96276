"""The settings of Sphinx. `tools/build_docs.py` runs it, over a copy of this folder."""

import re
import tomllib
from pathlib import Path
from typing import Any

from django.conf import settings

_ROOT = Path(__file__).resolve().parent.parent
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]

project = _PROJECT["name"]
version = release = _PROJECT["version"]
author = project_copyright = "the qrlogin authors"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
root_doc = "index"

# A broken link is a warning, and `tools/build_docs.py` turns each warning into an error.
myst_heading_anchors = 4
suppress_warnings = [
    "misc.highlighting_failure",  # a block in a language that Pygments does not know has no colours
    "myst.header",  # a page may begin below the first level
    "ref.python",  # a docstring says `Native`, which two modules export
]

# Docstrings: a name in backticks is a link where the name is public, and code where it is not.
default_role = "py:obj"
autodoc_default_options = {
    "members": True,
    "member-order": "bysource",
    "show-inheritance": True,
}
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
add_module_names = False

html_theme = "furo"
html_title = f"qrlogin {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_use_index = True


if not settings.configured:
    settings.configure()  # qrlogin.contrib.django has Django's settings among its names

_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")


def _as_rst(
    app: object, what: str, name: str, value: object, options: object, lines: list[str]
) -> None:
    """Docstrings are written as Markdown, with the fields of reStructuredText."""
    changed: list[str] = []
    inside = fields = False
    for line in lines:
        fields = fields or line.startswith(":")
        indented = line.startswith("    ") and not fields
        if indented and not inside and not (changed and changed[-1].strip()):
            changed += ["::", ""]  # a block of code
            inside = True
        elif line.strip() and not indented:
            inside = False
        changed.append(line if inside else _CODE.sub(_code, line))
    lines[:] = changed


def _code(found: re.Match[str]) -> str:
    """Only what can be a name of this package stays a link."""
    return found[0] if re.fullmatch(r"[A-Za-z_][\w.]*", found[1]) else f"`{found[0]}`"


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", _as_rst)
