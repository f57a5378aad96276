"""The elements as an npm package: the same modules, with TypeScript declarations and a manifest.

It is not on a registry. `python -m qrlogin elements FOLDER` writes it, and `npm install FOLDER`
installs it, so the pages have the version that the server has.
"""

import json
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from qrlogin.browser import BUNDLE, MODULES, module

NAME: Final = "qrlogin-elements"
"""The name of the npm package."""

DECLARED: Final = ("qr-login-element", "qr-approve-element", "qr-login-texts")
"""The modules that applications import by name, each with its declarations."""


def write(folder: str | Path) -> Path:
    """Write the package into a folder, and return the folder.

    The folder is created if it is not there. Raises `OSError` if it cannot be written.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for name in MODULES:
        if name != BUNDLE:  # bundlers make their own
            (target / name).write_bytes(module(name))
    for file in (files(__package__) / "npm").iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    (target / "package.json").write_text(json.dumps(_manifest(), indent=2) + "\n", "utf-8")
    return target


def _manifest() -> dict[str, Any]:
    return {
        "name": NAME,
        "version": version("qrlogin"),
        "description": "<qr-login> and <qr-approve>: log a browser in by scanning a QR code.",
        "license": "MIT",
        "type": "module",
        "exports": {
            ".": {"types": "./index.d.ts", "default": "./index.js"},
            # Only declarations, for JSX.
            "./react": {"types": "./react.d.ts", "default": "./index.js"},
            **{
                f"./{name}.js": {"types": f"./{name}.d.ts", "default": f"./{name}.js"}
                for name in DECLARED
            },
        },
        "sideEffects": ["./index.js", "./qr-login-element.js", "./qr-approve-element.js"],
        "customElements": "custom-elements.json",
    }
