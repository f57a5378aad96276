"""The operator's page, in Django's own admin: the browsers that a phone logged in.

A superuser may do everything here (`manage.py createsuperuser`). Another member of staff needs the
permissions: "view" to see the list and the numbers, "delete" to log browsers out and to pause
logins by phone.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from . import sessions, staff
from .models import Pause, PhoneLogin

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[PhoneLogin]
else:
    ModelAdmin = admin.ModelAdmin


class StaffSite(admin.AdminSite):
    """The admin. To an account that is not staff, there is no such page."""

    site_header = site_title = "Operator\u2019s page"
    index_title = "Logins by phone"
    site_url = "/"

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether this user may see the admin. Raises Http404 for a user who is not staff."""
        if request.user.is_authenticated and not getattr(request.user, "is_staff", False):
            raise Http404
        return super().has_permission(request)


site = StaffSite()  # `urls` are at "staff/" in config/urls.py
site.disable_action("delete_selected")  # `end_sessions` does the same


@admin.register(PhoneLogin, site=site)
class PhoneLoginAdmin(ModelAdmin):
    list_display = ("user", "browser", "since", "last_seen", "address", "phone")
    list_display_links = None
    list_select_related = ("user",)
    search_fields = ("user__username",)
    search_help_text = "Username"
    ordering = ("-id",)
    actions = ("end_sessions", "end_all_of_person")
    change_list_template = "staff.html"

    @admin.display(ordering="begun_at")
    def since(self, row: PhoneLogin) -> str:
        return _utc(row.begun_at)

    @admin.display(ordering="seen_at", empty_value="unknown")
    def last_seen(self, row: PhoneLogin) -> str | None:
        return row.seen_at and _utc(row.seen_at)

    @admin.action(description="Log out the selected browsers", permissions=["delete"])
    def end_sessions(self, request: HttpRequest, rows: QuerySet[PhoneLogin]) -> None:
        number = self._end(request, rows)
        self.message_user(request, f"Browsers logged out: {number}")

    @admin.action(description="Log out all browsers of these people", permissions=["delete"])
    def end_all_of_person(self, request: HttpRequest, rows: QuerySet[PhoneLogin]) -> None:
        people = list(rows.values_list("user_id", flat=True))
        self.end_sessions(request, self.get_queryset(request).filter(user_id__in=people))

    def delete_model(self, request: HttpRequest, obj: PhoneLogin) -> None:
        """What the page that deletes one row does: it ends the session, too."""
        sessions.end_row(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[PhoneLogin]) -> None:
        for row in queryset:
            sessions.end_row(row)

    def get_queryset(self, request: HttpRequest) -> QuerySet[PhoneLogin]:
        return super().get_queryset(request).filter(is_ended=False)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.act))
        return [path("act", view, name="accounts_phonelogin_act"), *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        sessions.forget_ended()
        shown = {
            "title": "Browsers that a phone logged in",
            "pause": Pause.objects.first(),
            "numbers": staff.numbers(),
            "may_act": self.has_delete_permission(request),
        }
        return super().changelist_view(request, {**shown, **(extra_context or {})})

    def act(self, request: HttpRequest) -> HttpResponse:
        """What a button above the list does: pause, resume or everybody."""
        if not self.has_delete_permission(request):
            raise PermissionDenied
        command = request.POST.get("do", "")
        if command == "pause":
            staff.pause(request.user.get_username())
        elif command == "resume":
            staff.resume()
        elif command == "everybody":
            self.end_sessions(request, self.get_queryset(request))
        return redirect("admin:accounts_phonelogin_changelist")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: PhoneLogin | None = None) -> bool:
        return False

    def _end(self, request: HttpRequest, rows: QuerySet[PhoneLogin]) -> int:
        """End these sessions. The admin's log says who ended which. Returns how many."""
        ended = rows.select_related("user")
        self.log_deletions(request, ended)
        self.delete_queryset(request, ended)
        return len(ended)


def _utc(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
