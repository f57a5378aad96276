"""The sessions that logins by phone started."""

from typing import Any

from django.conf import settings
from django.db import models


class PhoneLogin(models.Model):
    """A session that a login by phone started. Django keeps the session itself."""

    user: "models.ForeignKey[Any, Any]" = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE
    )
    session_key: "models.CharField[Any, Any]" = models.CharField(max_length=40)
    login_id: "models.CharField[Any, Any]" = models.CharField(max_length=40, unique=True)
    begun_at: "models.DateTimeField[Any, Any]" = models.DateTimeField(auto_now_add=True)
    browser: "models.CharField[Any, Any]" = models.CharField(max_length=80)
    address: "models.CharField[Any, Any]" = models.CharField(max_length=90)
    phone: "models.CharField[Any, Any]" = models.CharField(max_length=80)
    """The browser of the phone that approved."""
