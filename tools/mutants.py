"""Changes one thing in a module at a time, and checks that a test fails: `make mutants`.

A change that no test notices is a survivor: either the change means the same, or a test is missing.
Each mutant runs in a forked process, in which the code of a function is replaced, so no file is
changed. It runs the tests that execute the changed line, the fastest first. Without `--sample`
every mutant runs; a sample is drawn with a fixed seed, so it can be repeated.

What is evaluated when a module is imported is not mutated: constants, decorators, fields.
"""

import argparse
import ast
import contextlib
import copy
import gc
import itertools
import os
import random
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

ROOT = Path(__file__).resolve().parent.parent
LEAST_SECONDS = 20  # a mutant that runs for longer, and for 5 times its tests, has an endless loop

_CORE = ("test_core", "test_core_promises", "test_core_collect", "test_core_repeats")
_OF_THE_CORE = (
    *(f"tests/{name}.py" for name in _CORE),
    *(f"tests/test_{name}.py" for name in ("core_chains", "core_seals", "guesses", "limits")),
    *(f"tests/test_{name}.py" for name in ("events", "answers", "policy", "arguments")),
    *("tests/test_match_code.py", "tests/wire/test_known_browser.py"),
    "tests/wire/test_one_account.py",
    *("tests/test_error_messages.py", "tests/wire/test_landing.py", "tests/test_shells.py"),
)
_LUA_TESTS = (
    "lua_without_a_server_decides_a_sample_as_python_does",
    "lua_on_a_real_redis_decides_every_case_as_python_does",
    "without_a_slack_a_poll_is_early_until_its_interval_is_over",
    "a_field_without_a_value_is_written_as_an_empty_text",
    "without_a_given_time_lua_asks_the_server_and_never_goes_back",
)
_WIRE = ("test_access", "test_requests", "test_held_status", "test_slots", "test_cookies")
#: The tests of each file, the fastest first.
TESTS: dict[str, tuple[str, ...]] = {
    "qrlogin/step.py": ("tests/test_table.py", "tests/test_step.py", "tests/test_answers.py"),
    "qrlogin/step.lua": (
        *(f"tests/test_step.py::test_{name}" for name in _LUA_TESTS),
        "tests/stores/test_redis_view.py",
    ),
    "qrlogin/codes.py": (
        *(f"tests/test_codes{part}.py" for part in ("", "_fixed", "_typed")),
        *(f"tests/test_{name}.py" for name in ("addresses", "keys", "core")),
    ),
    "qrlogin/core.py": _OF_THE_CORE,
    "qrlogin/phone_side.py": _OF_THE_CORE,
    "qrlogin/wire/endpoint.py": (
        *(f"tests/wire/{name}.py" for name in _WIRE),
        *(f"tests/wire/test_{name}.py" for name in ("streams", "landing", "websocket", "shutdown")),
        *(f"tests/wire/test_{name}.py" for name in ("unrouted", "message", "disconnects")),
        *("tests/test_limits.py", "tests/wire/dialects/test_head.py", "tests/wire/test_judge.py"),
        "tests/wire/test_one_at_a_time.py",
    ),
    "qrlogin/wire/dialects/native.py": (
        *(f"tests/wire/{name}.py" for name in _WIRE),
        *(f"tests/wire/test_{name}.py" for name in ("credentials", "cross_origin", "landing")),
        *(
            f"tests/wire/test_{name}.py"
            for name in ("context", "streams", "websocket", "secrets", "echo_and_origin")
        ),
        *(f"tests/wire/test_{name}.py" for name in ("free_text", "golden", "openapi", "unrouted")),
        *(f"tests/wire/test_{name}.py" for name in ("known_browser", "one_account", "judge")),
    ),
}


