"""Projects that build themselves, with a backend of their own that needs nothing but Python."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "{name}"
version = "1.0"
dependencies = [{requires}]
"""
_BACKEND = """\
import base64, hashlib, os, time, zipfile

NAME, TAG, REQUIRES = {name!r}, {tag!r}, {requires!r}

def build_wheel(folder, config_settings=None, metadata_directory=None):
    info = f"{{NAME}}-1.0.dist-info"
    metadata = "Metadata-Version: 2.1\\nName: " + NAME + "\\nVersion: 1.0\\n"
    metadata += "".join(f"Requires-Dist: {{one}}\\n" for one in REQUIRES)
    files = {{
        f"{{NAME}}/__init__.py": "name = " + repr(NAME) + "\\n",
        f"{{info}}/METADATA": metadata,
        f"{{info}}/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: " + TAG + "\\n",
    }}
    rows = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows += f"{{path}},sha256={{digest}},{{len(text)}}\\n"
    files[f"{{info}}/RECORD"] = rows + f"{{info}}/RECORD,,\\n"
    filename = f"{{NAME}}-1.0-{{TAG}}.whl"
    date = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH") or time.time()))[:6]
    with zipfile.ZipFile(os.path.join(folder, filename), "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path, date), text)
    return filename
"""


def project_files(name: str, tag: str = "py3-none-any", requires: tuple[str, ...] = ()) -> Mapping[str, str]:
    """Return the files of a project whose wheel has that tag."""
    quoted = ", ".join(f'"{one}"' for one in requires)
    return {
        "pyproject.toml": _PYPROJECT.format(name=name, requires=quoted),
        "backend.py": _BACKEND.format(name=name, tag=tag, requires=requires),
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
    }


def write_project(folder: Path, name: str, tag: str = "py3-none-any", requires: tuple[str, ...] = ()) -> Path:
    """Write such a project into a folder."""
    folder.mkdir(parents=True)
    for path, text in project_files(name, tag, requires).items():
        (folder / path).write_text(text)
    return folder
