"""Wheels that nobody would make, though the specification lets them."""

from __future__ import annotations

import csv
import io
import stat
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.unit.wheels import RawMember, hash_of, member, write_wheel

NAME = "Demo_App"
METADATA = "Metadata-Version: 2.1\nName: Demo_App\nVersion: {}\n"
PLATLIB = "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: false\nTag: py3-none-any\n"
PYTHON = "python3.13"
SITE = f"lib/{PYTHON}/site-packages"
ODD_NAMES = (
    "a, b.txt",
    'a "b".txt',
    '"quoted"',
    ",",
    " begins and ends ",
    "it's; #not %(a)s comment.txt",
    "tab\there.txt",
    "-r",
    "~",
    "..dots..",
    "größe.py",
    "gro\u0308\u00dfe.txt",  # a letter in two parts
    "日本語.py",
    "🐍.txt",
    "ﬁle.txt",
    "no-break\u00a0space.txt",
    "n" * 255,
    "ß" * 127,
    "CON",
    "README.TXT",
    "readme.txt",
    "Makefile.",
)
DEEP = "/".join(["d" * 99] * 12) + "/" + "f" * 120


@dataclass(frozen=True)
class Sample:
    """A wheel to write."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    raw: Sequence[RawMember] = ()
    entry_points: str = ""
    executable: frozenset[str] = frozenset()
    version: str = "1.0"
    build: str = ""
    wheel: str = PLATLIB.replace("false", "true")

    def write(self, folder: Path) -> Path:
        rows = io.StringIO()
        writer = csv.writer(rows, lineterminator="\n")
        writer.writerows((info.filename, hash_of(data), len(data)) for info, data in self.raw if not info.is_dir())
        return write_wheel(
            folder,
            self.files,
            filename=f"{NAME}-{self.version}{self.build}-py3-none-any.whl",
            info=f"{NAME}-{self.version}.dist-info",
            metadata=METADATA.format(self.version),
            wheel=self.wheel,
            entry_points=self.entry_points,
            executable=self.executable,
            raw=self.raw,
            record=lambda text: text + rows.getvalue(),
        )


def data(path: str, version: str = "1.0") -> str:
    return f"{NAME}-{version}.data/{path}"


def raw(name: str, content: bytes, mode: int = 0o644, *, deflated: bool = False) -> RawMember:
    info = member(name, mode, stat.S_IFDIR if name.endswith("/") else stat.S_IFREG)
    info.compress_type = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    return info, content


SCHEMES = {
    "demo/__init__.py": b"",
    "top.pth": b"import demo\n",
    data("purelib/pure/__init__.py"): b"pure = True\n",
    data("purelib/demo/also.py"): b"",
    data("platlib/demo/plat.so"): b"\x7fELF" + bytes(100_000),
    data("headers/demo.h"): b"/* C */\n",
    data("headers/deep/er/demo.hpp"): b"// C++\n",
    data("data/share/man/man1/demo.1"): b".TH\n",
    data("data/share/größe, so.txt"): b"",
    data("data/etc/demo/demo.conf"): b"[demo]\n",
    data("data/top.txt"): b"top",
    data("data/lib/beside.txt"): b"in lib, but of no Python",
    data(f"data/{SITE}/demo/from_data.py"): b"",
    data("scripts/tool"): b"#!/bin/sh\n",
    # Of another distribution or version, these are plain folders.
    "Demo_App-2.0.data/scripts/tool": b"#!python\n",
    "demo_app-1.0.data/data/plain": b"",
    "Demo_App-1.0.data2/scripts/tool": b"#!python\n",
    "demo/Demo_App-1.0.data/scripts/tool": b"#!python\n",
    f"{NAME}-1.0.dist-info/licenses/LICENSES/MIT.txt": b"MIT",
    f"{NAME}-1.0.dist-info/sboms/demo.cdx.json": b"{}",
    f"{NAME}-1.0.dist-info/top_level.txt": b"demo\n",
}
# Here all scripts can be run; the others go by the wheel.
TOOL = frozenset({data("scripts/tool")})
SCRIPTS = {
    "console": b"#!python\nprint()\n",
    "window": b"#!pythonw\nprint()\n",
    "from-windows": b"#!python\r\nprint()\r\n",
    "only-a-line": b"#!python\n",
    "env": b"#!/usr/bin/env python3\n",
    "absolute": b"#!/usr/bin/python\n#!python\n",
    "shell": b"#!/bin/sh\n#!python\n",
    "spaced": b"#! python\n",
    "marked": b"\xef\xbb\xbf#!python\n",
    "binary": b"\x7fELF\0\n#!python\n\xff",
    "large": b"#!python\n" + b"# comment\n" * 100_000,
    "empty": b"",
    "größe und so": b"#!python\n",
    "deeper/tool.py": b"#!python\nimport sys\n",
}
ENTRY_POINTS = """
[console_scripts]
plain = demo:main
dotted.name = demo.cli.deep:App.sub.run
with-extra = demo.cli:main [extra]
with-extras=demo.cli:main[one,two-three , four]
spaced   =   demo.cli : main   [ extra ]
UPPER_and_lower = demo:Main
größe = demo.größe:hauptprogramm
a b = demo:main
-r = demo:main
_ = _:_

# a comment
[gui_scripts]
window = demo.gui:main
window-extra = demo.gui:App.run [gui]

[demo.plugins]
plugin = demo.plugins:one
percent = demo.plugins
"""
SAMPLES = {
    "every scheme": Sample(SCHEMES, executable=TOOL),
    "a platlib": Sample(SCHEMES, executable=TOOL, wheel=PLATLIB),
    "odd names": Sample({f"demo/{name}": name.encode() for name in ODD_NAMES} | {DEEP: b"deep"}),
    "odd names in data": Sample({data(f"data/x/{name}"): name.encode() for name in ODD_NAMES}),
    "scripts": Sample(
        {data(f"scripts/{name}"): text for name, text in SCRIPTS.items()},
        executable=frozenset(data(f"scripts/{name}") for name in SCRIPTS),
    ),
    "entry points": Sample({"demo/__init__.py": b""}, entry_points=ENTRY_POINTS),
    "entry points from Windows": Sample(entry_points=ENTRY_POINTS.replace("\n", "\r\n")),
    "modes": Sample(
        raw=[
            raw(f"{folder}{mode:o}", b"text", mode)
            for mode in (0o000, 0o400, 0o600, 0o644, 0o666, 0o744, 0o711, 0o755, 0o777, 0o4755, 0o100, 0o010, 0o001)
            for folder in ("demo/", data("data/demo/"), data("platlib/demo2/"), data("headers/"))
        ]
    ),
    "stored and deflated": Sample(
        raw=[
            raw(f"demo/{size}.{'deflated' if deflated else 'stored'}", b"\x5a" * size, deflated=deflated)
            for size in (0, 1, 65_535, 65_536, 262_144, 262_145, 3_000_001)
            for deflated in (True, False)
        ]
    ),
    "folders": Sample(
        {"demo/a/b.txt": b""},
        raw=[raw("demo/", b"", 0o700), raw("demo/empty/", b""), raw("demo/a/", b""), raw(data("data/empty/"), b"")],
    ),
    "a local version and a build": Sample(
        {data("data/a", "1!2.0rc1.post3+local.7"): b"a", data("purelib/b.py", "1!2.0rc1.post3+local.7"): b""},
        version="1!2.0rc1.post3+local.7",
        build="-4x",
    ),
    "nothing": Sample(),
}
