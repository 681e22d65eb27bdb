"""A base, layers and settings put together: the image's configuration and its manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from packaging.utils import canonicalize_name

from hatch_oci.base.resolve import Base
from hatch_oci.errors import BaseError, WheelError
from hatch_oci.image import annotation_keys as keys
from hatch_oci.image.config import AddedLayer, ConfigEdit, ImageConfig, edit_config
from hatch_oci.image.manifest import Manifest, make_manifest
from hatch_oci.image.media_types import FAMILIES
from hatch_oci.installation import Installation
from hatch_oci.layers.layer import Layer
from hatch_oci.layers.venv import Venv
from hatch_oci.layers.wheel import Wheel
from hatch_oci.report import format_number
from hatch_oci.settings import Settings

_MOST_LAYERS = 127
"""What overlay file systems stack, and so what engines take."""
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def assemble(
    base: Base,
    layers: Sequence[Layer],
    settings: Settings,
    described: Mapping[str, str],
    installation: Installation | None,
) -> tuple[ImageConfig, Manifest, dict[str, str]]:
    """Return the configuration and the manifest of the image, and the manifest's annotations.

    `described` are the annotations that the project's metadata gives. A `WheelError` where there is an app, but
    nothing that tells how to start it; a `BaseError` where there are more layers than engines take.
    """
    if len(base.layers) + len(layers) > _MOST_LAYERS:
        message = (
            f"{base.name} has {format_number(len(base.layers), 'layer')} and the build adds {len(layers)}, "
            f"but engines take {_MOST_LAYERS} at most: "
            'join tables of `copy`, or set layers = "one" for the dependencies'
        )
        raise BaseError(message)
    described = {**described, keys.CREATED: settings.created}
    if base.image_name:
        described[keys.BASE_NAME] = base.image_name
    if base.digest:
        described[keys.BASE_DIGEST] = str(base.digest)
    entrypoint, cmd = find_command(settings, installation)
    config = edit_config(
        base.config,
        ConfigEdit(
            created=settings.created,
            layers=tuple(AddedLayer(layer.diff_id, f"hatch-oci-image: {layer.summary}") for layer in layers),
            entrypoint=entrypoint,
            cmd=cmd,
            env=find_env(base.config, settings, installation),
            ports=settings.ports,
            volumes=settings.volumes,
            labels={**described, **settings.labels},
            user=settings.user,
            working_dir=settings.working_dir,
            stop_signal=settings.stop_signal,
        ),
    )
    descriptors = [*base.layers, *(layer.descriptor for layer in layers)]
    annotations = {**described, **settings.annotations}
    manifest = make_manifest(config.descriptor, descriptors, annotations, FAMILIES[settings.format])
    return config, manifest, annotations


def check_format(base: Base, settings: Settings) -> None:
    """Raise a `BaseError` where the base has a layer of a kind that the image's format has no type for."""
    for layer in base.layers:
        if layer.media_type not in FAMILIES[settings.format].layers:
            message = (
                f"the layer {layer.digest} of {base.name} is {layer.media_type}, which format = {settings.format!r} "
                'cannot say: set format = "oci", or choose another base-image'
            )
            raise BaseError(message)


def find_command(
    settings: Settings, installation: Installation | None
) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """Return entrypoint and cmd, each None where the base's holds; one that is set here takes the base's cmd away.

    A `WheelError` where there is an app, but nothing that tells how to start it.
    """
    entrypoint = settings.entrypoint
    if entrypoint is None:
        entrypoint = _start(installation.app, installation.venv) if installation and installation.app else "inherit"
    cmd = settings.cmd
    if cmd is None:
        cmd = "inherit" if entrypoint == "inherit" else ()
    return (None if entrypoint == "inherit" else entrypoint), (None if cmd == "inherit" else cmd)


def _start(wheel: Wheel, venv: Venv) -> tuple[str, ...]:
    """Return what starts an app: its only script, the one named like it, or else its package's `__main__`."""
    scripts = sorted(wheel.console_scripts)
    name = canonicalize_name(wheel.name)
    chosen = scripts if len(scripts) == 1 else [script for script in scripts if canonicalize_name(script) == name]
    if chosen:
        return (f"{venv.bin}/{chosen[0]}",)
    mains = (path.removesuffix("/__main__.py") for path in wheel.module_paths if path.endswith("/__main__.py"))
    programs = sorted(main.replace("/", ".") for main in mains)
    named = [program for program in programs if canonicalize_name(program) == name]
    at_the_top = [program for program in programs if "." not in program]
    for candidates in (named, at_the_top, programs):
        if len(candidates) == 1:
            return (f"{venv.bin}/python", "-m", candidates[0])
    packages = f"the packages {', '.join(programs)} with a __main__.py" if programs else "no package with a __main__.py"
    found = f"the scripts {', '.join(scripts)}" if scripts else f"no script and {packages}"
    message = f"{wheel.filename} has {found}, so it is open how the image starts: set `entrypoint`"
    raise WheelError(message)


def find_env(base: ImageConfig, settings: Settings, installation: Installation | None) -> dict[str, str]:
    """Return the variables that go over the base's."""
    if installation is None:
        return dict(settings.env)
    venv = installation.venv
    path = f"{venv.bin}:{base.env.get('PATH') or DEFAULT_PATH}"
    return {"PATH": path, "VIRTUAL_ENV": venv.prefix, **settings.env}
