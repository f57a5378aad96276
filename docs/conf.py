"""The settings of Sphinx. `tools/build_docs.py` runs it, over a copy of this folder."""

import tomllib
from pathlib import Path
from typing import Any

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
    "myst.header",  # a page may begin below the first level
    "ref.python",  # a docstring says `Native`, which two modules export
]

# Docstrings: a name in backticks is a link where the name is public, and code where it is not.
default_role = "py:obj"
autodoc_default_options = {"members": True, "member-order": "bysource", "show-inheritance": True}
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
add_module_names = False

html_theme = "furo"
html_title = f"qrlogin {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_use_index = True


def _with_blocks(
    app: object, what: str, name: str, value: object, options: object, lines: list[str]
) -> None:
    """Marks the blocks of a docstring that are indented by four as code, as Markdown reads them."""
    marked: list[str] = []
    inside = False
    fields = False
    for line in lines:
        fields = fields or line.startswith(":")
        indented = line.startswith("    ") and not fields
        if indented and not inside and (not marked or not marked[-1].strip()):
            marked += ["::", ""]
            inside = True
        elif line.strip() and not indented:
            inside = False
        marked.append(line)
    lines[:] = marked


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", _with_blocks)
