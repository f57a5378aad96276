"""{% qr_login %} and {% qr_approve %}: the two elements, told where they live and which CSRF token to send.

What stands between a tag and its end is shown where the element cannot run.
"""

from typing import Any, Final
from urllib.parse import urlsplit

from django import template
from django.conf import settings
from django.template import RequestContext
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from ..conf import option

register: Final = template.Library()


@register.simple_block_tag(takes_context=True)
def qr_login(
    context: RequestContext,
    content: SafeString,
    next: str = "/",  # noqa: A002
    stream: str = "",
) -> SafeString:
    """The code to scan. Once somebody has approved, this browser goes to `next`, a path of this site."""
    return _element("qr-login", context, content, src=_mount(), next=next, stream=stream)


@register.simple_block_tag(takes_context=True)
def qr_approve(
    context: RequestContext, content: SafeString, site: str = "", home: str = "/"
) -> SafeString:
    """The phone's page. `site` is what people call it, `home` where they go afterwards."""
    at, account = urlsplit(option("VERIFICATION_URI")).path, context["user"].get_username()
    told = {"src": f"{_mount()}phone/", "at": at, "account": account, "site": site, "home": home}
    return _element("qr-approve", context, content, **told, typed=option("USER_CODES"))


def _mount() -> str:
    return reverse("qrlogin:door", args=["begin"]).removesuffix("begin")


def _element(
    name: str, context: RequestContext, content: SafeString, **attributes: Any
) -> SafeString:
    """The module's script and the element. An empty attribute is left out."""
    header = settings.CSRF_HEADER_NAME.removeprefix("HTTP_").replace("_", "-")
    told = attributes | {
        "csrf-header": "X-CSRFToken" if header == "X-CSRFTOKEN" else header,
        "csrf-token": str(context["csrf_token"]),
    }
    given = format_html_join(
        "",
        ' {}="{}"',
        ((key, "" if value is True else value) for key, value in told.items() if value),
    )
    script = format_html('<script type="module" src="{}{}-element.js"></script>', _mount(), name)
    return format_html("{}<{}{}>{}</{}>", script, name, given, content, name)
