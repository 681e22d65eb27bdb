"""Which certificates a host is trusted by, and which one it is shown.

Besides the system's authorities, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`, a host has those in its folder of
certs.d, where Docker, Podman and containerd look, too: `*.crt` are authorities, `*.cert` with `*.key` the client's own.
"""

from __future__ import annotations

import errno
import os
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import certifi

from hatch_oci.errors import RegistryError

_SYSTEM_FOLDERS = (Path("/etc/docker/certs.d"), Path("/etc/containers/certs.d"))


def tls_context(host: str, port: int, *, verify: bool = True) -> ssl.SSLContext:
    """Return the TLS settings for a host; a `RegistryError` where one of its files cannot be used."""
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif not _has_authorities():
        context.load_verify_locations(certifi.where())
    try:
        files = list(_files(host, port))
    except OSError as error:
        message = f"cannot use {error.filename} for {host}: {error.strerror}"
        raise RegistryError(message) from error
    for file in files:
        try:
            if file.suffix == ".crt":
                context.load_verify_locations(file)
            elif file.suffix == ".cert":
                context.load_cert_chain(file, file.with_suffix(".key"), password=_no_password)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            message = f"cannot use {file} for {host}: {reason}"
            if file.suffix == ".cert" and not file.with_suffix(".key").exists():
                message = f"{file} has no {file.with_suffix('.key').name} beside it"
            raise RegistryError(message) from error
    return context


def _has_authorities() -> bool:
    """Tell whether OpenSSL finds any on this machine; some builds of Python look where no system keeps them."""
    paths = ssl.get_default_verify_paths()
    file = os.environ.get(paths.openssl_cafile_env) or paths.cafile
    folders = os.environ.get(paths.openssl_capath_env) or paths.capath or ""
    return bool(file) or any(any(Path(folder).glob("*")) for folder in folders.split(os.pathsep) if folder)


def _files(host: str, port: int) -> Iterator[Path]:
    written = f"[{host}]" if ":" in host else host
    folders = list(_SYSTEM_FOLDERS)
    with suppress(RuntimeError):
        folders.append(Path.home() / ".config/containers/certs.d")
    for folder in folders:
        for name in (f"{written}:{port}", written):
            try:
                yield from sorted((folder / name).iterdir())
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
                    raise


def _no_password() -> str:
    # Without this, OpenSSL asks on the terminal.
    message = "the key has a password"
    raise ValueError(message)
