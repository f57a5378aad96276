"""The FastAPI example: `uvicorn tests.examples.variants.in_fastapi:app`, in its folder."""

from collections.abc import Callable
from typing import Annotated, Any

import adapter  # type: ignore[import-not-found]
from fastapi import APIRouter, Depends, Request, Response
from starlette.requests import HTTPConnection

from qrlogin import Redeemed
from qrlogin.wire import AsyncEndpoint, Person
from tests.examples.variants import JWT, name_in

router_of_the_library = adapter.qrlogin_router


async def read_body(connection: HTTPConnection) -> None:
    if isinstance(connection, Request):  # and no websocket
        await connection.body()


def qrlogin_router(
    endpoint: AsyncEndpoint,
    person: Callable[..., Person | None],
    log_in: Callable[..., Any],
    **callbacks: Any,
) -> APIRouter:
    def person_or_app(
        request: Request, known: Annotated[Person | None, Depends(person)]
    ) -> Person | None:
        name = name_in(request.headers.get("Authorization", ""))
        return person_named(name) if name else known

    async def log_in_with_jwt(request: Request, redeemed: Redeemed) -> Response:
        await log_in(request, redeemed)
        response = Response()
        response.set_cookie("jwt", JWT, httponly=True)
        return response

    router = APIRouter(dependencies=[Depends(read_body)])
    router.include_router(
        router_of_the_library(endpoint, person_or_app, log_in_with_jwt, **callbacks)
    )
    return router


def person_named(name: str) -> Person:
    from accounts import Account  # type: ignore[import-not-found]
    from sqlalchemy.orm import Session

    with Session(engine) as db:
        account = db.query(Account).filter_by(name=name).first()
        if account is None:
            db.add(account := Account(name=name, password_hash=""))
            db.commit()
        return Person(str(account.id), name=account.name)


adapter.qrlogin_router = qrlogin_router

from app import app, engine  # type: ignore[import-not-found]  # noqa: E402

__all__ = ["app"]
