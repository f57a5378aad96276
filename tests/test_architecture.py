"""Modules import only what the design allows, and an import loads only what it needs.

docs/design.md shows the imports as `tools/draw_imports.py` draws them, so a review sees a new one.
The rules below hold whatever the drawing shows.
"""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import draw_imports
import pytest

import qrlogin

PACKAGE = Path(qrlogin.__file__).parent
MODULES = sorted(draw_imports.modules())

#: Third-party packages, and the only modules that may import them.
THIRD_PARTY = {
    "itsdangerous": ("qrlogin.keys",),
    "redis": (
        "qrlogin.stores.redis",
        "qrlogin.stores.redis_call_time",
        "qrlogin.stores.redis_client",
        "qrlogin.stores.redis_cluster",
        "qrlogin.doctor.stores",
        "qrlogin.stores.redis_durable",
        "qrlogin.stores.redis_pipeline",
    ),
    "psycopg": (
        "qrlogin.stores.sql_postgres",
        "qrlogin.stores.sql_postgres_pool",
        "qrlogin.doctor.stores",
    ),
    "segno": ("qrlogin.render",),
    "qrcode": ("qrlogin.render",),
    "PIL": ("qrlogin.render", "qrlogin.demo.selfcheck"),
    "zxingcpp": ("qrlogin.demo.selfcheck",),
    "ua_parser": ("qrlogin.wire.context",),
    "pytest": ("qrlogin.stores.suite", "qrlogin.audit.plugin", "qrlogin.testing.plugin"),
    "hypothesis": ("qrlogin.stores.suite",),
    "flask": ("qrlogin.contrib.flask",),
    "werkzeug": ("qrlogin.contrib.flask",),
    "fastapi": ("qrlogin.contrib.fastapi",),
    "starlette": ("qrlogin.contrib.fastapi",),
    "django": tuple(each for each in MODULES if each.startswith("qrlogin.contrib.django")),
    "asgiref": ("qrlogin.contrib.django",),
    "prometheus_client": ("qrlogin.contrib.prometheus",),
    "opentelemetry": ("qrlogin.contrib.opentelemetry",),
    "waitress": ("qrlogin.demo.server",),
}
FRAMEWORKS = {
    *("flask", "fastapi", "starlette", "django", "werkzeug", "uvicorn", "gunicorn"),
    *("aiohttp", "quart", "litestar", "asgiref"),
}
CLOCKS = {"time", "datetime", "calendar", "sched", "timeit"}
#: What a module that does no I/O has no use for.
IO = {"asyncio", "socket", "ssl", "select", "selectors", "threading", "subprocess"}
IO |= {"multiprocessing", "concurrent", "http.client", "http.server", "urllib.request"}
IO |= {"os", "sys", "logging", "tempfile", "sqlite3", "signal"}
PURE = (
    *(
        "table",
        "step",
        "answers",
        "policy",
        "errors",
        "names",
        "arguments",
        "addresses",
        "keys",
        "seals",
    ),
    *("codes", "news", "reply_checks", "operation", "emitted", "typed_codes", "commands"),
    *("phone_side", "core"),
)


def source(module: str) -> ast.Module:
    path = PACKAGE.joinpath(*module.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_text("utf-8"), str(path))


@cache
def imports(module: str) -> frozenset[str]:
    """Every module that this one imports, also inside functions and TYPE_CHECKING."""
    found = set()
    for node in ast.walk(source(module)):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} imports relatively"
            assert node.module
            named = {f"{node.module}.{each.name}" for each in node.names}
            found |= named & set(MODULES) or {node.module}
    return frozenset(found)


def inside(module: str, *rooms: str) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in rooms)


def own_imports(module: str) -> set[str]:
    return {each for each in imports(module) if inside(each, "qrlogin")}


def test_the_design_page_shows_the_imports_as_they_are() -> None:
    """Drawing the picture also proves that no rooms import each other in a circle."""
    page = draw_imports.PAGE.read_text("utf-8")
    assert draw_imports.picture() in page, "run .venv/bin/python tools/draw_imports.py"


def test_the_drawing_notices_a_circle() -> None:
    with pytest.raises(ValueError, match=r"cycle.*'a', 'b'|cycle.*'b', 'a'"):
        draw_imports.floors({"a": {"b"}, "b": {"a"}, "c": set()})


def test_pure_modules_import_no_clock_no_shell_and_no_store() -> None:
    for pure in (f"qrlogin.{name}" for name in PURE):
        above = {"qrlogin.clock", "qrlogin.login", "qrlogin.aio"} & own_imports(pure)
        rooms = {
            each for each in own_imports(pure) if inside(each, *map("qrlogin.{}".format, ROOMS))
        }
        assert not above | rooms, pure


ROOMS = {"stores", "wire", "render", "browser", "demo", "contrib", "audit"}


