"""The OAuth 2.0 Device Authorization Grant (RFC 8628): for televisions, command lines, and every OAuth client that knows it.

    POST device_authorization   client_id, scope?                       {"device_code","user_code","verification_uri",...}
    POST token                  grant_type, device_code, client_id      the application's tokens, once; until then, an error
    GET  .well-known/oauth-authorization-server, .well-known/openid-configuration

Who asks is `clients`' to judge, and what a token is, the application's to say. The person types the user_code, or scans the
address that holds it, on the application's own page; that page hands it in at the native phone door.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from qrlogin.answers import Begun, Redeemed
from qrlogin.arguments import CLIENT_ID_BYTES, CONTEXT_BYTES, check_sync_callback, encode_context
from qrlogin.core import Core
from qrlogin.errors import BadRequest, Expired, Misconfigured, NotYours, QRLoginError, TooFast
from qrlogin.policy import MAX_WINDOW, check_lifetime
from qrlogin.wire.dialect import Exchange
from qrlogin.wire.dialects.base import BrowserOnly, client_id_for, mount_address
from qrlogin.wire.dialects.native import describe_browser
from qrlogin.wire.dialects.state_map import StateMap
from qrlogin.wire.error_response import NO_STORE, NOSNIFF, SAME_ORIGIN, error_response
from qrlogin.wire.message import Request, Response
from qrlogin.wire.routes import FORM, JSON, Answer, Field, Route, an_object, match
from qrlogin.wire.validation import basic, check_same_site, no_body

GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:device_code"

_BEGIN: Final = "device_authorization"
_TOKEN: Final = "token"  # noqa: S105 - a path
_METADATA: Final = (".well-known/oauth-authorization-server", ".well-known/openid-configuration")
_PARAMETERS: Final = (
    Field("client_id", "the client's, here or in Authorization: Basic"),
    Field("client_secret", "the client's, here or in Authorization: Basic, if it has one"),
    Field("scope", "what the tokens are for"),
    Field("grant_type", f"{GRANT_TYPE}, to collect"),
    Field("device_code", "the one that began, to collect"),
)
_TEXT: Final = {"type": "string"}
_SECONDS: Final = {"type": "integer", "minimum": 0}
_BEGUN: Final = an_object(
    {
        **dict.fromkeys(
            ("device_code", "user_code", "verification_uri", "verification_uri_complete"), _TEXT
        ),
        "expires_in": _SECONDS,
        "interval": _SECONDS,
    }
)
_NOT_YET: Final = an_object(
    {
        "error": {
            "enum": [
                "authorization_pending",
                "slow_down",
                "access_denied",
                "expired_token",
                "invalid_grant",
            ]
        }
    },
    interval=_SECONDS,
)
_LATER: Final = Answer(
    503, "Try again", JSON, an_object({"error": {"const": "temporarily_unavailable"}})
)
_PRAGMA: Final = ("Pragma", "no-cache")  # RFC 6749 section 5.1 still asks for it
_BEYOND: Final = (
    120  # seconds more than usual that an approval waits: its client may have been slowed
)
_POLL: Final = "the-token-poll-of-rfc8628"  # one op for all polls of a login, so one whose answer was lost finds it again
_AGENT: Final = (
    100  # characters of a User-Agent; the rest of a context is for the client's id and its scope
)

# RFC 6749 appendix A, without what JSON would have to escape: both stand in the context.
_CLIENT_ID: Final = re.compile(rf"[ !#-\[\]-~]{{1,{CLIENT_ID_BYTES - len('Rfc8628:')}}}")
_SCOPE: Final = re.compile(r"[!#-\[\]-~]+( [!#-\[\]-~]+)*")

#: Section 3.5. An approved login has no word: the poll that finds it collects it.
_STATES: Final = StateMap(
    pending="authorization_pending",
    scanned="authorization_pending",
    confirmed="",
    denied="access_denied",
    gone="invalid_grant",
    error="temporarily_unavailable",
)


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks, by what the request says of it."""

    client_id: str
    secret: str | None = field(repr=False)  # None: it sent none, as a public client does


