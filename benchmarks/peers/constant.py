"""Each framework's floor: it answers every request with the same two bytes."""

from typing import Any

urlpatterns: list[Any] = []
"""Of the Django server."""


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for done in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{done}.complete"})
        return
    while (await receive()).get("more_body"):
        pass
    head = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": b"{}"})


def fastapi() -> Any:
    from fastapi import FastAPI, Request

    app = FastAPI()

    async def constant(request: Request) -> dict[str, str]:
        await request.body()
        return {}

    app.add_api_route("/{path:path}", constant, methods=["GET", "POST"])
    return app


def flask() -> Any:
    from flask import Flask, request

    app = Flask(__name__)

    @app.route("/", methods=["GET", "POST"])
    def constant() -> dict[str, str]:
        request.get_data()
        return {}

    return app


def django() -> Any:
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import JsonResponse
    from django.urls import path
    from django.views.decorators.csrf import csrf_exempt

    def constant(request: Any) -> JsonResponse:
        return JsonResponse({"length": len(request.body)})

    urlpatterns.append(path("", csrf_exempt(constant)))
    settings.configure(SECRET_KEY="of the benchmark", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__)
    return get_wsgi_application()
