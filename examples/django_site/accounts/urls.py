"""The URLs of the pages."""

from django.urls import path, re_path

from . import views

urlpatterns = [
    path("", views.home, name="home"),
    path("browsers", views.browsers, name="browsers"),
    path("signup", views.signup, name="signup"),
    path("login", views.login, name="login"),
    path("logout", views.logout, name="logout"),
    path("qr", views.qr, name="qr"),
    path("qr/<str:code>", views.qr, name="qr_code"),
    # Some servers add a slash to the address in a QR code.
    re_path(r"^qr/+([^/]*)/?\Z", views.qr),
    path("static/<path:name>", views.static, name="static"),
]
