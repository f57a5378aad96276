"""Reads and checks the two forms. Django hashes the passwords and checks their strength."""

import unicodedata

from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.models import AbstractBaseUser, User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils import translation

from qrlogin.names import clean

from .texts import django_language, translate

LONGEST_NAME = 150  # characters; so has the model
SHORTEST_PASSWORD = 15  # the same as in AUTH_PASSWORD_VALIDATORS
LONGEST_PASSWORD = 256


class Refused(Exception):
    """The form is not valid. The message says why, in the user's language."""


def typed_name(request: HttpRequest) -> str:
    """The name in the form. Normalized, because keyboards compose the same letter differently.

    It loses what nobody sees, here and at the next login: no name is an error.
    """
    visible = clean(request.POST.get("name", ""), settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    composed = unicodedata.normalize("NFKC", visible)
    return clean(composed, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)


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
            # Django's own rule for usernames refuses blanks and emoji.
            user.clean_fields(exclude=["username"])
        except ValidationError as error:
            raise Refused(" ".join(error.messages)) from None
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError:
        raise Refused(translate(request, "nameTaken")) from None
    return user
