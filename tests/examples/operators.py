"""Operators, who use the page of the examples for staff: the examples' own, and Django's admin."""

import html
import re
import shlex
from dataclasses import dataclass

import httpx2

from tests.examples.running import Running, prepare
from tests.examples.visitors import PASSWORD, Visitor

DJANGO_LIST, DJANGO_ACT = "/staff/accounts/phonelogin/", "/staff/accounts/phonelogin/act"


def signed_in(server: Running, name: str) -> Visitor:
    """A browser in which staff is signed in: the command of the README has made the account so."""
    visitor = Visitor(server.origin)
    is_django = server.example.name == "Django"
    if not is_django:
        visitor.send_form("/signup", name=name, password=PASSWORD)
    env = {**server.env, "DJANGO_SUPERUSER_PASSWORD": PASSWORD}
    section = server.example.readme.partition("## The operator's page")[2]
    command = section.partition("```sh\n")[2].partition("\n")[0]
    if is_django:  # it would ask for these
        command += " --noinput --email olga@example.com --username alice"
    assert "alice" in command
    prepare(command.replace("alice", shlex.quote(name)), server.folder, env)
    if is_django:
        answer = visitor.send_form("/login", name=name, password=PASSWORD)
        assert answer.status_code == 302, answer.text
    return visitor


@dataclass
class Operator:
    """A member of staff at the page of one server."""

    visitor: Visitor
    is_django: bool

    @property
    def path(self) -> str:
        return DJANGO_LIST if self.is_django else "/staff"

    def html(self) -> str:
        seen = self.visitor.http.get(self.path)
        assert seen.status_code == 200, (seen.status_code, seen.text[:300])
        return seen.text

    def numbers(self) -> dict[str, int]:
        found = re.findall(r"<div><dt>([^<]+)</dt><dd>(\d+)</dd></div>", self.html())
        return {name: int(number) for name, number in found}

    def rows(self) -> list[tuple[str, str]]:
        """The id of each listed browser, and what the page says of it. The newest comes first."""
        page, found = self.html(), list[tuple[str, str]]()
        if self.is_django:
            table = page.partition("<tbody>")[2].partition("</tbody>")[0].split("<tr>")[1:]
            for each in table:
                number = re.search(r'name="_selected_action" value="(\d+)"', each)
                assert number
                found.append((number[1], plain(each)))
            return found
        for each in page.split('<li class="split">')[1:]:
            number = re.search(r'value="session (\d+)"', each)
            assert number
            found.append((number[1], plain(each.partition("</div>")[0])))
        return found

    def end_one(self, number: str) -> None:
        if self.is_django:
            self._send(self.path, action="end_sessions", _selected_action=number)
        else:
            self._send(self.path, do=f"session {number}")

    def end_person(self, number: str) -> None:
        """End all sessions of the person of this row."""
        if self.is_django:
            self._send(self.path, action="end_all_of_person", _selected_action=number)
        else:
            row = self.html().partition(f'value="session {number}"')[2]
            found = re.search(r'value="(person \d+)"', row)
            assert found
            self._send(self.path, do=found[1])

    def press(self, command: str) -> None:
        self._send(DJANGO_ACT if self.is_django else self.path, do=command)

    def _send(self, path: str, **fields: str) -> None:
        answer = self.post(path, **self.visitor.page(self.path).hidden(), **fields)
        assert answer.status_code in (302, 303), (answer.status_code, answer.text[:300])

    def post(self, path: str, origin: str = "", **fields: str) -> httpx2.Response:
        origin = origin or self.visitor.origin
        headers = {"Origin": origin, "Referer": f"{origin}{path}"}
        if origin != self.visitor.origin:
            headers["Sec-Fetch-Site"] = "cross-site"
        return self.visitor.http.post(path, data=fields, headers=headers)


def plain(markup: str) -> str:
    """The visible text."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", markup)).split())