def test_the_two_shells_do_not_import_each_other() -> None:
    assert "qrlogin.aio" not in imports("qrlogin.login")
    assert "qrlogin.login" not in imports("qrlogin.aio")


def test_stores_import_commands_and_neither_codes_nor_answers() -> None:
    for module in MODULES:
        if inside(module, "qrlogin.stores") and not inside(module, "qrlogin.stores.suite"):
            above = {"qrlogin.codes", "qrlogin.keys", "qrlogin.core", "qrlogin.answers"}
            assert not above & imports(module), module


def test_render_and_browser_import_no_other_room() -> None:
    """Except for `names`: the texts of pages clean the names in them as the core does."""
    rooms = ("qrlogin.render", "qrlogin.browser", "qrlogin.names")
    for module in MODULES:
        if inside(module, *rooms):
            assert all(inside(each, *rooms) for each in own_imports(module)), module


def test_dialects_do_not_import_the_endpoint_that_runs_them() -> None:
    for module in MODULES:
        if inside(module, "qrlogin.wire.dialects"):
            assert not {"qrlogin.wire.endpoint", "qrlogin.wire"} & imports(module), module


def test_only_the_command_line_imports_the_demo() -> None:
    for module in MODULES:
        if not inside(module, "qrlogin.demo", "qrlogin.__main__"):
            assert not any(inside(each, "qrlogin.demo") for each in imports(module)), module


def test_the_audit_imports_nothing_of_what_it_audits() -> None:
    for module in MODULES:
        if inside(module, "qrlogin.audit"):
            assert all(inside(each, "qrlogin.audit") for each in own_imports(module)), module
        elif module != "qrlogin.__main__":
            assert not any(inside(each, "qrlogin.audit") for each in own_imports(module)), module


def test_only_contrib_imports_contrib() -> None:
    for module in MODULES:
        if not inside(module, "qrlogin.contrib"):
            assert not any(inside(each, "qrlogin.contrib") for each in imports(module)), module


def test_each_third_party_package_is_imported_in_one_place() -> None:
    for module in MODULES:
        tops = {imported.partition(".")[0] for imported in imports(module)}
        if not inside(module, "qrlogin.contrib"):
            assert not tops & FRAMEWORKS, f"{module} imports a web framework"
        for package, doors in THIRD_PARTY.items():
            assert package not in tops or inside(module, *doors), f"{module} imports {package}"
        assert tops - {"qrlogin"} <= {*sys.stdlib_module_names, *THIRD_PARTY}, module


def test_one_module_reads_the_clock() -> None:
    for module in MODULES:
        clocks = {imported.partition(".")[0] for imported in imports(module)} & CLOCKS
        assert not clocks or module == "qrlogin.clock", module


def test_pure_modules_do_no_io() -> None:
    """No coroutine, socket, thread, file or environment: arguments in, values out."""
    for module in (f"qrlogin.{name}" for name in PURE):
        assert not {each for each in imports(module) if {each, each.partition(".")[0]} & IO}, module
        assert not coroutines(module), module
        calls = [node for node in ast.walk(source(module)) if isinstance(node, ast.Call)]
        called = {node.func.id for node in calls if isinstance(node.func, ast.Name)}
        assert not called & {"open", "print", "input", "eval", "exec", "__import__"}, module


def coroutines(module: str) -> set[str]:
    return {
        node.name for node in ast.walk(source(module)) if isinstance(node, ast.AsyncFunctionDef)
    }


def test_in_wire_only_the_endpoint_awaits() -> None:
    """The exceptions: `message` reads and writes ASGI itself. `shutdown` leaves a signal handler by
    way of a thread or the loop, and `disconnects` watches connections in a thread.
    """
    asgi = {"from_asgi", "_wait_disconnect", "_disconnected", "to_asgi"}
    threads = ("qrlogin.wire.shutdown", "qrlogin.wire.disconnects")
    for module in MODULES:
        if inside(module, "qrlogin.wire") and module != "qrlogin.wire.endpoint":
            allowed = asgi if module == "qrlogin.wire.message" else set()
            assert coroutines(module) <= allowed, module
            assert module in threads or not {"asyncio", "threading"} & imports(module), module
            assert module == "qrlogin.wire.shutdown" or "signal" not in imports(module), module


# What an import costs

HEAVY = {
    *("redis", "segno", "qrcode", "PIL", "zxingcpp", "ua_parser", "pytest", "hypothesis"),
    *("lupa", "fakeredis", "prometheus_client"),
    *FRAMEWORKS,
}


