"""Draw the imports between the parts of the package into docs/design.md.

Run it after you add a module or an import: `.venv/bin/python tools/draw_imports.py`. With `--check`
it changes nothing, and exits with 1 if the picture is out of date.

A room is a module at the top of the package, or a whole folder (`stores`, `wire`, ...). A room is
drawn one floor above the highest room that it imports. The picture leaves out an import that
follows from another one: `core` imports `codes` and `codes` imports `keys`, so the line of `core`
does not repeat `keys`.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "qrlogin"
PAGE = ROOT / "docs" / "design.md"
MARKS = ("<!-- drawn from the imports -->", "<!-- end of the drawn part -->")
#: Modules and folders inside a folder that are rooms of their own.
INNER_ROOMS = ("stores.protocol", "stores.suite", "wire.dialects", "wire.endpoint")
#: Packages that only re-export names. An import from one counts as an import of the name's module.
REEXPORTING = ("qrlogin", "qrlogin.wire", "qrlogin.wire.dialects")

#: Each room with the rooms that it imports.
Graph = Mapping[str, set[str]]


def modules() -> Iterator[str]:
    """The name of every module of the package, such as `qrlogin.wire.endpoint`."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts).removesuffix(".__init__")


@cache
def import_statements(module: str) -> tuple[tuple[str, str], ...]:
    """Every import of a module, also in functions, as (module, name); `import x` has no name."""
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    found = list[tuple[str, str]]()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found += [(node.module, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
    return tuple(found)


def imported_modules(module: str) -> Iterator[str]:
    """The modules of the package that `module` imports. A re-exported name leads to its module."""
    own = frozenset(modules())
    for source, name in import_statements(module):
        if f"{source}.{name}" in own:
            yield f"{source}.{name}"
        elif source in REEXPORTING:
            yield from (origin for origin, other in import_statements(source) if other == name)
        elif source in own:
            yield source


def room_of(module: str) -> str:
    inside = module.removeprefix("qrlogin.")
    for room in INNER_ROOMS:
        if inside == room or inside.startswith(f"{room}."):
            return room
    return inside.partition(".")[0]


def imports_by_room() -> Graph:
    graph = dict[str, set[str]]()
    for module in modules():
        if module not in REEXPORTING:
            room = room_of(module)
            imported = {room_of(other) for other in imported_modules(module)}
            graph.setdefault(room, set()).update(imported - {room})
    return graph


def floors(graph: Graph) -> list[list[str]]:
    """The rooms by floor, from the lowest. Raises ValueError if imports form a circle."""
    sorter, found = TopologicalSorter(graph), list[list[str]]()
    sorter.prepare()
    while sorter.is_active():
        found.append(sorted(sorter.get_ready()))
        sorter.done(*found[-1])
    return found


def reachable(graph: Graph, room: str) -> set[str]:
    """Every room that `room` imports, directly or through others."""
    return graph[room].union(*(reachable(graph, below) for below in graph[room]))


def picture() -> str:
    """The drawing, as a code block in Markdown."""
    graph = imports_by_room()
    width = max(map(len, graph))
    lines = ["```text"]
    for number, floor in reversed([*enumerate(floors(graph))]):
        lines.append(f"floor {number}")
        for room in floor:
            implied = set[str]().union(*(reachable(graph, below) for below in graph[room]))
            imported = ", ".join(sorted(graph[room] - implied)) or "nothing"
            lines.append(f"  {room:<{width}}  imports {imported}")
    return "\n".join([*lines, "```"])


def main() -> int:
    before = PAGE.read_text(encoding="utf-8")
    head, _, rest = before.partition(MARKS[0])
    _, _, tail = rest.partition(MARKS[1])
    after = f"{head}{MARKS[0]}\n\n{picture()}\n\n{MARKS[1]}{tail}"
    if before == after:
        return 0
    if "--check" in sys.argv:
        print("docs/design.md is out of date: run .venv/bin/python tools/draw_imports.py")
        return 1
    PAGE.write_text(after, encoding="utf-8")
    print("updated docs/design.md")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
