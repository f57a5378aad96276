"""The script of a row: `step.lua` with the columns of the row in it, as Lua.

It opens no connection and does not import redis. A row is a constant, so its script is made once in
a process, and loaded once by a server.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final, Self

from qrlogin.table import ANY, Row

SCRIPT: Final = files("qrlogin").joinpath("step.lua").read_text(encoding="utf-8")

#: The first line of a script that a server runs also when it has reached `maxmemory`. Redis knows
#: it from 7.0 on, and Valkey from 7.2 on.
ALLOW_OOM: Final = "#!lua flags=allow-oom\n"

#: The place in ARGV of the first value.
_FIRST: Final = 8
#: The durations of a row that paces.
_PACES: Final = ("pace", "pace_step", "pace_slack")


@dataclass(frozen=True, slots=True)
class Script:
    """A script as EVAL takes it, and its name for EVALSHA."""

    text: str
    sha: str

    @classmethod
    def of(cls, text: str) -> Self:
        """The script with this text."""
        return cls(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


@dataclass(frozen=True, slots=True)
class RowScripts:
    """The scripts of one row, and the order of their arguments."""

    row: Row
    values: tuple[str, ...]
    """The fields whose values the row compares or writes."""
    durations: tuple[str, ...]
    """The durations that it reads."""
    beginning: Script
    """For what begins a login: a server that has reached `maxmemory` refuses it."""
    under_way: Script
    """For all else: such a server runs it all the same. A login that is under way grows by a few
    hundred bytes, and ends.
    """

    @classmethod
    def of(cls, row: Row, *, durable: bool = False) -> Self:
        """Make the scripts of a row.

        :param row: the row.
        :param durable: whether each answer of a durable row is preceded by a write, also if nothing
            changes. WAIT counts the copies of what its own connection has written.
        """
        values = tuple(dict.fromkeys((*row.proves, *row.guards, *row.repeats_if, *row.writes)))
        durations = (*row.instants, *(_PACES if row.paces else ()))
        text = SCRIPT
        for place, lua in _columns(row, values, durations, durable=durable).items():
            text = text.replace(f"-- <{place}>\n", "".join(f"{line}\n" for line in lua))
        return cls(row, values, durations, Script.of(text), Script.of(ALLOW_OOM + text))


def _columns(
    row: Row, values: tuple[str, ...], durations: tuple[str, ...], *, durable: bool
) -> dict[str, Iterable[str]]:
    """Lines of Lua, by their place in `step.lua`."""
    value = {name: f"ARGV[{at}]" for at, name in enumerate(values, _FIRST)}
    lasts = {name: f"ARGV[{at}]" for at, name in enumerate(durations, _FIRST + len(values))}

    def kept(name: str) -> str:
        return f"record[{_lua(name)}]"

    def refused(unless: str) -> str:
        return f"if not {unless} then return answer('forbidden') end"

    def proven(name: str) -> str:
        return f"({value[name]} ~= '' and {kept(name)} == {value[name]})"

    def listed(states: Iterable[str]) -> str:
        return " or ".join("known" if one == ANY else f"state == {_lua(one)}" for one in states)

    repeated = [f"({listed(row.repeats)})", *map(proven, row.repeats_if)]
    if row.repeats_until:
        repeated.append(f"not passed({kept(row.repeats_until)})")
    # The states by name come before "any".
    sources = sorted(row.sources.items(), key=lambda source: source[0] == ANY)
    return {
        "durable": [
            "if known and not written and verdict ~= 'forbidden' then",
            "  if is_hash then keep('') else call('SET', KEYS[1], kept, 'KEEPTTL') end",
            "end",
        ]
        if durable and row.durable
        else [],
        "proves": [refused(proven(name)) for name in row.proves],
        "repeats": [f"if {' and '.join(repeated)} then return answer('repeated') end"]
        if row.repeats
        else [],
        "guards": [
            refused(f"(({kept(name)} or '') == '' or {kept(name)} == {value[name]})")
            for name in row.guards
        ],
        "sources": [
            f"if not dies_at and ({listed([state])}) then dies_at = {_lua(deadline)} end"
            for state, deadline in sources
        ],
        "paces": [f"paces = {listed(row.paces)}"] if row.paces else [],
        "pace durations": [f"{name} = tonumber({lasts[name]})" for name in _PACES if row.paces],
        "reads": ["do return answer('applied') end"] if row.reads else [],
        "to": [f"to = {_lua(row.to)}"],
        "count": [f"count = {_lua(row.count)}"] if row.count else [],
        "changes": [
            *(
                f"local start_{at} = digits(now + (number({kept(ms)}) or 0))"
                for at, ms in enumerate(row.starts.values())
            ),
            *(f"{kept(name)} = {value[name]}" for name in row.writes),
            *(
                f"{kept(name)} = {lasts[name]} == '0' and now_text or digits(now + {lasts[name]})"
                for name in row.instants
            ),
            *(f"{kept(name)} = start_{at}" for at, name in enumerate(row.starts)),
        ],
    }


def _lua(value: Any) -> str:
    """A constant as Lua spells it."""
    match value:
        case str():
            if value.isascii() and value.isprintable() and not {'"', "\\"} & {*value}:
                return f'"{value}"'
            return '"' + "".join(f"\\{byte:03}" for byte in value.encode()) + '"'
        case int():
            return str(value)
        case _:
            named = (f"{one.name} = {_lua(getattr(value, one.name))}" for one in fields(value))
            return f"{{ {', '.join(named)} }}"