@dataclass(frozen=True)
class Mutant:
    """One change of a file."""

    file: str
    line: int
    change: str
    source: Callable[[], str]
    """The changed source of the file."""
    lines: range
    """Of its statement: a test that executes none of them cannot fail."""

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
    """Every mutant of a module in Python that is inside a function."""
    tree = ast.parse(source)
    paths: list[list[ast.AST]] = []

    def walk(node: ast.AST, above: list[ast.AST]) -> None:
        paths.append([*above, node])
        for child in ast.iter_child_nodes(node):
            walk(child, [*above, node])

    walk(tree, [])
    for index, path in enumerate(paths):
        if _is_text(path) or not _in_function(path):
            continue
        for number, _ in enumerate(_changes(path[-1])):
            twin = copy.deepcopy(path[-1])
            before = ast.unparse(twin)
            list(_changes(twin))[number](twin)
            after = ast.unparse(ast.fix_missing_locations(twin))
            change = f"{before.splitlines()[0][:70]} -> {after.splitlines()[0][:70]}"
            if before != after:
                line, changed = (
                    getattr(path[-1], "lineno", 0),
                    partial(_changed, tree, index, number),
                )
                yield Mutant(file, line, change, changed, _lines(path))


def _changed(tree: ast.AST, index: int, number: int) -> str:
    """The source of a copy of the tree, in which one node is changed in one way."""
    mutated = copy.deepcopy(tree)
    twin = _at(mutated, index)
    list(_changes(twin))[number](twin)
    return ast.unparse(ast.fix_missing_locations(mutated))


def _in_function(path: list[ast.AST]) -> bool:
    """Whether a node is in the body of a function: not in a default, a decorator or a class."""
    return any(
        isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef) and inner in outer.body
        for outer, inner in itertools.pairwise(path)
    )


def _lines(path: list[ast.AST]) -> range:
    """The lines of the statement of a node; of one that holds others, those of its head."""
    statement = next(node for node in reversed(path) if isinstance(node, ast.stmt))
    last = statement.end_lineno or statement.lineno
    if body := getattr(statement, "body", None):
        last = max(statement.lineno, body[0].lineno - 1)
    return range(statement.lineno, last + 1)


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
                change = f"{code.strip()} -> {changed.strip()}"
                yield Mutant(file, number + 1, change, partial(str, text), range(0))


def mutants_of(file: str) -> list[Mutant]:
    """Every mutant of a file of `TESTS`, in the order of its lines."""
    source = (ROOT / file).read_text("utf-8")
    return list((lua_mutants if file.endswith(".lua") else python_mutants)(file, source))


# Runs


