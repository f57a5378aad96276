"""Write the public names of the package into tests/api.txt, one line each.

Run it after you change one on purpose: `.venv/bin/python tools/draw_api.py`. With `--check` it
changes nothing, prints the difference, and exits with 1 if the file is out of date. The file lists
what docs/upgrading.md promises to keep: names, signatures, fields, defaults and the bases of
classes. It is read from the source, so it is the same on every version of Python.
"""

import ast
import copy
import difflib
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from public_modules import PUBLIC

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "tests" / "api.txt"
HEAD = "# The public API. Renewed by .venv/bin/python tools/draw_api.py; do not edit.\n"
#: A longer value of a constant may change: it is a list of all checks, or a sentence for users.
LONGEST_VALUE = 60

Function = ast.FunctionDef | ast.AsyncFunctionDef
#: A definition, and the module that it is in.
Found = tuple[str, ast.AST]


def statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a body, also those below an `if`."""
    for node in body:
        if isinstance(node, ast.If):
            yield from statements([*node.body, *node.orelse])
        else:
            yield node


@cache
def body_of(module: str) -> tuple[ast.stmt, ...]:
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return tuple(statements(ast.parse(path.read_text("utf-8")).body))


def assigned(node: ast.stmt) -> str:
    """The name that a statement assigns or defines; "" for any other statement."""
    if isinstance(node, ast.ClassDef | Function):
        return node.name
    target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
    return ast.unparse(target) if isinstance(target, ast.Name) else ""


@cache
def find(module: str, name: str) -> Found | None:
    """What a name of a module means, through its imports. None if it is not of this package."""
    for node in body_of(module):
        if assigned(node) == name:
            return module, node
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("qrlogin"):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return find(node.module or "", alias.name)
    return None


def offered(module: str) -> list[str]:
    """The names that a module offers."""
    body = body_of(module)
    for node in body:
        if assigned(node) == "__all__" and isinstance(node, ast.Assign):
            return sorted(ast.literal_eval(node.value))
    return sorted(name for node in body if (name := assigned(node)) and not name.startswith("_"))


def signature(node: Function, *, bound: bool) -> str:
    """What a call passes and receives. A bound one passes no `self`."""
    arguments = copy.deepcopy(node.args)
    if bound:
        (arguments.posonlyargs or arguments.args).pop(0)
    word = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{word}{node.name}({ast.unparse(arguments)}){returns}"


def variable(node: ast.AnnAssign | ast.Assign) -> str:
    name = ast.unparse(node.target if isinstance(node, ast.AnnAssign) else node.targets[0])
    annotation = f": {ast.unparse(node.annotation)}" if isinstance(node, ast.AnnAssign) else ""
    value = f" = {ast.unparse(node.value)}" if node.value else ""
    if len(value) > LONGEST_VALUE:
        value = " = ..."
    return f"{name.removeprefix('self.')}{annotation}{value}"


def members(module: str, node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """Each public member of a class with its line: fields in their order, then the rest."""
    own = list(statements(node.body))
    marks = {ast.unparse(each) for each in node.decorator_list}
    is_dataclass = any(mark.startswith("dataclass") for mark in marks)
    for each in own:
        if isinstance(each, ast.AnnAssign | ast.Assign) and assigned(each):
            yield assigned(each), variable(each)
    for each in own:
        if not isinstance(each, Function):
            continue
        words = [ast.unparse(mark) for mark in each.decorator_list]
        if "property" in words:
            yield each.name, f"{each.name}: {ast.unparse(each.returns or ast.Constant(None))}"
            continue
        how = next((f"{word} " for word in ("classmethod", "staticmethod") if word in words), "")
        if each.name != "__init__" or not is_dataclass:
            yield each.name, how + signature(each, bound="staticmethod" not in words)
        if each.name == "__init__":
            for part in each.body:  # attributes with a type of their own
                if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Attribute):
                    line = variable(ast.AnnAssign(part.target, part.annotation, None, 0))
                    yield part.target.attr, line
    # A public base has its own lines. Another one is written out here.
    for base in node.bases:
        found = find(module, ast.unparse(base).partition("[")[0])
        if found and isinstance(found[1], ast.ClassDef) and found not in public():
            yield from members(found[0], found[1])


@cache
def public() -> frozenset[Found]:
    """Every definition that a public module offers."""
    found = (find(module, name) for module in PUBLIC for name in offered(module))
    return frozenset(each for each in found if each)


def lines(module: str, name: str) -> Iterator[str]:
    found = find(module, name)
    if found is None:
        raise SystemExit(f"draw_api: {module} offers {name}, and nothing defines it")
    home, node = found
    if isinstance(node, ast.ClassDef):
        marks = [ast.unparse(each) for each in node.decorator_list]
        bases = ", ".join(map(ast.unparse, [*node.bases, *node.keywords]))
        yield " ".join([*(f"@{mark}" for mark in marks), f"class {name}({bases})"])
        wanted = {
            member: line
            for member, line in reversed([*members(home, node)])
            if not member.startswith(("_", "test_")) or member == "__init__"
        }
        yield from (f"    {line}" for line in reversed(wanted.values()))
    elif isinstance(node, Function):
        yield signature(node, bound=False)
    elif isinstance(node, ast.AnnAssign | ast.Assign):
        yield variable(node)


def text() -> str:
    """The whole file. What two modules offer is written out at the first."""
    written = set[Found]()
    parts = [HEAD]
    for module in PUBLIC:
        parts.append(f"\n# {module}\n")
        for name in offered(module):
            found = find(module, name)
            if found in written:
                parts.append(f"{name} is that of {found[0]}\n" if found else "")
                continue
            parts += [f"{line}\n" for line in lines(module, name)]
            if found:
                written.add(found)
    return "".join(parts)


def main(arguments: list[str]) -> int:
    """Write the file, or compare it with `--check`."""
    new, old = text(), PAGE.read_text("utf-8") if PAGE.exists() else ""
    if "--check" not in arguments:
        PAGE.write_text(new, "utf-8")
        return 0
    changes = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=0)
    changed = [line for line in changes if not line.startswith(("---", "+++", "@@"))]
    print("\n".join(changed))
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
