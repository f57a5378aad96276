"""What is typed into the two forms, and what is wrong with it in words. Passwords are hashed and judged by Django."""

import unicodedata

from django.contrib.auth import authenticate
from django.contrib.auth.models import AbstractBaseUser, User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils import translation

from .words import by_django, translate

LONGEST_NAME = 64  # characters
SHORTEST_PASSWORD = 15  # as AUTH_PASSWORD_VALIDATORS says
LONGEST_PASSWORD = 256


class Refused(Exception):
    """Why, in words for the person who typed."""


def typed_name(request: HttpRequest) -> str:
    """As a person means it: the same name, however their keyboard composes it."""
    return unicodedata.normalize("NFKC", request.POST.get("name", "").strip())


def known_user(request: HttpRequest) -> AbstractBaseUser:
    """Who is meant by the login form. Raises `Refused`."""
    password = request.POST.get("password", "")[:LONGEST_PASSWORD]
    user = authenticate(request, username=typed_name(request), password=password)
    if user is None:
        raise Refused(translate(request, "wrongPassword"))
    return user


def new_user(request: HttpRequest) -> User:
    """The account that the signup form makes. Raises `Refused`."""
    name, password = typed_name(request), request.POST.get("password", "")
    if not name:
        raise Refused(translate(request, "nameMissing"))
    if len(name) > LONGEST_NAME:
        raise Refused(translate(request, "nameTooLong", n=LONGEST_NAME))
    if len(password) < SHORTEST_PASSWORD:
        raise Refused(translate(request, "passwordTooShort", n=SHORTEST_PASSWORD))
    if len(password) > LONGEST_PASSWORD:
        raise Refused(translate(request, "passwordTooLong", n=LONGEST_PASSWORD))
    user = User(username=name)
    with translation.override(by_django(request)):
        try:
            validate_password(password, user)
            user.set_password(password)
            user.clean_fields()
        except ValidationError as error:
            raise Refused(" ".join(error.messages)) from None
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError:
        raise Refused(translate(request, "nameTaken")) from None
    return user