class Run:
    """A plugin of pytest: runs the tests once, and then again for each mutant."""

    def __init__(self, file: str, chosen: list[Mutant], ends: float, out: int) -> None:
        self.file, self.chosen, self.ends, self.out = file, chosen, ends, out
        self.failed = False
        self.lines: dict[pytest.Item, set[int]] = {}
        self.seconds: dict[pytest.Item, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed |= report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = self._baseline(session.items)
        tried, killed = 0, 0
        for mutant in self.chosen:
            if time.monotonic() > self.ends:
                break
            tried += 1
            tests = [
                item
                for item in sorted(items, key=self.seconds.__getitem__)
                if not mutant.lines or self.lines[item].intersection(mutant.lines)
            ]
            verdict = self._try(mutant, session, tests) if tests else "no test executes it"
            killed += verdict.startswith("killed")
            if verdict != "killed":
                self.say(f"  {verdict}: {mutant}")
        self.say(f"{self.file}: {len(self.chosen)} mutants, {tried} tried, {killed} killed")
        return True

    def say(self, text: str) -> None:
        """Prints past the capturing of pytest."""
        os.write(self.out, f"{text}\n".encode())

    def _baseline(self, items: list[pytest.Item]) -> list[pytest.Item]:
        """Runs each test once. Returns those that pass."""
        target, passed = str(ROOT / self.file), list[pytest.Item]()
        for item, following in zip(items, [*items[1:], None], strict=True):
            executed = self.lines[item] = set()

            def trace(frame: FrameType, event: str, _: object, executed: Any = executed) -> Any:
                if frame.f_code.co_filename != target:
                    return None
                executed.add(frame.f_lineno)
                return trace

            began, self.failed = time.monotonic(), False
            if self.file.endswith(".py"):
                threading.settrace(trace)
                sys.settrace(trace)
            try:
                runtestprotocol(item, nextitem=following)
            finally:
                sys.settrace(None)
                threading.settrace(None)
            self.seconds[item] = time.monotonic() - began
            if self.failed:
                self.say(f"  it fails without a mutant: {item.nodeid}")
            else:
                passed.append(item)
        keep_cases()
        self.say(f"{self.file}: {len(passed)} tests, {sum(self.seconds.values()):.0f} s")
        return passed

    def _try(self, mutant: Mutant, session: pytest.Session, tests: list[pytest.Item]) -> str:
        child = os.fork()
        if child == 0:
            code = 3
            try:
                os.setpgid(0, 0)  # its servers end with it
                code = self._in_child(mutant, session, tests)
            finally:
                os._exit(code)
        ends = time.monotonic() + LEAST_SECONDS + 5 * sum(self.seconds[item] for item in tests)
        while time.monotonic() < ends:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                code = os.waitstatus_to_exitcode(status)
                return {0: "survived", 1: "killed"}.get(code, f"ended with {code}")
            time.sleep(0.01)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return "killed, by its time limit"

    def _in_child(self, mutant: Mutant, session: pytest.Session, tests: list[pytest.Item]) -> int:
        if mutant.file.endswith(".lua"):
            replace_script(mutant.source())
        else:
            replace_code(mutant.file, mutant.source())
        self.failed = False
        try:
            for item, following in zip(tests, [*tests[1:], None], strict=True):
                runtestprotocol(item, log=True, nextitem=following)
                if self.failed:
                    return 1
        finally:
            session._setupstate.teardown_exact(None)
        return 0


def keep_cases() -> None:
    """Lists the cases of the step once, and not once for each mutant."""
    for name, module in list(sys.modules.items()):
        if name.endswith("test_step"):
            kept = list(module.cases())
            module.cases = lambda kept=kept: kept  # type: ignore[attr-defined]


def replace_code(file: str, source: str) -> None:
    """Gives every function of a module the code that it has in `source`."""
    path = str(ROOT / file)
    new = dict[str, CodeType]()

    def collect(code: CodeType) -> None:
        for each in code.co_consts:
            if isinstance(each, CodeType):
                new[each.co_qualname] = each
                collect(each)

    collect(compile(source, path, "exec"))
    for function in gc.get_objects():
        if isinstance(function, FunctionType) and function.__code__.co_filename == path:
            code = new.get(function.__code__.co_qualname)
            if code and len(code.co_freevars) == len(function.__code__.co_freevars):
                function.__code__ = code


def replace_script(source: str) -> None:
    """Gives the stores another script in Lua."""
    from qrlogin.stores import redis_script

    for module in list(sys.modules.values()):
        if getattr(module, "SCRIPT", None) == redis_script.SCRIPT and module is not redis_script:
            module.SCRIPT = source  # type: ignore[attr-defined]
    scripts: Any = redis_script
    scripts.SCRIPT = source


def run(file: str, chosen: list[Mutant], ends: float) -> int:
    """Runs these mutants of a file in a process of their own. Returns its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    out = os.dup(1)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.chdir(ROOT)
    os.environ["HYPOTHESIS_PROFILE"] = "ci"
    sys.path[:0] = [str(ROOT), str(ROOT / "tools")]
    # Only a long test gives the script in Lua every case.
    marks = "not matrix" if file.endswith(".lua") else "not matrix and not long"
    options = ["-q", "-n0", "-p", "no:cacheprovider", "-m", marks]
    with contextlib.suppress(BaseException):
        pytest.main([*options, *TESTS[file]], plugins=[Run(file, chosen, ends, out)])
    os._exit(0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", default=list(TESTS), help="of " + ", ".join(TESTS))
    parser.add_argument("--sample", type=int, help="how many mutants of each file to run")
    parser.add_argument("--seed", type=int, default=1, help="draws another sample")
    parser.add_argument("--skip", type=int, default=0, help="leave out so many of the sample")
    parser.add_argument("--lines", type=int, nargs="+", help="only changes of these lines")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop each file after so long")
    options = parser.parse_args()
    for file in options.files:
        every = mutants_of(file)
        if options.lines:
            every = [mutant for mutant in every if mutant.line in options.lines]
        drawn = random.Random(options.seed)  # noqa: S311 - a sample, no secret
        chosen = drawn.sample(every, len(every))[: options.sample][options.skip :]
        print(f"{file}: {len(every)} mutants, {len(chosen)} drawn", flush=True)
        run(file, chosen, time.monotonic() + 60 * options.minutes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
