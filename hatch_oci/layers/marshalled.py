"""Code objects as `marshal` writes them, made to depend on nothing but the code.

The bytes of `marshal.dumps` tell of the process that made them: a name that other modules use too, a constant that some
C code has interned, an object that happens to have one reference more, each sets a flag or turns a copy into a
reference. Of some 1,700 files of the standard library, 690 came out otherwise in a process that had imported other
things before (Python 3.11); holding all objects, or interning them first, still left a few.
So the bytes are read here, equal objects become one, and all are written anew by what they are. Python loads
the result into an equal code object, and faster, since what is equal is shared.
"""

from __future__ import annotations

import re
import struct

# The format's types (Python/marshal.c, versions 4 and 5) that constants and code are written with.
_FLAG = 0x80
_REFERENCE = ord("r")
_CODE = ord("c")
_FROZENSET = ord(">")
_LONG = ord("l")
_SHORT_TEXTS = frozenset(b"zZ")
_TEXTS = frozenset(b"aA")
_COUNTED_BYTES = {ord("s"): b"s", ord("u"): b"u", ord("t"): b"u"}
# None, False, True, Ellipsis, StopIteration, int of 32 bits, float, complex: the bytes that follow the type.
_FIXED = {ord("N"): 0, ord("F"): 0, ord("T"): 0, ord("."): 0, ord("S"): 0, ord("i"): 4, ord("g"): 8, ord("y"): 16}
_SMALL_TUPLE = ord(")")
_TUPLE = ord("(")
_SLICE = ord(":")

_LENGTH_OF_REFERENCE = 5
_UNSIGNED = struct.Struct("<I")
_SIGNED = struct.Struct("<i")
# What the compiler interns, and the loader does for names anyway.
_LIKE_A_NAME = re.compile(rb"\w*", re.ASCII).fullmatch


def canonical(marshalled: bytes) -> bytes:
    """Return another form of marshalled code, the same for equal code; a `RecursionError` if it is too deep."""
    reader = _Reader(marshalled)
    code = reader.read()
    return _Writer(reader).write(code)


class _Reader:
    """Reads objects into a table in which equal ones have the same number."""

    def __init__(self, data: bytes) -> None:
        self.heads: list[bytes] = []
        """Of each object its type, and what follows up to the objects in it."""

        self.children: list[tuple[int, ...]] = []
        self.uses: list[int] = []
        """In how many objects each is found."""

        self._numbers: dict[bytes | tuple[bytes, tuple[int, ...]], int] = {}
        self._references: list[int] = []
        self._data = data
        self._at = 0

    def read(self) -> int:
        """Read the next object and return its number."""
        kind = self._data[self._at]
        self._at += 1
        if kind == _REFERENCE:
            return self._references[self._unsigned()]
        if not kind & _FLAG:
            return self._read(kind)
        # A place of its own before those of the objects in it.
        place = len(self._references)
        self._references.append(-1)
        number = self._references[place] = self._read(kind & ~_FLAG)
        return number

    def _read(self, kind: int) -> int:
        if kind in _SHORT_TEXTS:
            end = self._at + 1 + self._data[self._at]
            letter = b"Z" if _LIKE_A_NAME(self._data, self._at + 1, end) else b"z"
            return self._leaf(letter, end)
        if kind in _FIXED:
            return self._leaf(bytes((kind,)), self._at + _FIXED[kind])
        if kind in _COUNTED_BYTES:
            return self._leaf(_COUNTED_BYTES[kind], self._counted_end())
        if kind in _TEXTS:
            end = self._counted_end()
            return self._leaf(b"A" if _LIKE_A_NAME(self._data, self._at + 4, end) else b"a", end)
        if kind == _LONG:
            digits = abs(_SIGNED.unpack_from(self._data, self._at)[0])
            return self._leaf(b"l", self._at + 4 + 2 * digits)
        if kind == _CODE:
            return self._code()
        return self._container(kind)

    def _container(self, kind: int) -> int:
        start = self._at
        if kind == _SMALL_TUPLE:
            count = self._data[self._at]
            self._at += 1
        elif kind in (_TUPLE, _FROZENSET):
            count = self._unsigned()
        elif kind == _SLICE:
            count = 3
        else:
            message = f"marshalled code holds an object of the unknown type {chr(kind)!r}"
            raise AssertionError(message)
        head = bytes((kind,)) + self._data[start : self._at]
        children = [self.read() for _ in range(count)]
        if kind == _FROZENSET:
            # marshal sorts them by bytes that hold the flags.
            children.sort(key=self._flat)
        return self._container_of(head, tuple(children))

    def _code(self) -> int:
        """Read a code object: five numbers, eight objects, the first line's number, two objects (3.11 to 3.14)."""
        head = b"c" + self._data[self._at : self._at + 20]
        self._at += 20
        children = [self.read() for _ in range(8)]
        children.append(self._new(self._data[self._at : self._at + 4]))
        self._at += 4
        children += [self.read(), self.read()]
        # Never shared, as two functions may differ in nothing but their identity.
        return self._new(head, tuple(children))

    def _leaf(self, letter: bytes, end: int) -> int:
        head = letter + self._data[self._at : end]
        self._at = end
        number = self._numbers.get(head)
        if number is None:
            number = self._numbers[head] = self._new(head)
        return number

    def _container_of(self, head: bytes, children: tuple[int, ...]) -> int:
        key = (head, children)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = self._new(head, children)
        return number

    def _new(self, head: bytes, children: tuple[int, ...] = ()) -> int:
        self.heads.append(head)
        self.children.append(children)
        self.uses.append(0)
        for child in children:
            self.uses[child] += 1
        return len(self.heads) - 1

    def _unsigned(self) -> int:
        number: int = _UNSIGNED.unpack_from(self._data, self._at)[0]
        self._at += 4
        return number

    def _counted_end(self) -> int:
        count: int = _UNSIGNED.unpack_from(self._data, self._at)[0]
        return self._at + 4 + count

    def _flat(self, number: int) -> bytes:
        return self.heads[number] + b"".join(map(self._flat, self.children[number]))


class _Writer:
    """Writes the objects of a table, each once if that is shorter."""

    def __init__(self, table: _Reader) -> None:
        self._heads = table.heads
        self._children = table.children
        self._uses = table.uses
        self._places: dict[int, int] = {}
        self._out = bytearray()

    def write(self, number: int) -> bytes:
        """Return an object, marshalled."""
        self._write(number)
        return bytes(self._out)

    def _write(self, number: int) -> None:
        place = self._places.get(number)
        if place is not None:
            self._out.append(_REFERENCE)
            self._out += _UNSIGNED.pack(place)
            return
        head = self._heads[number]
        children = self._children[number]
        if self._uses[number] > 1 and (children or len(head) > _LENGTH_OF_REFERENCE):
            self._places[number] = len(self._places)
            self._out.append(head[0] | _FLAG)
            self._out += head[1:]
        else:
            self._out += head
        for child in children:
            self._write(child)
