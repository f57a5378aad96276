"""What is shipped runs alone, and the set-up files agree with each other."""

import contextlib
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import bootstrap
import pytest
import redis
import system_parts

from tests import servers

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
README = (ROOT / "README.md").read_text()


def output(*command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> str:
    """What the command printed; the test fails, showing it, if the command did."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        pytest.fail(f"{' '.join(map(str, command))}\n{done.stdout}", pytrace=False)
    return done.stdout


def project_files() -> Iterator[Path]:
    """The files that are, or are about to be, committed; without git, all that no tool made."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = (
        subprocess.run(listing, cwd=ROOT, capture_output=True, text=True)
        if (ROOT / ".git").exists()
        else None
    )
    if listed is not None and listed.returncode == 0:
        yield from (
            ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()
        )
        return
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().split()}
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in ignored]
        yield from (Path(folder, name) for name in files)


# --- what is shipped ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    output(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = {
        str(path.relative_to(ROOT))
        for path in project_files()
        if path.is_relative_to(ROOT / "qrlogin")
    }
    assert shipped == package
    assert shipped >= {
        "qrlogin/py.typed",
        "qrlogin/step.lua",
        "qrlogin/browser/qr-login-element.js",
    }


@pytest.mark.matrix
def test_the_wheel_runs_in_an_empty_environment_with_only_what_it_requires(
    wheel: Path, tmp_path: Path
) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    env = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PYTHON", "VIRTUAL_ENV"))
    }
    output(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    uv = bootstrap.VENV / "bin" / "uv"
    index = bootstrap.uv_environment(bootstrap.pip_command())
    install: list[str | Path] = [
        uv,
        "pip",
        "install",
        "--python",
        python,
        "-c",
        bootstrap.CONSTRAINTS,
        wheel,
    ]
    assert bootstrap.patiently(lambda: bootstrap.run(install, index))
    installed = output(uv, "pip", "freeze", "--python", python)
    names = set(re.findall(r"^([\w-]+)(?:==| @ )", installed, re.MULTILINE))
    assert names == {"itsdangerous", "qrlogin", "segno"}
    where = output(python, "-c", "import qrlogin; print(qrlogin.__file__)", cwd=tmp_path, env=env)
    assert Path(where.strip()).is_relative_to(tmp_path)
    key = output(python, "-m", "qrlogin", "keygen", cwd=tmp_path, env=env).strip()
    assert key
    assert (
        key
        != output(tmp_path / "venv" / "bin" / "qrlogin", "keygen", cwd=tmp_path, env=env).strip()
    )


# --- what the files promise each other ------------------------------------------------------------


def test_the_readme_names_the_commands_that_ci_runs() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    for command in ("make lint types", "make test", "make matrix"):
        assert f"\n{command}\n" in script.read_text()
        assert f"`{command}`" in README
    assert "make demo" in README


def test_ci_stops_at_the_first_command_that_fails(tmp_path: Path) -> None:
    make = tmp_path / "make"
    make.write_text('#!/bin/sh\necho "$@"\n[ "$1" != "$FAILS" ]\n')
    make.chmod(0o755)
    gates = ["lint types", "test", "matrix"]
    for number, fails in enumerate(("lint", "test", "matrix", "none of them"), 1):
        env = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "FAILS": fails}
        done = subprocess.run([ROOT / ".ci" / "run"], env=env, capture_output=True, text=True)
        assert (done.stdout.splitlines(), done.returncode == 0) == (gates[:number], number == 4)


def test_the_readme_or_the_docs_name_every_extra() -> None:
    text = README + "".join(path.read_text() for path in sorted((ROOT / "docs").rglob("*.md")))
    named = {
        extra.strip()
        for found in re.findall(r"qrlogin\[([\w, -]+)\]", text)
        for extra in found.split(",")
    }
    assert named == set(PROJECT["project"]["optional-dependencies"])


def test_every_make_target_is_explained_by_make() -> None:
    listed = output("make", "--no-print-directory")
    for target in ("demo", "check", "test", "matrix", "docs", "lint", "types", "build"):
        assert f"make {target} " in listed


def test_make_demo_says_how_to_give_flags() -> None:
    plain = output("make", "--no-print-directory", "--dry-run", "demo", "ARGS=")
    assert "Give flags in ARGS, such as make demo ARGS=" in plain
    assert "-m qrlogin demo --lan" in output("make", "--dry-run", "demo", "ARGS=--lan")
    options = output(sys.executable, "-m", "qrlogin", "demo", "--help")
    assert all(flag in options for flag in ("--lan", "--port"))  # the flags of its example


