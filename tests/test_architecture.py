"""Who may import whom: the picture of the rooms, held against the imports that are really there.

Read "A ─► B" as "B imports A", and whatever A is built of. What a room needs and the picture grants is allowed; all else is a
wall, and a module that nobody has placed in the picture is found too.
"""

import ast
import itertools
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import qrlogin
from tests.tables import for_each_row

PACKAGE = Path(qrlogin.__file__).parent
MODULES = sorted(
    ".".join(("qrlogin", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)

PICTURE = """
    table ─► step ─► stores ◄─ errors, clock
    table, step, errors, answers, policy, codes ─► core ─► login, aio ◄─ clock
    errors, answers, core, render, browser ─► wire
    login, aio, stores, wire, render ─► demo ─► __main__
"""
FINE_PRINT = """
    table ─► answers
    errors ─► policy, codes, arguments
    names ─► arguments
    step, errors, answers, codes, arguments ─► replies ─► core
    step, errors, answers ─► operation ─► core
    stores.protocol ─► login, aio
    step ─► stores.protocol
    codes, errors ─► keyfile
    wire, login, aio ─► wire.endpoint, wire.shutdown
    login, aio, stores, clock ─► stores.suite
    login, aio, errors, policy, stores, answers ─► qrlogin
"""

#: Packages of other people, and the only modules that may import them.
STRANGERS = {
    "itsdangerous": ("qrlogin.codes",),
    "redis": ("qrlogin.stores.redis",),
    "segno": ("qrlogin.render",),
    "qrcode": ("qrlogin.render",),
    "PIL": ("qrlogin.render", "qrlogin.demo.selfcheck"),
    "zxingcpp": ("qrlogin.demo.selfcheck",),
    "ua_parser": ("qrlogin.wire.context",),
    "pytest": ("qrlogin.stores.suite",),
    "hypothesis": ("qrlogin.stores.suite",),
}
FRAMEWORKS = {"flask", "fastapi", "starlette", "django", "werkzeug", "uvicorn", "gunicorn", "aiohttp", "quart", "litestar"}
CLOCKS = {"time", "datetime", "calendar", "sched", "timeit"}
#: What a module without colour, without I/O has no use for.
WORLDLY = {"asyncio", "socket", "ssl", "select", "selectors", "threading", "subprocess", "multiprocessing", "concurrent"}
WORLDLY |= {"http.client", "http.server", "urllib.request", "os", "sys", "logging", "tempfile", "sqlite3", "signal"}
PURE = ("table", "step", "answers", "policy", "errors", "codes", "names", "arguments", "replies", "operation", "core")


def source(module: str) -> ast.Module:
    path = PACKAGE.joinpath(*module.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_text("utf-8"), str(path))


@cache
def imports(module: str) -> frozenset[str]:
    """Every module that this one names in an import, inside functions and under TYPE_CHECKING as well."""
    found = set()
    for node in ast.walk(source(module)):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} imports relatively"
            assert node.module
            named = {f"{node.module}.{each.name}" for each in node.names}
            submodules = named & set(MODULES)
            found |= submodules or {node.module}
    return frozenset(found)


def under(module: str, roofs: tuple[str, ...]) -> bool:
    return any(module == roof or module.startswith(f"{roof}.") for roof in roofs)


# The picture, read


def arrows() -> Iterator[tuple[str, str]]:
    """(imported, importer), as drawn."""
    for line in (PICTURE + FINE_PRINT).strip().splitlines():
        for left_to_right in (True, False):
            arrow, other = ("─►", "◄─") if left_to_right else ("◄─", "─►")
            for part in line.split(other):
                names = [[name.strip() for name in each.split(",")] for each in part.split(arrow)]
                for firsts, seconds in itertools.pairwise(names):
                    for first, second in itertools.product(firsts, seconds):
                        yield (first, second) if left_to_right else (second, first)


@cache
def granted(room: str) -> frozenset[str]:
    """What a room may import: what points to it, and what points to that."""
    direct = {imported for imported, importer in arrows() if importer == room}
    return frozenset(direct.union(*(granted(one) for one in direct)))


ROOMS = {room for arrow in arrows() for room in arrow}


def room(module: str) -> str:
    """The narrowest room that a module lies in."""
    inside = module.removeprefix("qrlogin.")
    lying_in = [each for each in ROOMS if under(inside, (each,))]
    assert lying_in, f"{module} is nowhere in the picture"
    return max(lying_in, key=len)


def test_the_picture_is_read_as_it_is_meant() -> None:
    assert granted("table") == granted("errors") == granted("render") == granted("browser") == granted("clock") == frozenset()
    assert granted("step") == {"table"}
    assert granted("stores") == {"table", "step", "errors", "clock"}
    assert granted("core") == set(PURE) - {"core"}
    assert granted("login") == granted("aio") == {*granted("core"), "core", "clock", "stores.protocol"}
    assert not {"login", "aio", "stores", "clock"} & granted("wire")
    assert len(list(arrows())) == len(set(arrows())) >= 38


@for_each_row("module", MODULES)
def test_a_module_imports_what_the_picture_grants_it(module: str) -> None:
    mine = room(module)
    for imported in imports(module):
        if under(imported, ("qrlogin",)):
            theirs = room(imported)
            its_own = module != "qrlogin" and imported.startswith(f"{module}.")  # a package's door shows what is inside
            assert its_own or theirs == mine or theirs in granted(mine), f"{module} must not import {imported}"


def test_the_walls_that_matter_most_are_walls() -> None:
    """Said once more without the picture, so that a slip in reading it is seen."""
    everything = {module: {each for each in imports(module) if under(each, ("qrlogin",))} for module in MODULES}
    assert everything["qrlogin.table"] == everything["qrlogin.errors"] == everything["qrlogin.clock"] == set()
    for pure in PURE:
        assert not {"qrlogin.clock", "qrlogin.login", "qrlogin.aio"} & everything[f"qrlogin.{pure}"], pure
        assert not any(
            under(each, ("qrlogin.stores", "qrlogin.wire", "qrlogin.render")) for each in everything[f"qrlogin.{pure}"]
        )
    assert "qrlogin.aio" not in everything["qrlogin.login"]
    assert "qrlogin.login" not in everything["qrlogin.aio"]
    for module, imported in everything.items():
        if under(module, ("qrlogin.render", "qrlogin.browser")):
            assert all(under(each, ("qrlogin.render", "qrlogin.browser")) for each in imported), module
        if under(module, ("qrlogin.stores",)) and not under(module, ("qrlogin.stores.suite",)):
            assert not {"qrlogin.codes", "qrlogin.core", "qrlogin.answers"} & imported, f"{module} sees more than commands"
    assert not any(
        "qrlogin.demo" in each for module, each in everything.items() if not under(module, ("qrlogin.demo", "qrlogin.__main__"))
    )


@for_each_row("module", MODULES)
def test_other_peoples_packages_have_one_door_each(module: str) -> None:
    tops = {imported.partition(".")[0] for imported in imports(module)}
    assert not tops & FRAMEWORKS, "only examples import a web framework"
    for stranger, doors in STRANGERS.items():
        assert stranger not in tops or under(module, doors), f"{module} imports {stranger}"
    assert tops - {"qrlogin"} <= {*sys.stdlib_module_names, *STRANGERS}


@for_each_row("module", MODULES)
def test_one_module_reads_the_clock(module: str) -> None:
    if module != "qrlogin.clock":
        assert not {imported.partition(".")[0] for imported in imports(module)} & CLOCKS


@for_each_row("module", [f"qrlogin.{name}" for name in PURE])
def test_the_protocol_is_pure(module: str) -> None:
    """No colour, no socket, no thread, no file, no environment: arguments in, values out."""
    assert not {each for each in imports(module) if each in WORLDLY or each.partition(".")[0] in WORLDLY}
    assert not colours(module)
    called = {node.func.id for node in ast.walk(source(module)) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not called & {"open", "print", "input", "eval", "exec", "__import__"}


def colours(module: str) -> set[str]:
    """The coroutines that a module defines."""
    return {node.name for node in ast.walk(source(module)) if isinstance(node, ast.AsyncFunctionDef)}


def test_wire_has_no_colour_but_for_its_endpoint() -> None:
    """ASGI itself is spoken where it is read and written: `from_asgi`, what it hands out, and `to_asgi`. And whoever hears a
    signal has to get out of its way, into a thread or into the loop; whoever looks after threads that wait needs one more.
    """
    for module in MODULES:
        if under(module, ("qrlogin.wire",)) and module != "qrlogin.wire.endpoint":
            assert colours(module) <= ({"from_asgi", "gone", "to_asgi"} if module == "qrlogin.wire.message" else set()), module
            allowed = module in ("qrlogin.wire.shutdown", "qrlogin.wire.places")
            assert allowed or not {"asyncio", "threading"} & imports(module), module
            assert module == "qrlogin.wire.shutdown" or "signal" not in imports(module), module


# What an import costs

HEAVY = {"redis", "segno", "qrcode", "PIL", "zxingcpp", "ua_parser", "pytest", "hypothesis", "lupa", "fakeredis", *FRAMEWORKS}


def loaded_by(statement: str) -> set[str]:
    told = subprocess.run(
        [sys.executable, "-c", f"import sys; {statement}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(told.stdout.split())


def test_importing_qrlogin_loads_no_client_no_renderer_and_no_framework() -> None:
    """G17: what an application does not use, it does not pay for."""
    loaded = loaded_by("import qrlogin")
    assert {"qrlogin.login", "qrlogin.aio", "itsdangerous"} <= loaded
    assert not {name.partition(".")[0] for name in loaded} & HEAVY
    rooms = {name for name in loaded if under(name, ("qrlogin",))}
    assert not any(under(name, ("qrlogin.render", "qrlogin.wire", "qrlogin.demo", "qrlogin.browser")) for name in rooms)
    assert not {"qrlogin.stores.redis", "qrlogin.stores.suite", "http.server", "sqlite3", "multiprocessing"} & loaded


@pytest.mark.parametrize(
    ("statement", "still_missing"),
    [
        ("import qrlogin.stores", {"redis"}),
        ("import qrlogin.render", HEAVY - {"segno"}),
        ("import qrlogin.wire", HEAVY - {"segno"}),
        ("from qrlogin.stores import RedisStore", HEAVY - {"redis"}),
        ("import qrlogin.__main__", {"redis", "PIL", "zxingcpp", *FRAMEWORKS}),
    ],
)
def test_each_room_loads_its_own_stranger_at_most(statement: str, still_missing: set[str]) -> None:
    assert not {name.partition(".")[0] for name in loaded_by(statement)} & still_missing


def test_without_redis_the_store_says_how_to_get_it() -> None:
    hidden = "sys.modules['redis'] = None"
    asked = f"""{hidden}
import qrlogin.stores
try:
    qrlogin.stores.RedisStore
except ImportError as error:
    print("told:", error)
"""
    told = subprocess.run([sys.executable, "-c", f"import sys; {asked}"], capture_output=True, text=True, check=True, timeout=60)
    assert "told: RedisStore needs the redis client: pip install 'qrlogin[redis]'" in told.stdout
