"""What the operator's page shows beside its list: a switch that pauses logins by phone, and the
numbers of today.

Both are in the database, so the switch outlives a restart, every worker reads the same switch, and
all workers add to the same numbers. `config/settings.py` gives `is_paused` and `count` to qrlogin.
"""

from datetime import UTC, datetime

from django.db.models import F
from django.utils import timezone

from qrlogin import Event

from .models import LoginCount, Pause

COUNTED = ("begun", "redeemed", "denied", "cancelled")


def is_paused() -> bool:
    """Whether no login by phone may begin now: PAUSED in QRLOGIN."""
    return Pause.objects.exists()


def count(event: Event) -> None:
    """Add one to the number of today for this event: ON_EVENT in QRLOGIN."""
    if event.name in COUNTED:
        day = datetime.fromtimestamp(event.at_ms / 1000, UTC).date()
        row, _ = LoginCount.objects.get_or_create(day=day, name=event.name)
        LoginCount.objects.filter(pk=row.pk).update(number=F("number") + 1)


def pause(operator: str) -> None:
    """Let no login by phone begin. `operator` is the name of who wants it."""
    Pause.objects.get_or_create(pk=1, defaults={"operator": operator})


def resume() -> None:
    """Let logins by phone begin again."""
    Pause.objects.all().delete()


def numbers() -> dict[str, int]:
    """The logins by phone that began today, and how they ended."""
    rows = LoginCount.objects.filter(day=timezone.now().date())
    found = dict(rows.values_list("name", "number"))
    begun, redeemed, denied, cancelled = (found.get(name, 0) for name in COUNTED)
    # Nothing is written when a login expires, so nothing is counted either.
    others = max(0, begun - redeemed - denied - cancelled)
    return {
        "Begun": begun,
        "Logged in": redeemed,
        "Declined on the phone": denied,
        "Cancelled in the browser": cancelled,
        "Open or expired": others,
    }
