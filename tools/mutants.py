"""Changes one thing in a module at a time, and checks that its tests fail: `make mutants`.

A change that no test notices is a survivor: either the change means the same, or a test is missing.
The runs use a copy of the repository, so nothing here is changed. Without `--sample`, every mutant
runs, which takes hours; a sample is drawn with a fixed seed, so it can be repeated.
"""

import argparse
import ast
import contextlib
import copy
import importlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 120  # a mutant that runs longer has made an endless loop, which a test would notice, too
#: Imported once, before the runs are forked.
PRELOADED = ("pytest", "hypothesis", "_hypothesis_pytestplugin", "redis", "itsdangerous", "segno")

_CORE = ("test_core", "test_core_promises", "test_core_collect", "test_core_repeats")
_WIRE = ("test_access", "test_requests", "test_held_status", "test_slots", "test_cookies")
#: The tests of each file, the fastest first.
TESTS: dict[str, tuple[str, ...]] = {
    "qrlogin/step.py": ("tests/test_table.py", "tests/test_step.py"),
    "qrlogin/step.lua": ("tests/test_step.py", "tests/stores/test_redis_view.py"),
    "qrlogin/codes.py": (
        *(f"tests/test_codes{part}.py" for part in ("", "_fixed", "_typed")),
        *(f"tests/test_{name}.py" for name in ("addresses", "keys")),
    ),
    "qrlogin/core.py": (
        *(f"tests/{name}.py" for name in _CORE),
        *(f"tests/test_{name}.py" for name in ("core_chains", "core_seals", "guesses", "limits")),
        *(f"tests/test_{name}.py" for name in ("events", "answers", "policy", "arguments")),
    ),
    "qrlogin/wire/endpoint.py": (
        *(f"tests/wire/{name}.py" for name in _WIRE),
        *(f"tests/wire/test_{name}.py" for name in ("streams", "landing", "websocket", "shutdown")),
        *(f"tests/wire/test_{name}.py" for name in ("unrouted", "message", "disconnects")),
    ),
    "qrlogin/wire/dialects/native.py": (
        *(f"tests/wire/{name}.py" for name in _WIRE),
        *(f"tests/wire/test_{name}.py" for name in ("credentials", "cross_origin", "landing")),
        *(f"tests/wire/test_{name}.py" for name in ("context", "streams", "websocket", "secrets")),
        *(f"tests/wire/test_{name}.py" for name in ("free_text", "golden", "openapi")),
    ),
}


@dataclass(frozen=True)
class Mutant:
    """One change of a file."""

    file: str
    line: int
    change: str
    source: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.change}"


# Python

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult,
    ast.BitOr: ast.BitAnd,
}  # fmt: skip


def _changes(node: ast.AST) -> Iterator[Callable[[ast.AST], None]]:
    """Functions that change a node of this kind in one way."""
    match node:
        case ast.Compare(ops=[op, *_]) if type(op) in _COMPARISONS:
            new = _COMPARISONS[type(op)]
            yield lambda it: it.ops.__setitem__(0, new())  # type: ignore[attr-defined]
        case ast.BoolOp(op=op):
            other = ast.Or if isinstance(op, ast.And) else ast.And
            yield lambda it: setattr(it, "op", other())
            for at in range(len(node.values)):
                yield lambda it, at=at: it.values.pop(at)  # type: ignore[misc]
        case ast.BinOp(op=op) if type(op) in _OPERATORS:
            swapped = _OPERATORS[type(op)]
            yield lambda it: setattr(it, "op", swapped())
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield lambda it: setattr(it, "operand", ast.UnaryOp(ast.Not(), operand))
        case ast.Constant(value=bool() as value):
            yield lambda it: setattr(it, "value", not value)
        case ast.Constant(value=int() as number):
            yield lambda it: setattr(it, "value", number + 1)
        case ast.Constant(value=str() as text) if text:
            yield lambda it: setattr(it, "value", "")
        case ast.If():
            yield lambda it: setattr(it, "test", ast.Constant(True))
            yield lambda it: setattr(it, "test", ast.Constant(False))
        case ast.IfExp():
            yield lambda it: setattr(it, "test", ast.Constant(True))
            yield lambda it: setattr(it, "test", ast.Constant(False))
        case ast.Expr(value=ast.Call()):
            yield lambda it: setattr(it, "value", ast.Constant(None))
        case ast.Raise():
            yield lambda it: it.__dict__.update(exc=ast.Name("ZeroDivisionError"), cause=None)


def _is_text(parents: list[ast.AST]) -> bool:
    """Whether a node is no behaviour: a docstring, an annotation, or the words of an error."""
    *above, node = parents
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        if above and isinstance(above[-1], ast.Expr):
            return True
        if any(isinstance(each, (ast.Raise, ast.JoinedStr)) for each in above):
            return True
    for outer, inner in zip(above, parents[1:], strict=True):
        if isinstance(outer, (ast.AnnAssign, ast.arg)) and inner is outer.annotation:
            return True
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef) and inner is outer.returns:
            return True
    return False


def python_mutants(file: str, source: str) -> Iterator[Mutant]:
    """Every mutant of a module in Python."""
    tree = ast.parse(source)
    paths: list[list[ast.AST]] = []

    def walk(node: ast.AST, above: list[ast.AST]) -> None:
        paths.append([*above, node])
        for child in ast.iter_child_nodes(node):
            walk(child, [*above, node])

    walk(tree, [])
    for index, path in enumerate(paths):
        if _is_text(path):
            continue
        node = path[-1]
        for number, _ in enumerate(_changes(node)):
            mutated = copy.deepcopy(tree)
            twin = _at(mutated, index)
            before = ast.unparse(twin)
            list(_changes(twin))[number](twin)
            after = ast.unparse(ast.fix_missing_locations(twin))
            change = f"{before.splitlines()[0][:70]} -> {after.splitlines()[0][:70]}"
            if before != after:
                yield Mutant(file, getattr(node, "lineno", 0), change, ast.unparse(mutated))


