"""Build what is made from the modules in qrlogin/browser: the bundle, the TypeScript declarations
and the custom-elements manifest.

Run it after each change of a module: `make elements`. A test fails when it was forgotten. Node and
the three programs are npm packages, at the versions in tools/elements.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import npm_parts
from bootstrap import ROOT

from qrlogin.browser.package import DECLARED

BROWSER = ROOT / "qrlogin" / "browser"
PACKAGE = BROWSER / "npm"  # what the npm package has beside the modules
BUNDLE = BROWSER / "qr-login-bundle.js"
PROGRAMS = ROOT / "tools" / "elements"
#: The modules that those of DECLARED import.
IMPORTED = ("qr-login-card", "qr-approve-card", "qr-login-parts")
#: The oldest browsers of docs/element.md.
TARGETS = "chrome90,safari16.4,firefox101"
STRICT = (
    *("--allowJs", "--checkJs", "--strict", "--target", "es2022", "--module", "esnext"),
    *("--moduleResolution", "bundler", "--lib", "es2023,dom,dom.iterable"),
)


def modules() -> list[Path]:
    return sorted(path for path in BROWSER.glob("*.js") if path != BUNDLE)


def fingerprint() -> str:
    """What names the present modules."""
    digest = hashlib.sha256()
    for path in modules():
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def built() -> dict[Path, str]:
    """Every file that is made from the modules, with its content."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        for path in modules():
            shutil.copy(path, here)
        made = {BUNDLE: _bundle(here)}
        _run(
            *(here, "tsc", *STRICT, "--declaration", "--emitDeclarationOnly", "--stripInternal"),
            *("--outDir", "types", "qr-login-element.js", "qr-approve-element.js"),
        )
        for name in (*DECLARED, *IMPORTED):
            made[PACKAGE / f"{name}.d.ts"] = (here / "types" / f"{name}.d.ts").read_text("utf-8")
        made[PACKAGE / "custom-elements.json"] = _manifest(here)
        return made


def _bundle(here: Path) -> str:
    shutil.copy(PACKAGE / "index.js", here / "entry.js")
    _run(
        *(here, "esbuild", "entry.js", "--bundle", "--minify", "--format=esm", "--charset=utf8"),
        *(f"--target={TARGETS}", "--external:./qr-login-texts-*.js", "--outfile=bundle.js"),
        "--log-level=warning",
    )
    head = f"/* <qr-login> and <qr-approve> in one module, made from {fingerprint()}. */\n"
    return head + (here / "bundle.js").read_text("utf-8")


def _manifest(here: Path) -> str:
    _run(here, "cem", "analyze", "--globs", "qr-*-element.js", "--outdir", "cem", "--quiet")
    manifest: dict[str, Any] = json.loads((here / "cem" / "custom-elements.json").read_text())
    for module in manifest["modules"]:
        for found in module["declarations"]:
            members = found.get("members", [])
            found["members"] = [each for each in members if not each["name"].startswith("#")]
    return json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"


def _run(here: Path, program: str, *arguments: str) -> None:
    command = [npm_parts.node() or "node", str(PROGRAMS / "node_modules" / ".bin" / program)]
    if program == "esbuild":  # its launcher is the program itself
        command = command[1:]
    done = subprocess.run([*command, *arguments], cwd=here, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{program}: {done.stdout}{done.stderr}")


def main() -> int:
    if npm_parts.main([PROGRAMS]) or not npm_parts.ready(PROGRAMS):
        return 1
    for path, content in built().items():
        path.write_text(content, encoding="utf-8")
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
