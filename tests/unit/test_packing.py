from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hatch_oci.errors import SourceError
from hatch_oci.layers.layer import Layer
from hatch_oci.layers.wheel import open_wheel
from hatch_oci.packing import App, pack_layers
from hatch_oci.store.blobs import BlobStore
from tests.unit.projects import read_table
from tests.unit.wheels import INFO, MODULE, SITE, VENV, write_wheel

BASE = frozenset({"", "app", "usr", "usr/lib", "lib", "etc", "tmp"})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("static/a.css", "static/sub/b.css", "conf/app.toml"):
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "project"


@contextmanager
def app_of(folder: Path, **parts: Any) -> Iterator[App]:
    with open_wheel(write_wheel(folder, **parts)) as wheel:
        yield App(wheel, VENV)


def pack(
    store: BlobStore,
    project: Path,
    copies: list[dict[str, Any]],
    app: App | None = None,
    has_folder: Callable[[str], bool] = BASE.__contains__,
) -> list[Layer]:
    return list(pack_layers(read_table({"copy": copies}), project, app, has_folder, store))


def names(layer: Layer, store: BlobStore) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(store.path(layer.descriptor.digest).read_bytes()))) as tar:
        return tar.getnames()


def failure(store: BlobStore, project: Path, copies: list[dict[str, Any]], app: App | None = None) -> str:
    with pytest.raises(SourceError) as error:
        pack(store, project, copies, app)
    return str(error.value)


def test_layers_are_the_venv_the_copies_and_the_wheel(project: Path, store: BlobStore) -> None:
    copies = [{"from": "static", "to": "/srv/static"}, {"from": "conf/app.toml", "to": "/etc/"}]
    with app_of(project) as app:
        layers = pack(store, project, copies, app)
    assert [layer.summary for layer in layers] == [
        "venv /app/.venv",
        "files /srv/static",
        "files /etc",
        "wheel demo 1.0",
    ]
    found = [names(layer, store) for layer in layers]
    assert found[0] == [
        "app/.venv",
        "app/.venv/bin",
        "app/.venv/bin/python",
        "app/.venv/bin/python3",
        "app/.venv/bin/python3.13",
        "app/.venv/lib",
        "app/.venv/lib/python3.13",
        SITE,
        "app/.venv/lib64",
        "app/.venv/pyvenv.cfg",
    ]
    static = ["srv", "srv/static", "srv/static/a.css", "srv/static/sub", "srv/static/sub/b.css"]
    assert found[1:3] == [static, ["etc/app.toml"]]
    assert found[3] == [
        f"{SITE}/demo",
        f"{SITE}/demo/__init__.py",
        f"{SITE}/{INFO}",
        *(f"{SITE}/{INFO}/{name}" for name in ("INSTALLER", "METADATA", "RECORD", "REQUESTED", "WHEEL")),
    ]


def test_without_a_wheel_there_is_no_venv(project: Path, store: BlobStore) -> None:
    layers = pack(store, project, [{"from": "static", "to": "/srv"}])
    assert [layer.summary for layer in layers] == ["files /srv"]
    assert pack(store, project, []) == []


def test_on_scratch_every_folder_is_written_once(project: Path, store: BlobStore) -> None:
    copies = [{"from": "static", "to": "/srv/a"}, {"from": "static", "to": "/srv/b"}]
    with app_of(project) as app:
        layers = pack(store, project, copies, app, lambda path: path == "")
    written = [name for layer in layers for name in names(layer, store)]
    assert {"app", "srv", "srv/a", "srv/b"} <= set(written)
    assert len(written) == len(set(written))


def test_layers_do_not_depend_on_each_others_content(project: Path, store: BlobStore) -> None:
    copies = [{"from": "static", "to": "/srv"}]
    with app_of(project / "1") as app:
        first = pack(store, project, copies, app)
    with app_of(project / "2", files=MODULE | {"demo/new.py": b""}) as app:
        second = pack(store, project, copies, app)
    assert first[:2] == second[:2]
    assert first[2] != second[2]


