"""The pages, the native dialect at qrlogin/, and the other dialects, if any, at the root."""

from django.conf import settings
from django.urls import include, path

urlpatterns = [
    path("qrlogin/", include("qrlogin_django.urls")),
    path("", include("accounts.urls")),
]
handler404, handler500 = "accounts.views.not_found", "accounts.views.broken"
if settings.DIALECTS:
    urlpatterns.append(path("", include("config.dialects")))
