"""Draw who imports whom into docs/design.md, from the imports themselves.

`--check` changes nothing and says whether the picture is current. Run it after adding a module or an
import: `.venv/bin/python tools/draw_imports.py`.

A room is a module at the top of the package, or a whole folder (`stores`, `wire`, ...). A floor stands
above everything that it imports. An import that follows from another one is left out of the picture:
where `core` imports `codes` and `codes` imports `keys`, the line of `core` does not repeat `keys`.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "qrlogin"
PAGE = ROOT / "docs" / "design.md"
MARKS = ("<!-- drawn from the imports -->", "<!-- end of the drawn part -->")
#: Modules and folders inside a folder that are drawn as rooms of their own.
APART = ("stores.protocol", "stores.suite", "wire.dialects", "wire.endpoint")
#: Packages that only hand on what is inside: an import from one counts as an import of what it hands on.
FACES = ("qrlogin", "qrlogin.wire", "qrlogin.wire.dialects")


def modules() -> Iterator[str]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        yield ".".join(parts).removesuffix(".__init__")


@cache
def named(module: str) -> tuple[tuple[str, str], ...]:
    """Each import of this module, also those inside functions, as (module, name)."""
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    found = list[tuple[str, str]]()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found += [(node.module, each.name) for each in node.names]
        elif isinstance(node, ast.Import):
            found += [(each.name, "") for each in node.names]
    return tuple(found)


def imported(module: str) -> Iterator[str]:
    """The modules of the package that this one imports, looked up through the faces."""
    known = frozenset(modules())
    for source, name in named(module):
        if f"{source}.{name}" in known:
            yield f"{source}.{name}"
        elif source in FACES:
            yield from (inside for inside, each in named(source) if each == name)
        elif source in known:
            yield source


def room(module: str) -> str:
    inside = module.removeprefix("qrlogin.")
    apart = [name for name in APART if inside == name or inside.startswith(f"{name}.")]
    return max(apart, key=len) if apart else inside.partition(".")[0]


def rooms() -> dict[str, set[str]]:
    """Each room with the rooms that it imports."""
    found = dict[str, set[str]]()
    for module in modules():
        if module not in FACES:
            theirs = {room(each) for each in imported(module)}
            found.setdefault(room(module), set()).update(theirs - {room(module)})
    return found


def reach(graph: Mapping[str, set[str]], start: str) -> set[str]:
    """Every room that `start` imports, directly or through others."""
    seen, open_ = set[str](), [*graph[start]]
    while open_:
        if (each := open_.pop()) not in seen:
            seen.add(each)
            open_ += graph[each]
    return seen


def floors(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """The rooms from the ground up. Raises ValueError for a circle of imports."""
    left, built = dict(graph), list[list[str]]()
    while left:
        floor = sorted(each for each, below in left.items() if not below & left.keys())
        if not floor:
            raise ValueError(
                f"these rooms import each other in a circle: {', '.join(sorted(left))}"
            )
        built.append(floor)
        left = {each: below for each, below in left.items() if each not in floor}
    return built


def picture() -> str:
    graph = rooms()
    width = max(map(len, graph))
    lines = list[str]()
    for height, floor in reversed([*enumerate(floors(graph))]):
        lines.append(f"floor {height}")
        for each in floor:
            implied = set[str]().union(*(reach(graph, below) for below in graph[each]))
            arrows = ", ".join(sorted(graph[each] - implied))
            lines.append(
                f"  {each:<{width}}  {f'imports {arrows}' if arrows else 'imports nothing'}"
            )
    return "\n".join(["```text", *lines, "```"])


def main() -> int:
    before = PAGE.read_text(encoding="utf-8")
    head, _, rest = before.partition(MARKS[0])
    _, _, tail = rest.partition(MARKS[1])
    after = f"{head}{MARKS[0]}\n\n{picture()}\n\n{MARKS[1]}{tail}"
    if before == after:
        return 0
    if "--check" in sys.argv:
        print("docs/design.md does not show the imports as they are: run tools/draw_imports.py")
        return 1
    PAGE.write_text(after, encoding="utf-8")
    print("drew docs/design.md")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
