"""The sessions that logins by phone started, and what the operator's page needs."""

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
    begun_at: "models.DateTimeField[Any, Any]" = models.DateTimeField("since", auto_now_add=True)
    seen_at: "models.DateTimeField[Any, Any]" = models.DateTimeField("last seen", null=True)
    browser: "models.CharField[Any, Any]" = models.CharField(max_length=80)
    address: "models.CharField[Any, Any]" = models.CharField(max_length=90)
    phone: "models.CharField[Any, Any]" = models.CharField(max_length=80)
    """The browser of the phone that approved."""
    is_ended: "models.BooleanField[Any, Any]" = models.BooleanField(default=False)
    """Whether the session was ended from elsewhere. Such a row is kept as long as the same redeem
    can come again, so that it starts no other session."""

    class Meta:
        verbose_name = "browser that a phone logged in"
        verbose_name_plural = "browsers that a phone logged in"

    def __str__(self) -> str:
        return f"{self.browser or 'unknown'} of {self.user}"


class Pause(models.Model):
    """The switch. While its only row exists, no login by phone begins."""

    since: "models.DateTimeField[Any, Any]" = models.DateTimeField(auto_now_add=True)
    operator: "models.CharField[Any, Any]" = models.CharField(max_length=150)


class LoginCount(models.Model):
    """How many events of one name there were on one day."""

    day: "models.DateField[Any, Any]" = models.DateField()  # in UTC
    name: "models.CharField[Any, Any]" = models.CharField(max_length=20)
    number: "models.IntegerField[Any, Any]" = models.IntegerField(default=0)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["day", "name"], name="one_number_a_day"),)
