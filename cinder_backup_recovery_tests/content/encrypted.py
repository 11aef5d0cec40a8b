# SPDX-License-Identifier: Apache-2.0

"""The content of encrypted volumes, written and read with their own keys."""

from collections.abc import Iterator
import contextlib
import hashlib
from typing import Any
from typing import BinaryIO
from typing import cast

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import keys as key_manager
from cinder_backup_recovery_tests.cloud import resources as test_resources
from cinder_backup_recovery_tests.content import access
from cinder_backup_recovery_tests.content import attachments
from cinder_backup_recovery_tests.content import layout as content_layout
from cinder_backup_recovery_tests.content import luks


class EncryptedContent(attachments.AttachmentContent):
    """Volumes of an encrypted type, in clear.

    What is read was opened with the key that the key manager has for the
    volume now: a layout that reads back proves that a user can.
    A layout is smaller than its volume by the header, luks.HEADER.

    :param keys: the key manager
    :param headers: digests of the headers that were written; shared by all
        that read and write the same volumes
    """

    def __init__(self, resources: test_resources.Resources,
                 host: attachments.Host, keys: key_manager.Keys,
                 headers: set[str]) -> None:
        super().__init__(resources, host)
        self._keys = keys
        self._headers = headers

    def create_volume(self, layout: content_layout.Layout,
                      **kwargs: Any) -> str:
        """Create an empty volume, format it and write a layout into it."""
        whole = layout.resized(layout.size_bytes + luks.HEADER)
        volume = self.resources.create_volume(
            size=access.gigabytes(whole), **kwargs)
        self.rewrite(volume['id'], layout)
        return volume['id']

    @contextlib.contextmanager
    def _device(self, volume_id: str, write: bool) -> Iterator[BinaryIO]:
        """Connect a volume, and open it with its key; format a new one.

        :raises ContentMismatch: it has no header of ours, or no key that
            opens it
        """
        volume = self.resources.api.show(clients.VOLUME, volume_id)
        if not volume['encrypted']:
            raise exceptions.ContentMismatch(
                f'volume {volume_id} has no key, its type is not encrypted')
        # Cinder does not show that of its fixed key.
        key_id = volume.get('encryption_key_id', key_manager.FIXED_ID)
        phrase = luks.passphrase(self._keys.key(key_id))
        with super()._device(volume_id, write) as device:
            device.seek(0)
            header = device.read(luks.HEADER)
            if write and not header.strip(b'\0'):
                header = luks.make_header(phrase)
                device.seek(0)
                device.write(header)
                self._headers.add(_digest(header))
            key = luks.open_header(header, phrase)
            if key is None:
                raise exceptions.ContentMismatch(
                    f'volume {volume_id} is not opened by its key {key_id}')
            if _digest(header) not in self._headers:
                raise exceptions.ContentMismatch(
                    f'the header of volume {volume_id}, its first '
                    f'{luks.HEADER} bytes, is not the one that was written')
            yield cast(BinaryIO, luks.Device(device, key))


def _digest(header: bytes) -> str:
    return hashlib.sha256(header).hexdigest()
