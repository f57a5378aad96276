"""A path finds its routes at once, and finds the same ones as if it were compared with each."""

import re
from collections.abc import Sequence
from typing import Any

import pytest

from qrlogin.errors import MethodNotAllowed, NoSuchPath
from qrlogin.wire import Request
from qrlogin.wire.dialects.names import DIALECTS
from qrlogin.wire.routes import PATH_PARAMETERS, Route, handles, match

ID, HEX, BASE64 = "A" * 22, "0123456789abcdef" * 2, "A" * 22 + "=="
#: Paths of which one fits the other, in an order that counts.
OVERLAPPING = (
    Route("POST", "{login_id}", "any login"),
    Route("GET", ID, "one login"),
    Route("POST", ID, "one login"),
    Route("GET", "{login_id}/{code}", "two placeholders"),
    Route("GET", "{login_id}/{code}.png", "two placeholders"),
    Route("GET", "a{code}", "text before"),
    Route("GET", "{unknown}", "no placeholder"),
    Route("GET", "a.b", "a dot is a dot"),
)
CLASSES: list[Any] = [*DIALECTS.values()]
TABLES = [OVERLAPPING, *(each.browser_routes for each in CLASSES)]


def compared(routes: Sequence[Route], path: str) -> list[tuple[Route, str]]:
    """The routes of a path, found by comparing it with each."""
    found = []
    for route in routes:
        parts = re.split(r"(\{\w+\})", route.path)
        pattern = "".join(PATH_PARAMETERS.get(part) or re.escape(part) for part in parts)
        if fits := re.fullmatch(pattern, path):
            found.append((route, "".join(fits.groups())))
    return found


@pytest.mark.parametrize("routes", TABLES)
def test_a_path_finds_the_routes_that_fit_it(routes: Sequence[Route]) -> None:
    filled = {
        route.path.replace("{login_id}", ID).replace("{code}", code)
        for route in routes
        for code in (HEX, BASE64)
    }
    broken = {
        change
        for path in (*filled, "", "{login_id}", "axb", f"{ID}/{HEX}", f"{ID}/{HEX}/")
        for change in (path, path[:-1], f"{path}/", f"/{path}", f"{path}\n", path.replace(".", "x"))
    }
    for path in broken:
        found = compared(routes, path)
        assert handles(routes, path) == bool(found), path
        for method in ("GET", "HEAD", "POST", "PUT"):
            asked = Request(method, path)
            wanted = "GET" if method == "HEAD" else method
            of_method = [each for each in found if each[0].method == wanted]
            if of_method:
                assert match(routes, asked) == of_method[0], path
            else:
                with pytest.raises(MethodNotAllowed if found else NoSuchPath):
                    match(routes, asked)


def test_a_list_of_routes_may_change() -> None:
    routes = [Route("GET", "one", "")]
    assert handles(routes, "one")
    routes.append(Route("GET", "two", ""))
    assert handles(routes, "two")