class _InvalidClient(BadRequest):
    wire_code, http_status = "invalid_client", 401
    wire_text = "This client is not known here, or did not prove who it is."


class _InvalidScope(BadRequest):
    wire_code = "invalid_scope"
    wire_text = "The scope is malformed, or too long to be shown to a person."


class _UnsupportedGrantType(BadRequest):
    wire_code = "unsupported_grant_type"
    wire_text = f"The grant type here is {GRANT_TYPE}."


def brief(context: Mapping[str, str]) -> Mapping[str, str]:
    """A context cut so short that a client's id and its scope find room beside it."""
    return {name: text[:_AGENT] for name, text in context.items()}


def describe_device(request: Request) -> Mapping[str, str]:
    """`describe_browser`, briefly."""
    return brief(describe_browser(request))


class Rfc8628(BrowserOnly):
    """The device authorization grant over one core, whose policy must allow `user_codes`.

    `clients` is asked on every request whether this client may: compare its secret with `hmac.compare_digest`, and let a client
    that has one not come without. It must answer from memory. `at` is the address under which the dialect is mounted, and the
    issuer (default: the root of the site). `lifetime` is in seconds, 600 at most. `describe` turns the request that begins a
    login into the context for the phone, to which `client_id` and `scope` are added: leave them 200 of its 400 bytes.
    `metadata` is added to the discovery document: jwks_uri, scopes_supported and whatever else is the application's. If your
    token endpoint knows other grants, say all of grant_types_supported.
    """

    browser_routes: tuple[Route, ...] = (
        Route(
            "POST",
            _BEGIN,
            "Begin a login for this device",
            body=_PARAMETERS,
            media=FORM,
            answers=(
                Answer(200, "Show the user_code (RFC 8628 section 3.2)", JSON, _BEGUN),
                _LATER,
            ),
            errors=(_InvalidClient, _InvalidScope),
            proofs=("client", ""),
        ),
        Route(
            "POST",
            _TOKEN,
            "Collect the login, once; until it is approved, an error",
            body=_PARAMETERS,
            media=FORM,
            answers=(
                Answer(
                    200, "The application's tokens (RFC 6749 section 5.1)", JSON, {"type": "object"}
                ),
                Answer(400, "Not yet, or never (RFC 8628 section 3.5)", JSON, _NOT_YET),
                _LATER,
            ),
            errors=(_InvalidClient, _UnsupportedGrantType),
            proofs=("client", ""),
        ),
        *(
            Route(
                "GET",
                path,
                "Where everything is (RFC 8414)",
                answers=(Answer(200, "It", JSON, {"type": "object"}),),
                cross_site=True,
            )
            for path in _METADATA
        ),
    )

    def __init__(
        self,
        core: Core,
        *,
        clients: Callable[[Client], bool],
        at: str | None = None,
        lifetime: int = 300,
        describe: Callable[[Request], Mapping[str, str]] = describe_device,
        metadata: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        if not core.policy.user_codes:
            raise Misconfigured(
                "RFC 8628 needs codes to type: set user_codes=True in the policy, and read what they cost"
            )
        check_lifetime(lifetime, "lifetime", Misconfigured)
        self.issuer = mount_address(core, core.origin if at is None else at)
        self._core, self._clients, self._describe, self._lifetime = (
            core,
            check_sync_callback(clients),
            describe,
            lifetime,
        )
        self._window = min(core.policy.redeem_window + _BEYOND, MAX_WINDOW)
        ours = {
            "issuer": self.issuer,
            "device_authorization_endpoint": f"{self.issuer}/{_BEGIN}",
            "token_endpoint": f"{self.issuer}/{_TOKEN}",
        }
        if said_twice := ours.keys() & metadata.keys():
            raise Misconfigured(
                f"metadata must not say {min(said_twice)}: it follows from where the dialect is mounted"
            )
        self.metadata: Mapping[str, object] = {
            "token_endpoint_auth_methods_supported": [
                "none",
                "client_secret_basic",
                "client_secret_post",
            ],
            "response_types_supported": [],
            **metadata,
            **ours,
            "grant_types_supported": metadata.get("grant_types_supported", [GRANT_TYPE]),
        }

    def browser(self, request: Request) -> Exchange[Any] | Response:
        route, _ = match(self.browser_routes, request)
        if route.path in _METADATA:
            no_body(request)
            return _json(self.metadata)
        check_same_site(request)
        form = route.read_form(request)
        client = self._client(request, form)
        return (
            self._begin(request, form, client)
            if route.path == _BEGIN
            else self._collect(form, client)
        )

    def _client(self, request: Request, form: Mapping[str, str]) -> Client:
        """The client, if `clients` knows it (RFC 6749 section 2.3.1)."""
        named, credentials = form.get("client_id", ""), basic(request)
        client_id, secret = credentials or (named, form.get("client_secret", ""))
        if credentials and ("client_secret" in form or named not in ("", client_id)):
            raise BadRequest(
                "send the client's credentials in the header or in the body, not in both"
            )
        if not client_id:
            raise BadRequest("the parameter client_id is missing")
        client = Client(client_id, secret or None)
        if not _CLIENT_ID.fullmatch(client_id) or self._clients(client) is not True:
            raise _InvalidClient
        return client

    def _begin(self, request: Request, form: Mapping[str, str], client: Client) -> Exchange[Begun]:
        context, scope = (
            {**self._describe(request), "client_id": client.client_id},
            form.get("scope", ""),
        )
        if scope:
            context["scope"] = ""
            if not _SCOPE.fullmatch(scope) or len(scope) > CONTEXT_BYTES - len(
                encode_context(context).encode()
            ):
                raise _InvalidScope
            context["scope"] = scope

        def answer(begun: Begun) -> Response:
            return _json(
                {
                    "device_code": begun.device_code,
                    "user_code": begun.user_code,
                    "verification_uri": begun.verification_uri,
                    "verification_uri_complete": f"{begun.verification_uri}?user_code={begun.user_code}",
                    "expires_in": begun.expires_in,
                    "interval": self._core.policy.interval,
                }
            )

        operation = self._core.begin(
            context=context,
            lifetime=self._lifetime,
            ask_browser=False,
            user_code=True,
            client_id=client_id_for(self, client.client_id),
            redeem_window=self._window,
        )
        return Exchange(operation, answer)

    def _collect(self, form: Mapping[str, str], client: Client) -> Exchange[Redeemed]:
        if form.get("grant_type", GRANT_TYPE) != GRANT_TYPE:
            raise _UnsupportedGrantType
        if "grant_type" not in form or "device_code" not in form:
            raise BadRequest("the parameters grant_type and device_code must both be there")
        device = self._core.read_device_code(form["device_code"])
        if device.client_id != client_id_for(self, client.client_id):
            raise NotYours("another client began this login")
        operation = self._core.redeem(device, op=_POLL, replay_window=self._window)
        return Exchange(
            operation, lambda redeemed: replace(_json({}), redeemed=redeemed, tokens_wanted=True)
        )

    def refuse(self, request: Request, error: QRLoginError) -> Response:
        kinds = {Expired: "expired_token", TooFast: "slow_down"}
        word = kinds.get(type(error)) or _STATES.of_error(error)
        if word is None:
            asked = isinstance(error, _InvalidClient) and request.all("authorization")
            challenge = (("WWW-Authenticate", 'Basic realm="token"'),) if asked else ()
            return error_response(error).with_headers(_PRAGMA, *challenge)
        if error.retry_after is None:
            return _json({"error": word}, 400)
        pace = {"interval": error.retry_after} if isinstance(error, TooFast) else {}
        status = 400 if pace else error.http_status
        return _json({"error": word, **pace}, status).with_headers(
            ("Retry-After", str(error.retry_after))
        )


def _json(payload: Mapping[str, object], status: int = 200) -> Response:
    return Response.json(status, payload).with_headers(NO_STORE, NOSNIFF, SAME_ORIGIN, _PRAGMA)
