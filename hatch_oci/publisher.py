"""`hatch publish -p oci`: for those who have this package in Hatch's own environment."""

from __future__ import annotations

import traceback
from contextlib import closing
from pathlib import Path
from typing import Any

from hatch.publish.plugin.interface import PublisherInterface

from hatch_oci.config import registry_options
from hatch_oci.errors import ConfigError, OCIError
from hatch_oci.output.outcome import tell_pipelines
from hatch_oci.output.reading import find_layout, read_layout
from hatch_oci.pushing import push_image
from hatch_oci.registry.transport import Transport
from hatch_oci.report import Reporter
from hatch_oci.store.blobs import BlobStore, cache_folder

_OPTIONS = ("repository", "tag", "digest-file")
_HATCHS_OWN = ("no_prompt", "initialize_auth")
_TABLE_KEYS = ("repository", "tags", "disable")


class OCIPublisher(PublisherInterface):
    """Pushes what `hatch build -t oci` wrote."""

    PLUGIN_NAME = "oci"

    def publish(self, artifacts: list[str], options: dict[str, Any]) -> None:
        """Push the layout among `artifacts`, or the one in `dist`; `-o repository=… -o tag=… -o digest-file=…`."""
        try:
            self._publish(artifacts, options)
        except OCIError as error:
            if self.app.verbosity > 0:
                traceback.print_exc()
            self.app.abort(str(error))

    def _publish(self, artifacts: list[str], options: dict[str, Any]) -> None:
        self._check(options)
        root = Path(self.root)
        folders = [Path(one) for one in artifacts] or [root / "dist"]
        layout = folders[0] if (folders[0] / "oci-layout").is_file() else find_layout(folders[0])
        repository = options.get("repository") or self.project_config.get("repository")
        tags = [options["tag"]] if options.get("tag") else self.project_config.get("tags", [])
        reporter = Reporter(
            info=self.app.display_info,
            warn=lambda text: self.app.display_warning(f"Warning: {text}"),
            debug=self.app.display_debug,
        )
        with closing(Transport(registry_options(root), reporter)) as transport:
            pushed = push_image(read_layout(layout), repository, tags, transport, BlobStore(cache_folder()))
        tell_pipelines(pushed.digest, pushed.references, options.get("digest-file"))
        for reference in pushed.references:
            self.app.display_info(reference)

    def _check(self, options: dict[str, Any]) -> None:
        mistakes = [
            f"Field `tool.hatch.publish.oci.{key}` is not known"
            for key in self.project_config
            if key not in _TABLE_KEYS
        ]
        mistakes += [
            f"Option `{key}` is not known; there are: {', '.join(_OPTIONS)}"
            for key in options
            if key not in (*_OPTIONS, *_HATCHS_OWN)
        ]
        if mistakes:
            raise ConfigError(mistakes)