def loaded_by(statement: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {statement}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(done.stdout.split())


def test_importing_qrlogin_loads_no_client_no_renderer_and_no_framework() -> None:
    """An application does not pay for what it does not use."""
    loaded = loaded_by("import qrlogin")
    assert not loaded & {"asyncio", "ssl", "logging", "itsdangerous", "qrlogin.login"}
    loaded = loaded_by("from qrlogin import QRLogin, MemoryStore")
    assert {"qrlogin.login", "qrlogin.core"} <= loaded
    assert not loaded & {"asyncio", "ssl", "logging", "qrlogin.aio"}
    loaded = loaded_by("from qrlogin import *")
    assert {"qrlogin.login", "qrlogin.aio"} <= loaded
    assert not {name.partition(".")[0] for name in loaded} & HEAVY
    rooms = {name for name in loaded if inside(name, "qrlogin")}
    assert not any(inside(name, *map("qrlogin.{}".format, ROOMS - {"stores"})) for name in rooms)
    assert (
        not {
            "qrlogin.stores.redis",
            "qrlogin.stores.suite",
            "http.server",
            "sqlite3",
            "multiprocessing",
        }
        & loaded
    )


def test_what_loads_at_its_first_use_is_there_for_every_reader() -> None:
    """For `help`, and for a second reader, who finds the same class."""
    for name in ("QRLogin", "AsyncQRLogin", "MemoryStore", "AsyncMemoryStore"):
        read = f"import qrlogin, pydoc; text = pydoc.plaintext.document(qrlogin.{name}, {name!r})"
        loaded_by(
            f"{read}; assert 'class {name}(' in text; assert qrlogin.{name} is qrlogin.{name}"
        )
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        getattr(qrlogin, "Nothing")  # noqa: B009 - mypy knows that it is absent


@pytest.mark.parametrize(
    ("statement", "still_missing"),
    [
        ("import qrlogin.stores", {"redis"}),
        ("import qrlogin.render", HEAVY - {"segno"}),
        ("import qrlogin.wire", HEAVY - {"segno"}),
        ("from qrlogin.stores import RedisStore", HEAVY - {"redis"}),
        ("import qrlogin.__main__", {"redis", "PIL", "zxingcpp", *FRAMEWORKS}),
        ("import qrlogin.audit, qrlogin.audit.command", HEAVY),
        ("import qrlogin.contrib", HEAVY),
        ("import qrlogin.contrib.wsgi, qrlogin.contrib.asgi", HEAVY - {"segno"}),
        ("import qrlogin.contrib.flask", HEAVY - {"segno", "flask", "werkzeug"}),
        ("import qrlogin.contrib.fastapi", HEAVY - {"segno", "fastapi", "starlette"}),
        ("import qrlogin.contrib.django", HEAVY - {"segno", "django", "asgiref"}),
        ("import qrlogin.contrib.observing, qrlogin.contrib.health", HEAVY - {"segno"}),
        ("import qrlogin.contrib.prometheus", HEAVY - {"segno", "prometheus_client"}),
        ("import qrlogin.contrib.opentelemetry", HEAVY - {"segno"}),
    ],
)
def test_each_room_loads_at_most_its_own_third_party_package(
    statement: str, still_missing: set[str]
) -> None:
    assert not {name.partition(".")[0] for name in loaded_by(statement)} & still_missing


NAMES = """
import sys
sys.modules["redis"] = None
import qrlogin, qrlogin.stores, qrlogin.wire
assert not hasattr(qrlogin.stores, "RedisStore") and not hasattr(qrlogin, "RedisStore")
assert not hasattr(qrlogin.stores, "Redis") and not hasattr(qrlogin, "Redis")
for statement in (
    "from qrlogin import RedisStore",
    "from qrlogin import AsyncEndpoint",
    "from qrlogin import Redis",
    "qrlogin.AsyncRedisStore",
    "qrlogin.Redis",
    "from qrlogin.stores import RedisStore",
    "qrlogin.stores.AsyncRedisStore",
    "qrlogin.stores.open_store('redis://localhost')",
):
    try:
        exec(statement)
    except (ImportError, AttributeError) as error:
        print(type(error).__name__, str(error).partition(" (/")[0])
"""


def test_a_name_that_is_missing_says_where_it_is_or_what_to_install() -> None:
    done = subprocess.run(
        [sys.executable, "-c", NAMES], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines() == [
        "ImportError RedisStore is in qrlogin.stores: from qrlogin.stores import RedisStore",
        "ImportError AsyncEndpoint is in qrlogin.wire: from qrlogin.wire import AsyncEndpoint",
        "ImportError cannot import name 'Redis' from 'qrlogin'",
        (
            "AttributeError AsyncRedisStore is in qrlogin.stores: "
            "from qrlogin.stores import AsyncRedisStore"
        ),
        "AttributeError module 'qrlogin' has no attribute 'Redis'",
        "ImportError RedisStore needs the redis client: pip install 'qrlogin[redis]'",
        "AttributeError AsyncRedisStore needs the redis client: pip install 'qrlogin[redis]'",
        "ImportError RedisStore needs the redis client: pip install 'qrlogin[redis]'",
    ]
