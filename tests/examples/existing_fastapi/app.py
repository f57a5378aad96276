"""A small application without qrlogin: Starlette sessions and two accounts.

The diff in examples/fastapi_app/README.md adds logins by phone.
"""

import hmac
import os
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Form, Request
from fastapi.responses import RedirectResponse
from fastapi.templating import Jinja2Templates
from starlette.middleware.sessions import SessionMiddleware

app = FastAPI()
app.add_middleware(SessionMiddleware, secret_key=os.environ["SECRET_KEY"])
templates = Jinja2Templates(Path(__file__).with_name("templates"))

PASSWORDS = {name: f"{name}'s password" for name in ("alice", "bob")}


def user(request: Request) -> str | None:
    return request.session.get("user")


def start_session(request: Request, name: str) -> None:
    request.session.clear()
    request.session["user"] = name


User = Annotated[str | None, Depends(user)]


@app.get("/")
def home(request: Request, name: User) -> Any:
    if not name:
        return RedirectResponse("/login")
    return templates.TemplateResponse(request, "home.html", {"name": name})


@app.get("/login")
def login_page(request: Request) -> Any:
    return templates.TemplateResponse(request, "login.html")


@app.post("/login")
def login(request: Request, name: Annotated[str, Form()], password: Annotated[str, Form()]) -> Any:
    if not hmac.compare_digest(PASSWORDS.get(name, "").encode(), password.encode()):
        return login_page(request)
    start_session(request, name)
    return RedirectResponse("/", 303)
