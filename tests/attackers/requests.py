"""Requests that no client would send, to every route of every dialect.

An answer of 500 and above, an exception and a traceback count as crashes.
"""

import random
from dataclasses import replace

from qrlogin.wire import METHODS, Request, Response
from qrlogin.wire.message import BODY_CAP
from tests.attackers.inputs import CORPUS, as_bytes, mutated
from tests.attackers.score import Score
from tests.wire.dialects.dialect_clients import SPEAKERS
from tests.wire.dialects.lifecycle import CAROL, HISTORIES, StagedLogin, login_at
from tests.wire.mount import CREDENTIAL, VERBS, post

_HEADERS = (
    "cookie", "authorization", "origin", "referer", "sec-fetch-site", "content-type", "user-agent",
    "if-none-match", "last-event-id", "host", "x-forwarded-for", "accept-language",
)  # fmt: skip
_OF_ONE_LOGIN = 200  # requests, before the next login is begun


def fuzz(requests: int, seed: int = 1) -> Score:
    """Sends this many mutated requests to the dialects and their phones, in every state of a login.

    :param requests: how many.
    :param seed: draws the same requests again.
    """
    score, drawn = Score("fuzz, requests"), random.Random(seed)
    while score.attempts < requests:
        name, history = drawn.choice(sorted(SPEAKERS)), drawn.choice(sorted(HISTORIES))
        with login_at(name, history) as login:
            for _ in range(min(_OF_ONE_LOGIN, requests - score.attempts)):
                score.attempts += 1
                _send(login, drawn, score)
    return score


def _send(login: StagedLogin, drawn: random.Random, score: Score) -> None:
    """One request. The mount asserts a status below 500, and that no header can be split."""
    phone = drawn.random() < 0.3
    if phone:
        sent = post(drawn.choice(VERBS), {"code": login.code}, CREDENTIAL)
    else:
        sent = drawn.choice(login.unlike)
    request = _mutated(drawn, sent, login)
    before = login.record
    try:
        answer: Response = (
            login.mount.phone(request, drawn.choice((CAROL, None)))
            if phone
            else login.mount.browser(request)
        )
        if answer.events is not None:
            answer.events.close()  # type: ignore[union-attr]  # a generator
        answer.header_list()
    except (Exception, AssertionError) as error:
        score.crashes += 1
        score.note(f"{login.name}: {type(error).__name__}: {error}, {request!r}")
        return
    score.reached["redeemed" if answer.redeemed else str(answer.status)] += 1
    if answer.redeemed and answer.redeemed.subject != CAROL.subject:
        score.win(f"{login.name}: {answer.redeemed.subject} is logged in")
    if answer.redeemed and before["state"] not in ("confirmed", "redeemed"):
        score.believe(f"{login.name}: a login that is {before['state']} was redeemed")


def _mutated(drawn: random.Random, request: Request, login: StagedLogin) -> Request:
    known = (*CORPUS, login.code, login.login_id)
    for _ in range(drawn.randint(0, 3)):
        text = drawn.choice(known)
        match drawn.randrange(9):
            case 0:
                method = drawn.choice((*METHODS, text))
                # A wait that is held would stop the program.
                request = replace(request, method=method)
            case 1:
                request = replace(request, path=mutated(drawn, request.path, known))
            case 2:
                request = replace(request, query=mutated(drawn, request.query, known))
            case 3:
                request = replace(request, query=f"{request.query}&{text}={drawn.choice(known)}")
            case 4:
                body = mutated(drawn, request.body.decode("utf-8", "surrogateescape"), known)
                request = replace(request, body=as_bytes(body)[: BODY_CAP + 1])
            case 5:
                header = (drawn.choice(_HEADERS), text)
                request = replace(request, headers=(*request.headers, header))
            case 6 if request.headers:
                at = drawn.randrange(len(request.headers))
                headers = list(request.headers)
                headers[at] = (headers[at][0], mutated(drawn, headers[at][1], known))
                request = replace(request, headers=tuple(headers))
            case 7 if request.headers:
                dropped = drawn.choice(request.headers)
                headers = [each for each in request.headers if each != dropped]
                request = replace(request, headers=tuple(headers))
            case _:
                request = replace(request, client=text)
    return _without_wait(request)


def _without_wait(request: Request) -> Request:
    """Other tests hold requests; here each would take its time."""
    return replace(request, query=request.query.replace("wait", "wai_"))
