"""Signatures of a pushed image, beside it in its registry."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from hatch_oci.attaching import attach
from hatch_oci.errors import OCIError
from hatch_oci.image.descriptor import Descriptor
from hatch_oci.image.digest import Digest
from hatch_oci.image.reference import Reference
from hatch_oci.output.reading import StoredImage
from hatch_oci.registry.push import Blob, Destination
from hatch_oci.registry.transport import Transport
from hatch_oci.report import format_number
from hatch_oci.trust.claims import claims_of
from hatch_oci.trust.signers import Signer


def sign_image(image: StoredImage, repository: str, signer: Signer, transport: Transport) -> tuple[Digest, ...]:
    """Sign an image that was pushed to `repository`, and the documents that go with it.

    An `OCIError` where the signer fails or the registry does not take what it made; the image stays where it is.
    """
    place = Reference.parse(f"{repository}@{image.top.digest}")
    destination = Destination(transport, place.registry, place.repository)
    top = Descriptor(image.top.media_type, image.top.digest, len(image.top.raw))
    claims = list(claims_of(top, image.artifacts, repository))
    try:
        transport.reporter.info(f"Signing the image and {format_number(len(claims) - 1, 'document')}")
        # All of them, before the first is there: half of the signatures would look like all.
        signatures = list(signer(claims))
        for digest, content in {digest: data for one in signatures for digest, data in one.blobs.items()}.items():
            if not destination.has(digest):
                destination.put_blob(Blob(digest, len(content), partial(_whole, content)))
        attach(signatures, destination)
    except OCIError as error:
        message = f"{repository} has the image, but not signed: {error}"
        raise OCIError(message) from error
    return tuple(one.digest for one in signatures)


def _whole(content: bytes) -> Iterator[bytes]:
    yield content
