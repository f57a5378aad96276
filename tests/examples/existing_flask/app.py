"""A small application without qrlogin: Flask-Login, Flask-WTF and two accounts.

The diff in examples/flask_app/README.md adds logins by phone.
"""

import os
from typing import Any

from flask import Flask, redirect, render_template, request, session
from flask_login import LoginManager, UserMixin, current_user, login_required, login_user
from flask_wtf import CSRFProtect
from werkzeug.security import check_password_hash, generate_password_hash

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]
CSRFProtect(app)
login_manager = LoginManager(app)
login_manager.login_view = "login"


class User(UserMixin):
    def __init__(self, name: str) -> None:
        self.id = name
        self.password = generate_password_hash(f"{name}'s password", "scrypt:1024:8:1")


USERS = {name: User(name) for name in ("alice", "bob")}
login_manager.user_loader(USERS.get)


def start_session(name: str) -> None:
    session.clear()
    login_user(USERS[name])


@app.get("/")
@login_required
def home() -> str:
    return render_template("home.html", name=current_user.id)


@app.route("/login", methods=["GET", "POST"])
def login() -> Any:
    if request.method == "POST":
        user = USERS.get(request.form["name"])
        if user and check_password_hash(user.password, request.form["password"]):
            start_session(user.id)
            return redirect("/")
    return render_template("login.html")
