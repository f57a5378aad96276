"""Authlib's device grant in Flask. Authlib leaves storage to the application: here it is Redis."""

import json
import os
import time
from typing import Any

import redis
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc8628 import (
    DEVICE_CODE_GRANT_TYPE,
    DeviceAuthorizationEndpoint,
    DeviceCodeGrant,
    DeviceCredentialDict,
)
from flask import Flask, jsonify, request

app = Flask(__name__)
store: Any = redis.Redis.from_url(os.environ["REDIS"], decode_responses=True)


class Tv(ClientMixin):  # type: ignore[misc]
    client_id = "tv"

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        return ""

    def get_allowed_scope(self, scope: str | None) -> str:
        return scope or "read"

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return False

    def check_client_secret(self, client_secret: str) -> bool:
        return False

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "none"

    def check_response_type(self, response_type: str) -> bool:
        return False

    def check_grant_type(self, grant_type: str) -> bool:
        return bool(grant_type == DEVICE_CODE_GRANT_TYPE)


class Device(DeviceAuthorizationEndpoint):  # type: ignore[misc]
    def get_verification_uri(self) -> str:
        return "https://login.example.com/device"

    def save_device_credential(self, client_id: str, scope: str, data: dict[str, Any]) -> None:
        kept = {**data, "client_id": client_id, "scope": scope, "expires_at": time.time() + 1800}
        store.set(f"device:{data['device_code']}", json.dumps(kept), ex=1800)


class Grant(DeviceCodeGrant):  # type: ignore[misc]
    def query_device_credential(self, device_code: str) -> Any:
        found = store.get(f"device:{device_code}")
        return DeviceCredentialDict(json.loads(found)) if found else None

    def query_user_grant(self, user_code: str) -> Any:
        found = store.get(f"grant:{user_code}")
        return (found, True) if found else None

    def should_slow_down(self, credential: Any) -> bool:
        return False


def save_token(token: dict[str, Any], asked: Any) -> None:
    credential = asked.credential  # the grant has been used: forget it
    store.delete(f"device:{credential['device_code']}", f"grant:{credential['user_code']}")
    store.set(f"token:{token['access_token']}", asked.user, ex=3600)


server = AuthorizationServer(
    app, query_client=lambda client_id: Tv() if client_id == "tv" else None, save_token=save_token
)
server.register_endpoint(Device)
server.register_grant(Grant)


@app.get("/ready")
def ready() -> str:
    return "ready"


@app.post("/device")
def device() -> Any:
    return server.create_endpoint_response("device_authorization")


@app.post("/token")
def token() -> Any:
    return server.create_token_response()


@app.post("/approve")
def approve() -> Any:
    store.set(f"grant:{request.args['user_code']}", "alice", ex=1800)
    return jsonify(ok=True)
