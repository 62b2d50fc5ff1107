"""Pickle programs run here instead of by `pickle`, so that nothing in them is called and nothing gets large.

A pickle is a program for a stack machine: it can import and call anything, ask for tables of any size with
five bytes, nest without end, and use as a key what never ends to hash. This machine knows the same
instructions (they are explained in Python's `pickletools`) and does less: names become what the caller's
`resolve` gives for them, only a `Maker` is ever called, objects are `Inert`, and instructions, bytes and
numbers have limits.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO, Callable, Dict, Iterable, List, Tuple

PROGRAM_BYTES = 64 << 20
INSTRUCTIONS = (
    1 << 21
)  # each makes one object of some hundred bytes at most; a network of 2000 tensors needs 1e5
_NUMBER_BYTES = 256
_LINE_BYTES = 4096
_ARGUMENTS = 16
_PROTOCOL = 5
_PLAIN_KEYS = (str, bytes, int, float, type(None))


class Inert:
    """Stands for any object: takes whatever the program says and does nothing."""

    __slots__ = ()


class Maker:
    """What a program may call: `function` gets the arguments as the program states them."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function


class Unpickler:
    """One program after the other out of a file.

    resolve     (module, name) -> what the program gets for that name: a `Maker`, or anything inert.
    persistent  what the program stored under an id of its own -> the object.
    """

    def __init__(
        self,
        file: BinaryIO,
        resolve: Callable[[str, str], Any] = lambda module, name: Inert(),
        persistent: Callable[[Any], Any] = lambda saved: Inert(),
    ) -> None:
        self._file, self._resolve, self._persistent = file, resolve, persistent
        self._bytes_left, self._steps_left = PROGRAM_BYTES, INSTRUCTIONS
        self._stack: List[Any] = []
        self._marked: List[List[Any]] = []
        self._memo: Dict[int, Any] = {}

    def load(self) -> Any:
        """Run the next program and return what it leaves; ValueError or EOFError where it cannot be run.

        A program may do nonsense, which raises whatever it raises: IndexError, TypeError, AttributeError.
        """
        self._stack, self._marked, self._memo = [], [], {}
        while True:
            code = self._read(1)
            self._count(1)
            if code == b".":
                return self._stack.pop()
            step = _STEPS.get(code)
            if step is None:
                raise ValueError(f"its pickle has an instruction that is not known ({code!r})")
            step(self)

    # --- reading --------------------------------------------------------------------------------------

    def _read(self, count: int) -> bytes:
        if not 0 <= count <= self._bytes_left:
            raise ValueError(f"its pickle is longer than {PROGRAM_BYTES >> 20} MB")
        self._bytes_left -= count
        data = self._file.read(count)
        if len(data) < count:
            raise EOFError("it ends too early")
        return data

    def _line(self, encoding: str = "utf-8") -> str:
        data = self._file.readline(min(_LINE_BYTES, self._bytes_left))
        if not data.endswith(b"\n"):
            raise ValueError("its pickle has a line without end")
        self._bytes_left -= len(data)
        return data[:-1].decode(encoding, "replace")

    def _number(self, form: str) -> int:
        return struct.unpack("<" + form, self._read(struct.calcsize(form)))[0]

    def _long(self, length: int) -> int:
        if not 0 <= length <= _NUMBER_BYTES:
            raise ValueError("its pickle has a number without end")
        return int.from_bytes(self._read(length), "little", signed=True)

    def _count(self, steps: int) -> None:
        self._steps_left -= steps
        if self._steps_left < 0:
            raise ValueError(f"its pickle has more than {INSTRUCTIONS} instructions")

    # --- the stack ------------------------------------------------------------------------------------

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _mark(self) -> None:
        self._marked.append(self._stack)
        self._stack = []

    def _to_mark(self) -> List[Any]:
        items, self._stack = self._stack, self._marked.pop()
        return items

    def _pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._to_mark()

    def _get(self, place: int) -> None:
        if place not in self._memo:
            raise ValueError("its pickle refers to something that it did not store")
        self._push(self._memo[place])

    def _put(self, place: int) -> None:
        self._memo[place] = self._stack[-1]

    def _tuple(self, count: int) -> None:
        items = tuple(self._stack[-count:])
        if len(items) < count:
            raise ValueError("its pickle takes from an empty stack")
        self._stack[-count:] = [items]

    # --- containers and objects -----------------------------------------------------------------------

    def _extend(self, items: List[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, Inert):
            raise ValueError("its pickle appends to what is no list")

    def _set_items(self, items: List[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, dict):
            put_items(target, zip(items[::2], items[1::2]))
        elif not isinstance(target, Inert):
            raise ValueError("its pickle puts keys into what is no dictionary")

    def _call(self, function: Any, arguments: Any) -> None:
        if not isinstance(function, Maker):
            self._push(Inert())
            return
        if not isinstance(arguments, tuple) or len(arguments) > _ARGUMENTS:
            raise ValueError("its pickle calls with arguments that make no sense")
        # What is made of containers is a copy of them.
        self._count(sum(len(a) for a in arguments if isinstance(a, (list, tuple, dict))))
        self._push(function.function(*arguments))

    def _reduce(self, keywords: bool = False) -> None:
        if keywords:
            self._stack.pop()
        arguments, function = self._stack.pop(), self._stack.pop()
        self._call(function, arguments)

    def _object(self) -> None:
        function, *arguments = self._to_mark()
        self._call(function, tuple(arguments))

    def _instance(self) -> None:
        function = self._resolve(self._line(), self._line())
        self._call(function, tuple(self._to_mark()))

    def _stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise ValueError("its pickle names something with what is no text")
        self._push(self._resolve(module, name))


def put_items(target: Dict[Any, Any], pairs: Iterable[Tuple[Any, Any]]) -> None:
    """Put (key, value) pairs into a dictionary; those whose key is neither text nor number are left out.

    Names of tensors are text. A tuple's hash may never end, where it is nested and shares its parts.
    """
    for key, value in pairs:
        if isinstance(key, _PLAIN_KEYS):
            target[key] = value


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _integer(text: str) -> int:
    # Protocol 0 writes the truth values as 00 and 01.
    return {"00": False, "01": True}.get(text) if text in ("00", "01") else int(text[:_NUMBER_BYTES])


_STEPS: Dict[bytes, Callable[[Unpickler], None]] = {
    # Protocol and framing. Frames only state how much to read at once.
    b"\x80": lambda m: _check_protocol(m._number("B")),
    b"\x95": lambda m: m._read(8) and None,
    # Stack and memory.
    b"(": Unpickler._mark,
    b"0": Unpickler._pop,
    b"1": lambda m: m._to_mark() and None,
    b"2": lambda m: m._push(m._stack[-1]),
    b"g": lambda m: m._get(int(m._line())),
    b"h": lambda m: m._get(m._number("B")),
    b"j": lambda m: m._get(m._number("I")),
    b"p": lambda m: m._put(int(m._line())),
    b"q": lambda m: m._put(m._number("B")),
    b"r": lambda m: m._put(m._number("I")),
    b"\x94": lambda m: m._put(len(m._memo)),
    # Numbers.
    b"N": lambda m: m._push(None),
    b"\x88": lambda m: m._push(True),
    b"\x89": lambda m: m._push(False),
    b"I": lambda m: m._push(_integer(m._line())),
    b"L": lambda m: m._push(int(m._line().rstrip("L")[:_NUMBER_BYTES])),
    b"J": lambda m: m._push(m._number("i")),
    b"K": lambda m: m._push(m._number("B")),
    b"M": lambda m: m._push(m._number("H")),
    b"\x8a": lambda m: m._push(m._long(m._number("B"))),
    b"\x8b": lambda m: m._push(m._long(m._number("i"))),
    b"F": lambda m: m._push(float(m._line())),
    b"G": lambda m: m._push(struct.unpack(">d", m._read(8))[0]),
    # Text and bytes. Python 2 pickled the bytes of NumPy's scalars as text; nothing here needs them.
    b"S": lambda m: m._push(m._line()[1:-1]),
    b"T": lambda m: m._push(_text(m._read(m._number("i")))),
    b"U": lambda m: m._push(_text(m._read(m._number("B")))),
    b"V": lambda m: m._push(m._line("raw-unicode-escape")),
    b"X": lambda m: m._push(_text(m._read(m._number("I")))),
    b"\x8c": lambda m: m._push(_text(m._read(m._number("B")))),
    b"\x8d": lambda m: m._push(_text(m._read(m._number("Q")))),
    b"B": lambda m: m._push(m._read(m._number("I"))),
    b"C": lambda m: m._push(m._read(m._number("B"))),
    b"\x8e": lambda m: m._push(m._read(m._number("Q"))),
    b"\x96": lambda m: m._push(m._read(m._number("Q"))),
    # Containers; sets are lists, for nothing here asks what is in them.
    b"]": lambda m: m._push([]),
    b"}": lambda m: m._push({}),
    b")": lambda m: m._push(()),
    b"\x8f": lambda m: m._push([]),
    b"l": lambda m: m._push(m._to_mark()),
    b"t": lambda m: m._push(tuple(m._to_mark())),
    b"\x91": lambda m: m._push(m._to_mark()),
    b"d": lambda m: _push_dict(m, m._to_mark()),
    b"\x85": lambda m: m._tuple(1),
    b"\x86": lambda m: m._tuple(2),
    b"\x87": lambda m: m._tuple(3),
    b"a": lambda m: m._extend([m._stack.pop()]),
    b"e": lambda m: m._extend(m._to_mark()),
    b"\x90": lambda m: m._extend(m._to_mark()),
    b"s": lambda m: m._set_items([m._stack.pop(), m._stack.pop()][::-1]),
    b"u": lambda m: m._set_items(m._to_mark()),
    # Names and objects; their state is passed over.
    b"c": lambda m: m._push(m._resolve(m._line(), m._line())),
    b"\x93": Unpickler._stack_global,
    b"R": Unpickler._reduce,
    b"\x81": Unpickler._reduce,
    b"\x92": lambda m: m._reduce(keywords=True),
    b"o": Unpickler._object,
    b"i": Unpickler._instance,
    b"b": lambda m: m._stack.pop() and None,
    b"Q": lambda m: m._push(m._persistent(m._stack.pop())),
}


def _check_protocol(version: int) -> None:
    if version > _PROTOCOL:
        raise ValueError(f"its pickle is of a protocol that is not known ({version})")


def _push_dict(machine: Unpickler, items: List[Any]) -> None:
    result: Dict[Any, Any] = {}
    put_items(result, zip(items[::2], items[1::2]))
    machine._push(result)
