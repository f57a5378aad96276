"""What is released: the wheel and the source archive, byte for byte, and the files around them."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest
import yaml

from tests.test_setup import ROOT, output, project_files

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
VERSION = PROJECT["version"]


def build(tree: Path, into: Path) -> tuple[Path, Path]:
    """The wheel and the source archive of a tree."""
    env = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    output(sys.executable, "-m", "hatchling", "build", "-d", into, cwd=tree, env=env)
    return into / f"qrlogin-{VERSION}-py3-none-any.whl", into / f"qrlogin-{VERSION}.tar.gz"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return build(ROOT, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def metadata(built: tuple[Path, Path]) -> Message:
    with zipfile.ZipFile(built[0]) as wheel:
        return message_from_bytes(wheel.read(f"qrlogin-{VERSION}.dist-info/METADATA"))


def members(archive: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(archive) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is not None:
                yield member.name.partition("/")[2], content.read()


def test_two_builds_are_the_same_byte_for_byte(built: tuple[Path, Path], tmp_path: Path) -> None:
    """In another folder, at another time, by a user with other rights."""
    other = tmp_path / "other"
    for path in project_files():
        copy = other / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        copy.chmod(0o700 if os.access(path, os.X_OK) else 0o600)
        os.utime(copy, (1_000_000_000, 1_000_000_000))
    for ours, theirs in zip(built, build(other, tmp_path / "dist"), strict=True):
        assert ours.read_bytes() == theirs.read_bytes(), ours.name


def test_the_source_archive_holds_what_a_packager_needs_and_builds_the_same_wheel(
    built: tuple[Path, Path], tmp_path: Path
) -> None:
    shipped = dict(members(built[1]))
    left_out = {
        str(path.relative_to(ROOT))
        for path in project_files()
        if str(path.relative_to(ROOT)) not in shipped
    }
    assert {name.partition("/")[0] for name in left_out} <= {".github", ".pre-commit-config.yaml"}
    assert shipped.keys() - {"PKG-INFO"} <= {
        str(path.relative_to(ROOT)) for path in project_files()
    }
    with tarfile.open(built[1]) as archive:
        archive.extractall(tmp_path, filter="data")
    wheel, _ = build(tmp_path / f"qrlogin-{VERSION}", tmp_path / "dist")
    assert wheel.read_bytes() == built[0].read_bytes()


def test_both_archives_hold_the_licence(built: tuple[Path, Path], metadata: Message) -> None:
    licence = (ROOT / "LICENSE").read_bytes()
    assert dict(members(built[1]))["LICENSE"] == licence
    with zipfile.ZipFile(built[0]) as wheel:
        assert wheel.read(f"qrlogin-{VERSION}.dist-info/licenses/LICENSE") == licence
    assert metadata["License-Expression"] == "MIT"
    assert metadata.get_all("License-File") == ["LICENSE"]
    assert b"MIT License" in licence


def test_the_metadata_says_what_the_project_file_says(metadata: Message) -> None:
    assert (metadata["Name"], metadata["Version"]) == ("qrlogin", VERSION)
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Summary"] == PROJECT["description"]
    assert set(metadata.get_all("Provides-Extra", [])) == set(PROJECT["optional-dependencies"])
    required = metadata.get_all("Requires-Dist", [])
    assert {each for each in required if "extra ==" not in each} == set(PROJECT["dependencies"])
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
    # An address that is not known is not invented. The release checklist says to set it.
    assert metadata.get_all("Project-URL") is None
    assert "[project.urls]" in (ROOT / "CONTRIBUTING.md").read_text("utf-8")


@pytest.mark.matrix
def test_a_package_index_accepts_the_archives_and_renders_the_readme(
    built: tuple[Path, Path],
) -> None:
    said = output(sys.executable, "-m", "twine", "check", "--strict", *built)
    assert said.count("PASSED") == 2


# The files around it


def test_the_changelog_dates_every_version_but_the_one_to_come() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0].startswith(f"{VERSION} (")
    for heading in headings:
        assert re.fullmatch(r"\d+\.\d+\.\d+ \((\d{4}-\d\d-\d\d|not yet released)\)", heading)
    assert all("not yet released" not in heading for heading in headings[1:])


def test_the_public_ci_runs_the_commands_of_the_readme() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    runs = [
        step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step
    ]
    made = [run for run in runs if run.startswith("make ")]
    script = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    assert made == [line for line in script if line.startswith("make ")]
    assert all(run.startswith(("make ", "sudo apt-get ")) for run in runs)
    versions = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert versions[0] == PROJECT["requires-python"].removeprefix(">=")
    assert workflow["permissions"] == {"contents": "read"}


def test_the_hooks_and_the_templates_name_files_that_exist() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    for repo in config["repos"]:
        assert repo["repo"] == "local"  # no hook comes from elsewhere
        for hook in repo["hooks"]:
            for word in hook["entry"].split():
                if "/" in word and not word.startswith(".venv"):
                    assert (ROOT / word).is_file(), word
    forms = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    assert [form.stem for form in forms] == ["bug", "config", "idea"]
    for form in forms:
        text = form.read_text("utf-8")
        asked = yaml.safe_load(text)
        if form.stem != "config":
            assert {"name", "description", "body"} <= asked.keys()
            fields = [each["id"] for each in asked["body"] if each["type"] != "markdown"]
            assert len(fields) == len(set(fields))
        for command in re.findall(r"`python -m qrlogin (--?\w+|\w+)", text):
            shown = subprocess.run(
                [sys.executable, "-m", "qrlogin", command, "--help"], capture_output=True
            )
            assert shown.returncode == 0, command
    request = (ROOT / ".github" / "PULL_REQUEST_TEMPLATE.md").read_text("utf-8")
    for name in ("CHANGELOG.md", "CONTRIBUTING.md", "tests/api.txt"):
        assert name in request
        assert (ROOT / name).exists()
