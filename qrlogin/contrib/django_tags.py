"""{% qr_login %} and {% qr_approve %}: the two elements with their script, address and CSRF token.

The content between a tag and its end tag is shown in browsers that cannot run the element.
"""

from typing import Any, Final
from urllib.parse import urlsplit

from django import template
from django.conf import settings
from django.template import RequestContext
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from qrlogin.browser import version
from qrlogin.contrib.django_conf import option, policy

register: Final = template.Library()


@register.simple_block_tag(takes_context=True)
def qr_login(
    context: RequestContext,
    content: SafeString,
    next: str = "/",  # noqa: A002
    stream: str = "",
) -> SafeString:
    """The code to scan.

    :param next: the path of this site that the browser opens once it is logged in
    :param stream: "events" or "socket"; empty for long polls
    """
    return _element("qr-login", context, content, src=_mount(), next=next, stream=stream)


@register.simple_block_tag(takes_context=True)
def qr_approve(
    context: RequestContext, content: SafeString, site: str = "", home: str = "/"
) -> SafeString:
    """The phone's page.

    :param site: the name of this site, as users know it
    :param home: the path that the phone opens afterwards
    """
    at, account = urlsplit(option("VERIFICATION_URI")).path, context["user"].get_username()
    shown = {"src": f"{_mount()}phone/", "at": at, "account": account, "site": site, "home": home}
    return _element("qr-approve", context, content, **shown, typed=policy().user_codes)


def _mount() -> str:
    return reverse("qrlogin:browser", args=["begin"]).removesuffix("begin")


def _element(
    name: str, context: RequestContext, content: SafeString, **attributes: Any
) -> SafeString:
    """The script and the element. Attributes with an empty value are left out."""
    header = settings.CSRF_HEADER_NAME.removeprefix("HTTP_").replace("_", "-")
    attributes["csrf-header"] = "X-CSRFToken" if header == "X-CSRFTOKEN" else header
    attributes["csrf-token"] = str(context["csrf_token"])
    pairs = [(key, "" if value is True else value) for key, value in attributes.items() if value]
    source = f"{_mount()}modules/{version()}/{name}-element.js"
    script = format_html('<script type="module" src="{}"></script>', source)
    written = format_html_join("", ' {}="{}"', pairs)
    return format_html("{}<{}{}>{}</{}>", script, name, written, content, name)