def _at(tree: ast.AST, index: int) -> ast.AST:
    """The node of this number, in the order in which a node comes before its children."""
    stack = [tree]
    while stack:
        node = stack.pop()
        if index == 0:
            return node
        index -= 1
        stack += reversed(list(ast.iter_child_nodes(node)))
    raise IndexError


# Lua, by its words: the script is short, and has no nested functions of the same name

_LUA = [
    (r"==", "~="), (r"~=", "=="), (r"<=", "<"), (r">=", ">"), (r"(?<![=~<>])<(?!=)", "<="),
    (r"(?<![=~<>])>(?!=)", ">="), (r"\band\b", "or"), (r"\bor\b", "and"), (r"\bnot ", ""),
    (r" \+ ", " - "), (r" - ", " + "), (r" \* ", " + "), (r"\btrue\b", "false"),
    (r"\bfalse\b", "true"), (r"\b0\b", "1"), (r"\b1\b", "2"), (r"\b15\b", "16"),
    (r"\b1000\b", "999"),
    (r"math\.max", "math.min"), (r"math\.floor", "math.ceil"), (r"''", "'x'"),
]  # fmt: skip


def lua_mutants(file: str, source: str) -> Iterator[Mutant]:
    """Every mutant of the script in Lua."""
    for number, line in enumerate(source.splitlines()):
        code = line.partition("--")[0]
        for pattern, new in _LUA:
            for found in re.finditer(pattern, code):
                changed = code[: found.start()] + new + code[found.end() :]
                lines = source.splitlines()
                lines[number] = changed
                text = "\n".join(lines) + "\n"
                yield Mutant(file, number + 1, f"{code.strip()} -> {changed.strip()}", text)


def mutants_of(file: str) -> list[Mutant]:
    """Every mutant of a file of `TESTS`, in the order of its lines."""
    source = (ROOT / file).read_text("utf-8")
    return list((lua_mutants if file.endswith(".lua") else python_mutants)(file, source))


# Runs


class Copy:
    """A copy of the tracked files, in which one file at a time is mutated."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)

    def fails(self, file: str, source: str | None) -> str:
        """The verdict of the tests of `file` with this source: "" if they pass."""
        target = self.folder / file
        if source is not None:
            target.write_text(source, "utf-8")
        for cached in target.parent.glob(f"__pycache__/{target.stem}.*"):
            cached.unlink()
        try:
            return self._run(TESTS[file], caching=source is None)
        finally:
            shutil.copy2(ROOT / file, target)

    def _run(self, tests: tuple[str, ...], *, caching: bool) -> str:
        child = os.fork()
        if child == 0:
            os._exit(self._pytest(tests, caching=caching))
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return "" if os.waitstatus_to_exitcode(status) == 0 else "failed"
            time.sleep(0.02)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return "timed out"

    def _pytest(self, tests: tuple[str, ...], *, caching: bool) -> int:
        os.setpgid(0, 0)  # its servers end with it
        os.chdir(self.folder)
        sys.path[:0] = [str(self.folder), str(self.folder / "tools")]
        os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:2])
        os.environ["HYPOTHESIS_PROFILE"] = "ci"
        sys.dont_write_bytecode = not caching
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        import pytest

        options = ["-x", "-q", "-n0", "-p", "no:cacheprovider", "-m", "not matrix and not long"]
        # What was imported before pytest is not rewritten, and need not be.
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
        existing = [each for each in tests if (self.folder / each).exists()]
        try:
            return int(pytest.main([*options, *DESELECTED, *existing]))
        except BaseException:
            return 99


DESELECTED: list[str] = []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", default=list(TESTS), help="of " + ", ".join(TESTS))
    parser.add_argument("--sample", type=int, help="how many mutants of each file to run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so long")
    parser.add_argument("--deselect", action="append", default=[], help="a test that fails already")
    options = parser.parse_args()
    DESELECTED[:] = [f"--deselect={each}" for each in options.deselect]
    for name in PRELOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    ends = time.monotonic() + 60 * options.minutes
    all_survived = 0
    with tempfile.TemporaryDirectory(prefix="qrlogin-mutants-") as folder:
        work = Copy(Path(folder))
        for file in options.files:
            began = time.monotonic()
            if work.fails(file, None):
                print(f"{file}: its tests fail without a mutant; mend them first", flush=True)
                return 1
            print(f"{file}: its tests take {time.monotonic() - began:.1f} s", flush=True)
            every = mutants_of(file)
            drawn = random.Random(options.seed)  # noqa: S311 - a sample, no secret
            chosen = drawn.sample(every, len(every))[: options.sample]
            tried, killed, survived = 0, 0, list[Mutant]()
            print(f"{file}: {len(every)} mutants, {len(chosen)} drawn", flush=True)
            for mutant in chosen:
                if time.monotonic() > ends:
                    break
                tried += 1
                if work.fails(file, mutant.source):
                    killed += 1
                else:
                    survived.append(mutant)
                    print(f"  survived {mutant}", flush=True)
            print(f"{file}: {len(every)} mutants, {tried} tried, {killed} killed", flush=True)
            all_survived += len(survived)
    return 1 if all_survived else 0


if __name__ == "__main__":
    sys.exit(main())
