"""`python -m qrlogin audit FILE`: audits the target of a Python file, and prints the report."""

import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from qrlogin.audit.running import CHECKS, audit
from qrlogin.audit.target import Target


class NoTarget(Exception):
    """The file does not hold a target. The text says why."""


def load(text: str) -> Target:
    """The target in a file, named as FILE or FILE:NAME. The default of NAME is `target`.

    NAME may also be a function without parameters that returns the target. Raises `NoTarget`.
    """
    path, _, name = text.rpartition(":")
    if not path or not path.endswith(".py"):
        path, name = text, "target"
    if not Path(path).is_file():
        raise NoTarget(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location("_audited", path)
    if spec is None or spec.loader is None:
        raise NoTarget(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules["_audited"] = module  # dataclasses in the file look their module up
    sys.path.insert(0, str(Path(path).resolve().parent))
    spec.loader.exec_module(module)
    found = getattr(module, name, None)
    if callable(found) and not isinstance(found, Target):
        found = found()
    if not isinstance(found, Target):
        raise NoTarget(f"{path} has no {name}: make one with qrlogin.audit.Target(...)")
    return found


def run(text: str, *, only: Sequence[str] = (), as_json: bool = False) -> int:
    """Audits a target and prints the report. Returns the exit code.

    :param text: FILE or FILE:NAME
    :param only: the names of checks; none means all
    :param as_json: print JSON
    """
    try:
        report = audit(load(text), only=only)
    except (NoTarget, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(report.json(), indent=2) if as_json else report.text())
    return report.exit_status


def list_checks() -> int:
    """Prints the name, the severity and the rule of each check. Returns 0."""
    for check in CHECKS:
        print(f"{check.name:<20} {check.severity:<9} {check.proves}")
    return 0
