"""The Redis stores pass their suite with the parser of `qrlogin[fast]`, too."""

import os
import sys
import tomllib
from pathlib import Path

import pytest

from tests.environments import ROOT, run

TESTS = ("redis", "async_redis", "redis_pipeline", "redis_faults", "herds")
FOUND = "import hiredis, redis.connection as c; print(c.DefaultParser.__name__)"


@pytest.mark.matrix
@pytest.mark.timeout(600)
def test_the_redis_stores_work_with_hiredis(tmp_path: Path) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (hiredis,) = extras["optional-dependencies"]["fast"]
    install = ["uv", "pip", "install", "--target", str(tmp_path), "--python", sys.executable]
    run([sys.executable, "-m", *install, hiredis])
    path = os.pathsep.join([str(tmp_path), str(ROOT), str(ROOT / "tools")])
    assert run([sys.executable, "-c", FOUND], PYTHONPATH=path).strip() == "_HiredisParser"
    tests = [f"tests/stores/test_{name}.py" for name in TESTS]
    done = run(
        [sys.executable, "-m", "pytest", "-n0", "-q", "-m", "not matrix", *tests], PYTHONPATH=path
    )
    assert "passed" in done