def test_compression_is_what_was_asked_for(project: Path, store: BlobStore) -> None:
    settings = read_table({"copy": [{"from": "static", "to": "/srv"}], "compression": "none"})
    (layer,) = pack_layers(settings, project, None, BASE.__contains__, store)
    assert layer.descriptor.media_type == "application/vnd.oci.image.layer.v1.tar"
    assert layer.descriptor.digest == layer.diff_id


@pytest.mark.parametrize(
    ("copies", "problem"),
    [
        (
            [{"from": "static", "to": "/srv"}, {"from": "conf/app.toml", "to": "/srv/a.css"}],
            "files /srv and files /srv/a.css both want the path /srv/a.css",
        ),
        (
            [{"from": "static", "to": "/srv"}, {"from": "static", "to": "/srv/a.css"}],
            "files /srv and files /srv/a.css both want the path /srv/a.css",
        ),
        (
            [{"from": "static", "to": "/srv/x"}, {"from": "conf/app.toml", "to": "/srv"}],
            "files /srv/x and files /srv both want the path /srv",
        ),
        (
            [{"from": "static", "to": "/srv/x", "exclude": ["/a.css"]}, {"from": "conf/app.toml", "to": "/srv/x/sub"}],
            "files /srv/x and files /srv/x/sub both want the path /srv/x/sub",
        ),
    ],
)
def test_two_copies_that_want_one_path_are_refused(
    copies: list[dict[str, Any]], problem: str, project: Path, store: BlobStore
) -> None:
    assert failure(store, project, copies) == problem


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("/app/.venv/pyvenv.cfg", "venv /app/.venv and files /app/.venv/pyvenv.cfg both want the path "),
        ("/app/.venv/bin/python", "venv /app/.venv and files /app/.venv/bin/python both want the path "),
        ("/app/.venv/lib64/x", "venv /app/.venv and files /app/.venv/lib64/x both want the path /app/.venv/lib64"),
        (f"/{SITE}/demo/__init__.py", f"files /{SITE}/demo/__init__.py and wheel demo 1.0 both want the path "),
        (f"/{SITE}/demo", f"files /{SITE}/demo and wheel demo 1.0 both want the path /{SITE}/demo"),
    ],
)
def test_a_copy_that_gets_in_the_way_of_the_app_is_refused(
    target: str, problem: str, project: Path, store: BlobStore
) -> None:
    with app_of(project) as app:
        assert failure(store, project, [{"from": "conf/app.toml", "to": target}], app).startswith(problem)


def test_a_copy_may_go_into_the_venv(project: Path, store: BlobStore) -> None:
    with app_of(project) as app:
        layers = pack(store, project, [{"from": "conf", "to": "/app/.venv/etc"}], app)
    assert names(layers[1], store) == ["app/.venv/etc", "app/.venv/etc/app.toml"]


def test_no_folder_of_the_base_is_written_again(project: Path, store: BlobStore) -> None:
    (project / "static/lib").mkdir()
    (project / "static/lib/x.so").touch()
    (project / "static/tmp").mkdir()
    (layer,) = pack(store, project, [{"from": "static", "to": "/"}])
    assert names(layer, store) == ["a.css", "lib/x.so", "sub", "sub/b.css"]


@pytest.mark.parametrize("target", ["/etc", "/lib", "/app"])
def test_no_file_replaces_a_folder_of_the_base(target: str, project: Path, store: BlobStore) -> None:
    assert target in failure(store, project, [{"from": "conf/app.toml", "to": target}])
    (layer,) = pack(store, project, [{"from": "conf/app.toml", "to": f"{target}/"}])
    assert names(layer, store) == [f"{target[1:]}/app.toml"]


def test_where_files_came_from_is_not_in_the_layer(project: Path, store: BlobStore) -> None:
    layers = pack(store, project, [{"from": str(project / "static"), "to": "/srv"}])
    raw = gzip.decompress(store.path(layers[0].descriptor.digest).read_bytes())
    assert str(project) not in layers[0].summary
    assert str(project).encode() not in raw
