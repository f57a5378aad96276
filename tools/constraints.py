"""Renew `constraints.txt`: a version of each package that an extra or a group can need.

The file contains only names and versions: no index, no hashes, no addresses. So uv and pip can both
use it, with any mirror.
"""

import subprocess
import sys
from pathlib import Path

from bootstrap import (
    CONSTRAINTS,
    LEVELS,
    PYTHON,
    ROOT,
    install_uv,
    make_venv,
    pip_command,
    uv_environment,
)

HEAD = "# Every version that .venv is made of. Renewed by `make constraints`; do not edit.\n"


def main() -> int:
    make_venv()
    pip = pip_command()
    uv = install_uv(pip)
    if uv is None:
        raise SystemExit("constraints: this needs uv, which pip could not install (see above)")
    command: list[str | Path] = [
        uv,
        "pip",
        "compile",
        "--quiet",
        "--universal",
        "--upgrade",
        "--no-header",
        "--no-annotate",
    ]
    command += ["--python", PYTHON, "--python-version", "3.11", "--all-extras"]
    for group in LEVELS["dev"][2]:
        command += ["--group", f"pyproject.toml:{group}"]
    command.append("pyproject.toml")
    done = subprocess.run(
        command, cwd=ROOT, env=uv_environment(pip), stdout=subprocess.PIPE, text=True
    )
    if done.returncode == 0:
        CONSTRAINTS.write_text(HEAD + done.stdout)
        print(f"{CONSTRAINTS.name}: {len(done.stdout.splitlines())} packages. Now run `make test`")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
