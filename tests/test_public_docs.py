"""Every public name is documented where an editor shows it: in the source, under the name.

The rules: each exported name and each public method has a docstring. A call with three or more
parameters has a `:param name:` line for each of them. Each field of an exported dataclass has a
docstring, and so has each exported constant: a string literal in the line after it.
"""

import ast
import dataclasses
import inspect
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
from build_docs import public_names
from public_modules import DESCRIBED

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


# Reading the source


@cache
def tree(module: str) -> ast.Module:
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return ast.parse(Path(spec.origin).read_text("utf-8"))


def class_in_source(kind: type) -> ast.ClassDef:
    body: list[ast.stmt] = tree(kind.__module__).body
    *outer, name = kind.__qualname__.split(".")
    for each in outer:
        body = next(
            node for node in body if isinstance(node, ast.ClassDef) and node.name == each
        ).body
    return next(node for node in body if isinstance(node, ast.ClassDef) and node.name == name)


def documented_assignments(body: list[ast.stmt]) -> dict[str, bool]:
    """The names that these statements assign, and whether a string literal follows each."""
    found: dict[str, bool] = {}
    for at, node in enumerate(body):
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        after = body[at + 1] if at + 1 < len(body) else None
        documented = (
            isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
            and isinstance(after.value.value, str)
        )
        found |= {each.id: documented for each in targets if isinstance(each, ast.Name)}
    return found


def missing_of_constant(module: str, name: str) -> Iterator[str]:
    """Follow the imports to the module that defines the constant."""
    for node in tree(module).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    yield from missing_of_constant(node.module, alias.name)
                    return
    if not documented_assignments(tree(module).body).get(name, False):
        yield f"{module}.{name}: no docstring under the constant"


# What is missing


def missing_of_callable(where: str, call: FunctionType, doc: str) -> Iterator[str]:
    parameters = [
        name for name in inspect.signature(call).parameters if name not in ("self", "cls")
    ]
    if len(parameters) >= 3:
        for name in parameters:
            if not re.search(rf"^\s*:param \*{{0,2}}{name}:", doc, re.MULTILINE):
                yield f"{where}: no :param {name}:"


def missing_of_method(kind: type, name: str, member: object) -> Iterator[str]:
    where = f"{kind.__module__}.{kind.__qualname__}.{name}"
    call = member.__func__ if isinstance(member, classmethod | staticmethod) else member
    if isinstance(member, property) or isinstance(call, FunctionType):
        doc = inspect.getdoc(getattr(kind, name))
        if not doc:
            yield f"{where}: no docstring"
        elif isinstance(call, FunctionType):
            yield from missing_of_callable(where, call, doc)


def missing_of_class(kind: type) -> Iterator[str]:
    where = f"{kind.__module__}.{kind.__qualname__}"
    generated = f"{kind.__name__}("  # how the docstring begins that @dataclass writes
    is_documented = kind.__doc__ and not kind.__doc__.startswith(generated)
    if not is_documented and not kind.__name__.startswith("_"):
        yield f"{where}: no docstring"
    for name, member in vars(kind).items():
        if not name.startswith(("_", "test_")):  # the name of a test is its sentence
            yield from missing_of_method(kind, name, member)
    if dataclasses.is_dataclass(kind):
        documented = documented_assignments(class_in_source(kind).body)
        own = [each.name for each in dataclasses.fields(kind) if each.name in documented]
        for name in own:
            if not name.startswith("_") and not documented[name]:
                yield f"{where}.{name}: no docstring under the field"
    elif kind.__name__.startswith("_"):
        return  # a class that inherits from it says what its parameters are
    elif isinstance(constructor := vars(kind).get("__init__"), FunctionType):
        doc = f"{inspect.getdoc(kind) or ''}\n{constructor.__doc__ or ''}"
        yield from missing_of_callable(where, constructor, doc)


def bases_of_ours(kind: type) -> list[type]:
    """The class, and the classes of this package from which it inherits public methods."""
    return [each for each in kind.__mro__ if each.__module__.partition(".")[0] == "qrlogin"]


def missing_of_module(module: str) -> Iterator[str]:
    room = import_module(module)
    if not room.__doc__:
        yield f"{module}: no docstring"
    for name in public_names(room):
        if not hasattr(room, name):
            yield f"{module}.{name}: is in __all__ and does not exist"
            continue
        value: Any = getattr(room, name)
        if isinstance(value, type):
            for kind in bases_of_ours(value):
                yield from missing_of_class(kind)
        elif callable(value) and hasattr(value, "__wrapped__"):
            value = inspect.unwrap(value)
        if isinstance(value, FunctionType):
            where = f"{value.__module__}.{value.__qualname__}"
            doc = inspect.getdoc(value)
            if not doc:
                yield f"{where}: no docstring"
            else:
                yield from missing_of_callable(where, value, doc)
        elif not isinstance(value, type):
            yield from missing_of_constant(module, name)


@pytest.mark.parametrize("module", DESCRIBED)
def test_every_public_name_is_documented(module: str) -> None:
    missing = dict.fromkeys(missing_of_module(module))
    assert not missing, "\n".join(missing)


# That the test can fail


def test_an_undocumented_parameter_field_and_constant_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bare_module.py").write_text(
        '''
from dataclasses import dataclass

__all__ = ["LIMIT", "Bare", "Client", "call"]

LIMIT = 3  # a comment is not shown

@dataclass
class Bare:
    """A class."""

    named: int
    """Documented."""
    bare: int  # a comment

class Client:
    """A client.

    :param one: documented.
    """

    def __init__(self, one, two, three): ...

    def send(self): ...

def call(one, two, three):
    """Call.

    :param one: documented.
    :param two: documented.
    """
''',
        "utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("tests.test_public_docs.bases_of_ours", lambda kind: [kind])
    found = list(missing_of_module("bare_module"))
    sys.modules.pop("bare_module")
    assert found == [
        "bare_module: no docstring",
        "bare_module.LIMIT: no docstring under the constant",
        "bare_module.Bare.bare: no docstring under the field",
        "bare_module.Client.send: no docstring",
        "bare_module.Client: no :param two:",
        "bare_module.Client: no :param three:",
        "bare_module.call: no :param three:",
    ]