def test_the_constraints_pin_every_direct_requirement_and_name_no_place() -> None:
    lines = [
        line for line in bootstrap.CONSTRAINTS.read_text().splitlines() if not line.startswith("#")
    ]
    assert [
        line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[\w.]+( ; [^@/]+)?", line)
    ] == []
    pinned = {line.partition("==")[0] for line in lines}
    wanted = list(PROJECT["project"]["dependencies"]) + bootstrap.group_requirements(["dev"])
    for extra in PROJECT["project"]["optional-dependencies"].values():
        wanted += extra
    assert {re.split(r"[^\w.-]", requirement)[0] for requirement in wanted} - pinned == set()


def test_no_file_names_a_machine_or_a_registry() -> None:
    forbidden = re.compile(
        r"(?<![\w.>)}*])/(?:work|root|tmp|home/[a-z]|Users/[a-z])\b|(?:pypi|pythonhosted|npmjs|debian)\.(?:org|com)"
    )
    found = []
    for path in project_files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue  # a picture
        found += [
            f"{path.relative_to(ROOT)}: {match.group()}" for match in forbidden.finditer(text)
        ]
    assert found == []


# --- the fixtures ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fixture", ["redis_url", "valkey_url"])
def test_a_server_answers_and_keeps_nothing_on_disk(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    with redis.Redis.from_url(request.getfixturevalue(fixture)) as client:
        assert client.ping()
        assert client.config_get("save") == {"save": ""}


def test_a_server_of_ones_own_can_be_stopped_and_comes_back_empty(
    own_redis: servers.RedisServer,
) -> None:
    first = own_redis.process
    with redis.Redis.from_url(own_redis.url) as client:
        client.set("key", "value")
    own_redis.stop()
    assert first.returncode is not None
    assert not servers.answers(own_redis.port)
    own_redis.start()
    with redis.Redis.from_url(own_redis.url) as client:
        assert client.get("key") is None


def test_a_server_that_cannot_start_says_why(own_redis: servers.RedisServer) -> None:
    with (
        pytest.raises(RuntimeError, match="no-such-option"),
        servers.RedisServer(own_redis.binary, "--no-such-option"),
    ):
        pass


@pytest.mark.parametrize(
    ("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)]
)
def test_a_missing_part_is_a_skip_at_home_and_a_failure_in_ci(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("PATH", "")
    nowhere = system_parts.Part("nothing", ("no-such-command",), ("no-such-package",), "write it")
    assert nowhere.find() is None
    with pytest.raises(outcome, match="apt-get install no-such-package"):
        servers.missing(nowhere.name, nowhere.how())


# --- the installer --------------------------------------------------------------------------------


def test_a_network_that_is_away_for_a_moment_costs_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    slept = list[float]()
    monkeypatch.setattr("time.sleep", slept.append)
    for failures, works in ((0, True), (2, True), (3, False)):
        assert bootstrap.patiently(partial(next, iter([False] * failures + [True]))) is works
    assert slept == [5, 20] * 2


@pytest.mark.parametrize(
    ("away", "known", "asked"),
    [(0, True, 1), (3, True, 4), (99, True, 6), (0, False, 1)],
    ids=["there", "away for a moment", "away", "not to be had"],
)
def test_apt_get_is_asked_again_only_for_what_it_knows(
    away: int, known: bool, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells without a network whether it knows a package, from its lists."""
    installs = list[str]()

    def apt_get(*arguments: str) -> bool:
        if arguments[0] == "--print-uris":
            return known
        if arguments[0] == "install":
            installs.append(arguments[-1])
            return known and len(installs) > away
        return away < 99

    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr(system_parts, "apt_get", apt_get)
    monkeypatch.setattr(system_parts, "no_services", contextlib.nullcontext)
    system_parts.install(["part"])
    assert installs == ["part"] * asked


@pytest.mark.matrix
def test_uv_gets_the_index_settings_of_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nindex-url = https://mirror.example/simple\nextra-index-url = file:///a\n  file:///b\n"
    )
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_FIND_LINKS", "/links /more")
    env = bootstrap.uv_environment(bootstrap.pip_command())
    assert env["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
    assert env["UV_INDEX"] == "file:///a file:///b"
    assert env["UV_FIND_LINKS"] == "/links,/more"
    for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX"):  # each wins over the one before
        monkeypatch.setenv(name, f"https://{name}.example/simple")
        env = bootstrap.uv_environment(bootstrap.pip_command())
        assert env["UV_DEFAULT_INDEX"] == f"https://{name}.example/simple"
