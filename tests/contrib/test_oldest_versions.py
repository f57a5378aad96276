"""The rules hold with the oldest version of each framework that an extra names."""

import os
import sys
import tomllib
from pathlib import Path

import pytest

from tests.environments import ROOT, run

RULES = ["tests/contrib/test_rules.py", "tests/contrib/test_in_process.py"]


@pytest.mark.matrix
@pytest.mark.timeout(400)
def test_the_rules_hold_with_the_oldest_versions_that_the_extras_name(tmp_path: Path) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [extras["optional-dependencies"][each][0] for each in ("flask", "fastapi", "django")]
    install = ["uv", "pip", "install", "--resolution", "lowest-direct", "--target", str(tmp_path)]
    python = ["--python", sys.executable]
    run([sys.executable, "-m", *install, *python, *wanted])
    # Old versions warn of what is deprecated in newer Pythons, and a warning would be an error.
    rules = ["-m", "pytest", "-n0", "-q", "-W", "ignore", *RULES]
    done = run([sys.executable, *rules], PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert "passed" in done
    found = "import django, fastapi; print(django.__version__, fastapi.__version__)"
    versions = run([sys.executable, "-c", found], PYTHONPATH=str(tmp_path)).split()
    for version, requirement in zip(versions, [wanted[2], wanted[1]], strict=True):
        assert version.startswith(requirement.partition(">=")[2])
