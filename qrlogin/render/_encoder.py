"""Encodes bytes as a QR code of level M, versions 1 to 13, always with mask 4.

It covers every login link, at a tenth of what segno takes. Tests compare all modules with those of
two other encoders (`tests/render/test_encoder.py`). The numbers of clauses, tables and annexes are
those of ISO/IEC 18004:2015.

What depends on the version alone is computed once: where each module of the picture takes its bit
from. A text then costs its error correction and one pass over the modules.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from typing import Final

MASK: Final = 4
MAX_BYTES: Final = 331  # in a version 13-M

#: Table 9, level M, from version 1: codewords of error correction in a block, and blocks.
_CORRECTION: Final = (
    *((10, 1), (16, 1), (26, 1), (18, 2), (24, 2), (16, 4), (18, 4)),
    *((22, 4), (22, 5), (26, 5), (30, 5), (22, 8), (22, 9)),
)
_FORMAT: Final = 0b100010111111001  # table C.1 and the mask of 7.9.1: level M, mask 4
_VERSIONS: Final = (0x07C94, 0x085BC, 0x09A99, 0x0A4D3, 0x0BBF6, 0x0C762, 0x0D847)  # table D.1, 7…
_INVERTED: Final = str.maketrans("01", "10")

_Grid = list[list[str]]


@dataclass(frozen=True, slots=True)
class _Version:
    """What all codes of one version have in common."""

    size: int
    header: int
    """Bytes that the mode, the count of bytes and the terminator take together (7.4)."""
    blocks: tuple[slice, ...]
    """The data codewords of each block."""
    capacity: int
    """Data codewords."""
    correction: int
    """Codewords of error correction in each block."""
    products: tuple[int, ...]
    """The generator polynomial times each byte, without its first term."""
    pick: Callable[[str], tuple[str, ...]]
    """Takes all modules, row by row, from the bits, the inverted bits and "01"."""


def encode(content: bytes) -> list[str]:
    """The rows of the smallest code for `content`, without quiet zone; "1" is a dark module.

    `content` has at most `MAX_BYTES` bytes.
    """
    version = next(each for each in map(_version, range(1, 14)) if len(content) <= _room(each))
    text = int.from_bytes(content)
    count_bits = 8 * version.header - 8
    number = ((0b0100 << count_bits | len(content)) << 8 * len(content) | text) << 4
    data = number.to_bytes(len(content) + version.header)
    data = (data + b"\xec\x11" * version.capacity)[: version.capacity]
    shift = 8 * (version.correction - 1)
    low = (1 << shift) - 1
    correction = b""
    for block in version.blocks:
        rest = 0  # of a division of polynomials: its coefficients are the bytes of the number
        for codeword in data[block]:
            rest = (rest & low) << 8 ^ version.products[rest >> shift ^ codeword]
        correction += rest.to_bytes(version.correction)
    whole = data + correction
    bits = f"{int.from_bytes(whole):0{8 * len(whole)}b}"
    modules = "".join(version.pick(bits + bits.translate(_INVERTED) + "01"))
    return [modules[at : at + version.size] for at in range(0, len(modules), version.size)]


def _room(version: _Version) -> int:
    return version.capacity - version.header


@cache
def _version(number: int) -> _Version:
    size = 17 + 4 * number
    grid = _function_patterns(number, size)
    free = [(x, y) for x, y in _zigzag(size) if not grid[y][x]]
    per_block, count = _CORRECTION[number - 1]
    total = len(free) // 8
    capacity = total - per_block * count
    short, longer = divmod(capacity, count)  # the longer blocks come last
    lengths = [short + (at >= count - longer) for at in range(count)]
    starts = [sum(lengths[:at]) for at in range(count)]
    # 7.6: the first codewords of all blocks, then the second ones …, where a block has one.
    data = [
        start + at
        for at in range(short + 1)
        for start, length in zip(starts, lengths, strict=True)
        if at < length
    ]
    ends = [capacity + per_block * block + at for at in range(per_block) for block in range(count)]
    bits = 8 * total
    source = [8 * codeword + bit for codeword in data + ends for bit in range(8)]
    origins = {"0": 2 * bits, "1": 2 * bits + 1}
    picked = [[origins.get(module, 0) for module in row] for row in grid]
    for at, (x, y) in enumerate(free):
        masked = (y // 2 + x // 3) % 2 == 0  # table 10, mask 4
        # The last few modules of some versions have no codeword: table 1, remainder bits.
        picked[y][x] = source[at] + bits * masked if at < bits else origins["01"[masked]]
    blocks = tuple(slice(start, start + n) for start, n in zip(starts, lengths, strict=True))
    flat = [origin for row in picked for origin in row]
    header = 2 if number < 10 else 3  # table 3: the count has 8 bits, or 16 from version 10 on
    products = _products(per_block)
    return _Version(size, header, blocks, capacity, per_block, products, itemgetter(*flat))


def _function_patterns(number: int, size: int) -> _Grid:
    """The modules that no text changes; "" elsewhere. 6.3, 7.9 and 7.10 say where they are."""
    grid: _Grid = [[""] * size for _ in range(size)]

    def rings(x: int, y: int, radius: int, light: Iterable[int]) -> None:
        """Square rings around a module, as far as they are inside the code."""
        for dy in range(-radius, radius + 1):
            for dx in range(-radius, radius + 1):
                if 0 <= x + dx < size and 0 <= y + dy < size:
                    grid[y + dy][x + dx] = "01"[max(abs(dx), abs(dy)) not in light]

    for at in range(size):
        grid[6][at] = grid[at][6] = "10"[at % 2]  # timing
    for x, y in ((3, 3), (size - 4, 3), (3, size - 4)):
        rings(x, y, 4, (2, 4))  # finder and separator
    middle = (size // 2,) if number >= 7 else ()
    centres = (6, *middle, size - 7) if number > 1 else ()  # table E.1
    for x in centres:
        for y in centres:
            if (x, y) not in ((6, 6), (6, size - 7), (size - 7, 6)):
                rings(x, y, 2, (1,))  # alignment
    column = (0, 1, 2, 3, 4, 5, 7, 8)  # from the top down, then left along the row
    for at in range(15):
        bit = "01"[_FORMAT >> at & 1]
        if at < 8:
            grid[column[at]][8] = grid[8][size - 1 - at] = bit
        else:
            grid[8][7 if at == 8 else 14 - at] = grid[size - 15 + at][8] = bit
    grid[size - 8][8] = "1"
    if number >= 7:
        for at in range(18):
            x, y = size - 11 + at % 3, at // 3
            grid[y][x] = grid[x][y] = "01"[_VERSIONS[number - 7] >> at & 1]
    return grid


def _zigzag(size: int) -> Iterator[tuple[int, int]]:
    """The modules in the order in which bits fill them (7.7.3), function patterns included."""
    upwards = True
    for right in (*range(size - 1, 6, -2), 5, 3, 1):  # pairs of columns; column 6 is timing
        for y in reversed(range(size)) if upwards else range(size):
            yield from ((right, y), (right - 1, y))
        upwards = not upwards


def _products(degree: int) -> tuple[int, ...]:
    """The generator polynomial of annex A times each byte, without its first term."""
    generator = [1]
    root = 1
    for _ in range(degree):  # times (x - root), for the powers of 2 as roots
        shifted = [*generator, 0]
        for at, coefficient in enumerate(generator):
            shifted[at + 1] ^= _times(coefficient, root)
        generator, root = shifted, _times(root, 2)
    return tuple(
        int.from_bytes(bytes(_times(each, byte) for each in generator[1:])) for byte in range(256)
    )


def _times(one: int, other: int) -> int:
    """The product of two bytes in the field of 7.5.2: polynomials modulo 0x11D."""
    product = 0
    while other:
        product ^= one * (other & 1)
        one = one << 1 ^ 0x11D * (one >> 7)
        other >>= 1
    return product
