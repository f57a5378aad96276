"""The OAuth 2.0 Device Authorization Grant (RFC 8628): for televisions, command lines, and every
OAuth client with a device flow.

    POST device_authorization   client_id, scope?
             {"device_code","user_code","verification_uri",...}
    POST token                  grant_type, device_code, client_id
             the application's tokens, once; until then, an error
    GET  .well-known/oauth-authorization-server, .well-known/openid-configuration
    GET  authorize              the error unsupported_response_type

`clients` decides which clients there are, `scopes` lists the scopes, and the application decides
what a token is. A request can put nothing else in front of the person who approves. The person
types the user_code, or scans the address that contains it, on the application's own page; that page
sends it to the native dialect's phone routes.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from qrlogin.answers import Begun, Redeemed
from qrlogin.arguments import (
    BEGUN_BY_BYTES,
    CONTEXT_BYTES,
    DESCRIPTION_BYTES,
    check_callback,
    encode_context,
    fit_context,
)
from qrlogin.core import Core
from qrlogin.errors import (
    BadRequest,
    Expired,
    Misconfigured,
    NotYours,
    QRLoginError,
    TooFast,
    TooManyBegins,
)
from qrlogin.names import clean
from qrlogin.policy import MAX_WINDOW, check_lifetime
from qrlogin.wire.context import describe_browser
from qrlogin.wire.dialect import Exchange
from qrlogin.wire.dialects.base import (
    CLIENT_BYTES,
    ESCAPED_IN_JSON,
    OWN_FACTS,
    BrowserOnly,
    begun_by,
    client_fact,
    mount_address,
    refuse_match_codes,
)
from qrlogin.wire.dialects.state_map import StateMap
from qrlogin.wire.error_response import NO_STORE, NOSNIFF, SAME_ORIGIN, error_response
from qrlogin.wire.message import Request, Response
from qrlogin.wire.routes import FORM, JSON, Answer, Field, Route, an_object, match
from qrlogin.wire.validation import basic, check_same_site, no_body

GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:device_code"

_BEGIN: Final = "device_authorization"
_TOKEN: Final = "token"  # noqa: S105 - a path
_AUTHORIZE: Final = "authorize"
_METADATA: Final = (".well-known/oauth-authorization-server", ".well-known/openid-configuration")
_PARAMETERS: Final = (
    Field("client_id", "the id of the client, here or in Authorization: Basic"),
    Field(
        "client_secret", "the secret of the client, if it has one, here or in Authorization: Basic"
    ),
    Field("scope", "the scopes of the tokens, separated by blanks"),
    Field("grant_type", f"{GRANT_TYPE}, to collect the login"),
    Field("device_code", "the device_code that the login began with, to collect it"),
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
    503, "Try again later", JSON, an_object({"error": {"const": "temporarily_unavailable"}})
)
_SLOW_DOWN: Final = Answer(
    429, "Begin again after Retry-After", JSON, an_object({"error": {"const": "slow_down"}})
)
_PRAGMA: Final = ("Pragma", "no-cache")  # RFC 6749 section 5.1 still asks for it
#: The fewest seconds in which an approval can be redeemed: its client may have been slowed.
_REDEEM_WINDOW: Final = 60
#: Seconds in which the poll that redeemed can be repeated.
_REPLAY_WINDOW: Final = MAX_WINDOW
#: One op for all polls of a login, so that a poll whose answer was lost can be repeated.
_POLL: Final = "the-token-poll-of-rfc8628"
#: What is left for scopes, whatever the description and the client's name are.
_SCOPES_BYTES: Final = CONTEXT_BYTES - DESCRIPTION_BYTES - CLIENT_BYTES
_BETWEEN_PERMISSIONS: Final = "; "

# RFC 6749 appendix A, without what JSON would have to escape: the scope is part of the context.
_CLIENT_ID: Final = re.compile(rf"[ !#-\[\]-~]{{1,{BEGUN_BY_BYTES - len('Rfc8628:')}}}")
_SCOPE: Final = re.compile(r"[!#-\[\]-~]+")

#: Section 3.5. A confirmed login has no word: the poll that finds it redeems it.
_STATES: Final = StateMap(
    pending="authorization_pending",
    scanned="authorization_pending",
    confirmed="",
    denied="access_denied",
    ended="invalid_grant",
    error="temporarily_unavailable",
)


@dataclass(frozen=True, slots=True)
class Client:
    """A client as its request identifies it. Your `clients` function decides whether it is one of
    yours.
    """

    client_id: str
    """At most 120 printable ASCII characters, without `"` and `\\`."""
    secret: str | None = field(repr=False)
    """The secret that it sent, or None: a public client has no secret."""


class _InvalidClient(BadRequest):
    wire_code, http_status = "invalid_client", 401
    wire_text = "This client is unknown, or did not prove its identity."


class _InvalidScope(BadRequest):
    wire_code = "invalid_scope"
    wire_text = "A scope is unknown, or there are too many to be shown on the phone."


class _UnsupportedGrantType(BadRequest):
    wire_code = "unsupported_grant_type"
    wire_text = f"The grant type here is {GRANT_TYPE}."


class _UnsupportedResponseType(BadRequest):
    wire_code = "unsupported_response_type"
    wire_text = "Tokens are issued by the device grant only: begin at device_authorization."


class Rfc8628(BrowserOnly):
    """The device authorization grant over one core, whose policy must allow `user_codes`."""

    browser_routes: tuple[Route, ...] = (
        Route(
            "POST",
            _BEGIN,
            "Begin a login for this device",
            body=_PARAMETERS,
            media=FORM,
            answers=(
                Answer(200, "The user_code to show (RFC 8628 section 3.2)", JSON, _BEGUN),
                _SLOW_DOWN,
                _LATER,
            ),
            errors=(_InvalidClient, _InvalidScope),
            proofs=("client", ""),
        ),
        Route(
            "POST",
            _TOKEN,
            "Collect the login, once; an error until it is approved",
            body=_PARAMETERS,
            media=FORM,
            answers=(
                Answer(
                    200, "The application's tokens (RFC 6749 section 5.1)", JSON, {"type": "object"}
                ),
                Answer(400, "Not approved yet, or never (RFC 8628 section 3.5)", JSON, _NOT_YET),
                _LATER,
            ),
            errors=(_InvalidClient, _UnsupportedGrantType),
            proofs=("client", ""),
        ),
        *(
            Route(
                "GET",
                path,
                "The discovery document (RFC 8414)",
                answers=(Answer(200, "The document", JSON, {"type": "object"}),),
                cross_site=True,
            )
            for path in _METADATA
        ),
        Route(
            "GET",
            _AUTHORIZE,
            "No authorization: this server has the device grant only",
            errors=(_UnsupportedResponseType,),
            cross_site=True,
        ),
    )

    def __init__(
        self,
        core: Core,
        *,
        clients: Callable[[Client], bool],
        names: Callable[[str], str | None] = lambda client_id: None,
        scopes: Mapping[str, str] | Iterable[str] = (),
        at: str | None = None,
        lifetime: int = 300,
        describe: Callable[[Request], Mapping[str, str]] = describe_browser,
        metadata: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        """
        :param core: `core` of the `QRLogin` or `AsyncQRLogin` whose logins it begins
        :param clients: is called for every request, and returns whether this client may make it.
            Answer from memory, compare its secret with `hmac.compare_digest`, and refuse a client
            that has a secret and does not send it
        :param names: is given the client_id of an accepted client, and returns the name under which
            the phone shows it, such as "Living room TV", or None. Without a name, the phone shows
            none: a client_id is what a request claims
        :param scopes: every scope that a client may ask for, with the words that the phone shows
            for it: `{"watch": "Watch films", "offline_access": ""}`. Nothing is shown for a scope
            with empty words. In a list, a scope is its own words. All other scopes are refused
        :param at: the address under which clients reach the dialect, and the issuer.
            Default: the root of the site
        :param lifetime: of its codes in seconds. With the other windows, 600 at most: 300 if the
            policy's `decide_window` is 90
        :param describe: turns the request that begins a login into the context that the phone
            shows, in at most 200 bytes. `client`, `scope` and `permissions` are added
        :param metadata: is added to the discovery document: `jwks_uri` and the like. If your token
            endpoint supports other grants, list all of them in
            `grant_types_supported`. If your application has an `authorization_endpoint` of its own,
            name it: the dialect then answers no `authorize`

        Raises `Misconfigured` for an option that cannot work or would not be safe.
        """
        if not core.policy.user_codes:
            raise Misconfigured(
                "RFC 8628 needs typed codes: set user_codes=True in the policy, "
                "after reading what they cost"
            )
        refuse_match_codes(core, self)
        check_lifetime(lifetime, "lifetime", Misconfigured)
        self.issuer: str = mount_address(core, core.origin if at is None else at)
        self._core = core
        self._clients = check_callback(clients, "clients(client_id)")
        self._describe = check_callback(describe, "describe(request)")
        self._names = check_callback(names, "names(client_id)")
        self._scopes = _check_scopes(scopes)
        self._lifetime = lifetime
        self._redeem_window = max(core.policy.redeem_window, _REDEEM_WINDOW)
        self._decide_and_redeem = core.policy.decide_window + self._redeem_window
        core.policy.check_total(
            "the windows of Rfc8628",
            Misconfigured,
            lifetime=lifetime,
            late_window=0,
            redeem_window=self._redeem_window,
            replay_window=_REPLAY_WINDOW,
        )
        endpoints = {
            "issuer": self.issuer,
            "device_authorization_endpoint": f"{self.issuer}/{_BEGIN}",
            "token_endpoint": f"{self.issuer}/{_TOKEN}",
        }
        if overridden := endpoints.keys() & metadata.keys():
            raise Misconfigured(
                f"metadata must not contain {min(overridden)}: "
                "it follows from where the dialect is mounted"
            )
        if "scopes_supported" in metadata:
            raise Misconfigured("metadata must not contain scopes_supported: set scopes= instead")
        if "authorization_endpoint" in metadata:
            self.browser_routes = tuple(
                route for route in self.browser_routes if route.path != _AUTHORIZE
            )
        self.metadata: Mapping[str, object] = {
            # MSAL and OpenID Connect's clients refuse a document without this address. It answers
            # with an error, because no response type is supported: RFC 8414 section 3.2 has a list
            # without elements left out, so there is no `response_types_supported`.
            "authorization_endpoint": f"{self.issuer}/{_AUTHORIZE}",
            "token_endpoint_auth_methods_supported": [
                "none",
                "client_secret_basic",
                "client_secret_post",
            ],
            # An exception to that section: oidc-agent refuses a document without this list.
            "scopes_supported": list(self._scopes),
            **metadata,
            **endpoints,
            "grant_types_supported": metadata.get("grant_types_supported", [GRANT_TYPE]),
        }

    def browser(self, request: Request) -> Exchange[Any] | Response:
        """Read a request of a client. Returns the exchange that begins or collects its login, or
        the discovery document.

        Raises `BadRequest` or a subclass for a malformed request, for one that a page of another
        site caused, for a client that `clients` refuses, and for every request to `authorize`;
        `InvalidCode` or `NotYours` for a device_code that is not this client's.
        """
        route, _ = match(self.browser_routes, request)
        if route.path in _METADATA:
            no_body(request)
            return _json(self.metadata)
        if route.path == _AUTHORIZE:
            raise _UnsupportedResponseType
        check_same_site(request)
        form = route.read_form(request)
        client = self._client(request, form)
        return (
            self._begin(request, form, client)
            if route.path == _BEGIN
            else self._collect(form, client)
        )

    def _client(self, request: Request, form: Mapping[str, str]) -> Client:
        """The client of this request (RFC 6749 section 2.3.1). Raises `BadRequest`, or
        `_InvalidClient` if `clients` does not accept it.
        """
        in_form, credentials = form.get("client_id", ""), basic(request)
        client_id, secret = credentials or (in_form, form.get("client_secret", ""))
        if credentials and ("client_secret" in form or in_form not in ("", client_id)):
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
        # The application acts on the scope, so only the description may be cut.
        described = fit_context(self._describe(request), DESCRIPTION_BYTES)
        context = {
            **{fact: text for fact, text in described.items() if fact not in OWN_FACTS},
            **client_fact(self._names, client.client_id),
            **self._read_scope(form.get("scope", "")),
        }

        def answer(begun: Begun) -> Response:
            complete = f"{begun.verification_uri}?user_code={begun.user_code}"
            return _json(
                {
                    "device_code": begun.device_code,
                    "user_code": begun.user_code,
                    "verification_uri": begun.verification_uri,
                    "verification_uri_complete": complete,
                    # Clients stop polling then, and an approval may come until `decide_by`. A code
                    # that was not scanned in time is answered "expired_token" sooner.
                    "expires_in": begun.expires_in + self._decide_and_redeem,
                    "interval": self._core.policy.interval,
                }
            )

        operation = self._core.begin(
            context=context,
            ask_browser=False,
            user_code=True,
            begun_by=begun_by(self, client.client_id),
            lifetime=self._lifetime,
            late_window=0,  # its clients show the code until they hear that it has expired
            redeem_window=self._redeem_window,
            replay_window=_REPLAY_WINDOW,
        )
        return Exchange(operation, answer)

    def _read_scope(self, scope: str) -> Mapping[str, str]:
        """The facts of the scopes that a request names. Raises `_InvalidScope` for an unknown one,
        and for more than fit.
        """
        if not scope:
            return {}
        asked = scope.split(" ")
        if not all(one in self._scopes for one in asked):
            raise _InvalidScope
        facts = _scope_facts({one: self._scopes[one] for one in asked})
        if len(encode_context(facts).encode()) > _SCOPES_BYTES:
            raise _InvalidScope
        return facts

    def _collect(self, form: Mapping[str, str], client: Client) -> Exchange[Redeemed]:
        if form.get("grant_type", GRANT_TYPE) != GRANT_TYPE:
            raise _UnsupportedGrantType
        if "grant_type" not in form or "device_code" not in form:
            raise BadRequest("the parameters grant_type and device_code must both be there")
        device = self._core.read_device_code(form["device_code"])
        if device.begun_by != begun_by(self, client.client_id):
            raise NotYours("another client began this login")
        operation = self._core.redeem(device, op=_POLL, replay_window=_REPLAY_WINDOW)

        def answer(redeemed: Redeemed) -> Response:
            # Not in the context that the phone shows, because any client can choose it.
            context = {**redeemed.context, "client_id": client.client_id}
            redeemed = replace(redeemed, context=context)
            return replace(_json({}), redeemed=redeemed, tokens_wanted=True)

        return Exchange(operation, answer)

    def refuse(self, request: Request, error: QRLoginError) -> Response:
        """`error` as an OAuth error response (RFC 6749 section 5.2, RFC 8628 section 3.5).

        For a login that cannot be collected, it has status 400 and a word such as
        `authorization_pending`, or `slow_down` with an `interval` in seconds. A begin beyond the
        limit of its address is 429 `slow_down`, with Retry-After. If the store is unavailable, it
        is 503 `temporarily_unavailable`. Every other error keeps its own code and status: 401
        `invalid_client`, for example, for a client that `clients` refuses.
        """
        if isinstance(error, TooManyBegins):
            # Section 3.2 has no word for it. Clients that know none wait for Retry-After.
            said = {"error": "slow_down", "error_description": error.wire_text}
            return _json(said, error.http_status).with_headers(
                ("Retry-After", str(error.retry_after))
            )
        own_words = {Expired: "expired_token", TooFast: "slow_down"}
        word = own_words.get(type(error)) or _STATES.of_error(error)
        if word is None:
            tried_basic = isinstance(error, _InvalidClient) and request.all("authorization")
            challenge = (("WWW-Authenticate", 'Basic realm="token"'),) if tried_basic else ()
            return error_response(error).with_headers(_PRAGMA, *challenge)
        if error.retry_after is None:
            return _json({"error": word}, 400)
        pace = {"interval": error.retry_after} if isinstance(error, TooFast) else {}
        status = 400 if pace else error.http_status
        return _json({"error": word, **pace}, status).with_headers(
            ("Retry-After", str(error.retry_after))
        )


def _check_scopes(scopes: Mapping[str, str] | Iterable[str]) -> Mapping[str, str]:
    """The words for each scope. Raises `Misconfigured` for what is no scope, and for words that do
    not fit.
    """
    words = scopes if isinstance(scopes, Mapping) else {scope: scope for scope in scopes}
    if isinstance(scopes, str) or not all(
        isinstance(scope, str) and isinstance(text, str) for scope, text in words.items()
    ):
        raise Misconfigured(
            'scopes must map each scope to words for the phone, such as {"watch": "Watch films"}'
        )
    for scope, text in words.items():
        if not _SCOPE.fullmatch(scope):
            raise Misconfigured(
                f'{scope!r} in scopes is no scope: use printable ASCII without blanks, " and \\'
            )
        facts = _scope_facts({scope: text})
        if sum(len(fact.encode()) for fact in facts.values()) > _SCOPES_BYTES // 2:
            raise Misconfigured(
                f"{scope!r} in scopes is too long: a scope and its words have at most "
                f"{_SCOPES_BYTES // 2} bytes"
            )
    return MappingProxyType(dict(words))


def _scope_facts(asked: Mapping[str, str]) -> Mapping[str, str]:
    """The facts of these scopes, each with its words: for the application and for the person."""
    words = [clean(text.translate(ESCAPED_IN_JSON), _SCOPES_BYTES) for text in asked.values()]
    shown = _BETWEEN_PERMISSIONS.join(text for text in words if text)
    return {"scope": " ".join(asked), **({"permissions": shown} if shown else {})}


def _json(payload: Mapping[str, object], status: int = 200) -> Response:
    return Response.json(status, payload).with_headers(NO_STORE, NOSNIFF, SAME_ORIGIN, _PRAGMA)
