"""The pages, and below qrlogin/ what the two elements talk to. The other dialects have the rest of the root, if there are any."""

from django.conf import settings
from django.urls import include, path

urlpatterns = [
    path("qrlogin/", include("qrlogin_django.urls")),
    path("", include("accounts.urls")),
]
handler404, handler500 = "accounts.views.not_found", "accounts.views.broken"
if settings.DIALECTS:
    urlpatterns.append(path("", include("config.dialects")))
