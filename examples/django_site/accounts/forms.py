"""Reads and checks the two forms. Django hashes the passwords and checks their strength."""

import unicodedata

from django.contrib.auth import authenticate
from django.contrib.auth.models import AbstractBaseUser, User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils import translation

from .texts import django_language, translate

LONGEST_NAME = 64  # characters
SHORTEST_PASSWORD = 15  # the same as in AUTH_PASSWORD_VALIDATORS
LONGEST_PASSWORD = 256


class Refused(Exception):
    """The form is not valid. The message says why, in the user's language."""


def typed_name(request: HttpRequest) -> str:
    """The name in the form. Normalized, because keyboards compose the same letter differently."""
    return unicodedata.normalize("NFKC", request.POST.get("name", "").strip())


def known_user(request: HttpRequest) -> AbstractBaseUser:
    """The user with the name and password in the login form. Raises `Refused`."""
    password = request.POST.get("password", "")[:LONGEST_PASSWORD]
    user = authenticate(request, username=typed_name(request), password=password)
    if user is None:
        raise Refused(translate(request, "wrongPassword"))
    return user


def new_user(request: HttpRequest) -> User:
    """Creates the account in the sign-up form. Raises `Refused`."""
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
    with translation.override(django_language(request)):
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
