"""The Flask example: `flask --app tests.examples.variants.in_flask run`, in its folder."""

from collections.abc import Callable
from typing import Any

import adapter  # type: ignore[import-not-found]
from flask import Flask, Response, request

from qrlogin import QRLogin, Redeemed
from qrlogin.wire import Person
from tests.examples.variants import JWT, name_in


class PhoneLogin(adapter.PhoneLogin):  # type: ignore[misc]
    def __init__(
        self,
        person: Callable[[], Person | None],
        log_in: Callable[[Redeemed], object],
        **callbacks: Any,
    ) -> None:
        def person_or_app() -> Person | None:
            name = name_in(request.headers.get("Authorization", ""))
            return person_named(name) if name else person()

        def log_in_with_jwt(redeemed: Redeemed) -> Response:
            log_in(redeemed)
            response = Response()
            response.set_cookie("jwt", JWT, httponly=True)
            return response

        super().__init__(person_or_app, log_in_with_jwt, **callbacks)

    def init_app(self, app: Flask) -> QRLogin:
        app.before_request(lambda: (request.get_data(), None)[1])
        qr: QRLogin = super().init_app(app)
        return qr


def person_named(name: str) -> Person:
    from models import Account, db  # type: ignore[import-not-found]

    account = Account.query.filter_by(name=name).first()
    if account is None:
        db.session.add(account := Account(name=name, password_hash=""))
        db.session.commit()
    return Person(account.get_id(), name=account.name)


adapter.PhoneLogin = PhoneLogin

from app import app  # type: ignore[import-not-found]  # noqa: E402

__all__ = ["app"]
