"""The tutorial: what most articles on this login have, with Flask, redis-py, uuid4 and polling.

It is the measure of the benchmark, and no example: read "Why not write it yourself" in the README.
"""

import base64
import io
import os
import uuid
from typing import Any

import qrcode
import redis
from flask import Flask, jsonify, request

app = Flask(__name__)
store: Any = redis.Redis.from_url(os.environ["REDIS"], decode_responses=True)


@app.get("/ready")
def ready() -> str:
    return "ready"


@app.post("/begin")
def begin() -> Any:
    token = str(uuid.uuid4())
    store.set(f"login:{token}", "waiting", ex=120)
    out = io.BytesIO()
    qrcode.make(f"https://login.example.com/qr?token={token}").save(out)
    return jsonify(token=token, image=base64.b64encode(out.getvalue()).decode())


@app.post("/approve")
def approve() -> Any:
    token = request.args["token"]
    if store.get(f"login:{token}") is None:
        return jsonify(error="expired"), 404
    store.set(f"login:{token}", "user:alice", ex=120)
    return jsonify(ok=True)


@app.get("/poll/<token>")
def poll(token: str) -> Any:
    found = store.get(f"login:{token}")
    if found is None:
        return jsonify(error="expired"), 404
    if found == "waiting":
        return jsonify(state="waiting")
    store.delete(f"login:{token}")
    session = str(uuid.uuid4())
    store.set(f"session:{session}", found, ex=3600)
    answer = jsonify(state="done")
    answer.set_cookie("session", session, httponly=True)
    return answer
