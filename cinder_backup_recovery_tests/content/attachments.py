# SPDX-License-Identifier: Apache-2.0

"""The content of volumes through os-brick, where this machine may connect."""

from collections.abc import Iterator
import contextlib
import dataclasses
import errno
import io
import os
import platform
import socket
import sys
from typing import Any
from typing import BinaryIO
from typing import cast

from oslo_concurrency import lockutils  # noqa: F401 registers lock_path
from oslo_concurrency import processutils
from oslo_config import cfg

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import facts
from cinder_backup_recovery_tests.cloud import resources as test_resources
from cinder_backup_recovery_tests.content import access
from cinder_backup_recovery_tests.content import layout as content_layout
from cinder_backup_recovery_tests.content import rbd


def _os_brick() -> Any:
    """Import os-brick, which is an extra.

    :raises InvalidConfiguration: if it is not installed
    """
    try:
        import os_brick
        from os_brick.initiator import connector
    except ImportError as exc:
        raise exceptions.InvalidConfiguration(
            f'[cinder_backup_recovery] content_access is attachment, but '
            f'os-brick cannot be imported ({exc}): run "pip install '
            f"'.[attachment]'\" in a clone of this project") from None
    # Its locks lie where Tempest's do.
    os_brick.setup(cfg.CONF)
    return connector


@dataclasses.dataclass(frozen=True)
class Host:
    """This machine, as a host that volumes are attached to."""

    ip: str = '127.0.0.1'
    root_helper: str = 'sudo'
    basic: bool = False
    rbd_keyring: str = ''

    @classmethod
    def from_config(cls, conf: Any) -> 'Host':
        """Create it from the configuration.

        :raises InvalidConfiguration: if os-brick is missing
        """
        _os_brick()
        group = conf.cinder_backup_recovery
        return cls(ip=group.connector_ip, root_helper=group.root_helper,
                   basic=group.connector_properties == 'basic',
                   rbd_keyring=group.rbd_keyring)

    def properties(self) -> dict[str, Any]:
        """Describe this machine to the cloud.

        :raises InvalidConfiguration: if os-brick cannot read them
        """
        if self.basic:
            return {'platform': platform.machine(), 'os_type': sys.platform,
                    'ip': self.ip, 'host': socket.gethostname(),
                    'multipath': False, 'do_local_attach': False}
        connector = _os_brick()
        try:
            return connector.get_connector_properties(
                self.root_helper, self.ip, multipath=False,
                enforce_multipath=False)
        except (OSError, processutils.ProcessExecutionError) as exc:
            raise exceptions.InvalidConfiguration(
                f'os-brick cannot describe this machine with '
                f'[cinder_backup_recovery] root_helper = '
                f'{self.root_helper}: {exc}') from None

    def complete(self, connection_info: dict[str, Any]) -> dict[str, Any]:
        """Add parameters of a connection that only this machine knows.

        :raises InvalidConfiguration: if this machine lacks what it needs
        """
        if connection_info['driver_volume_type'] == rbd.TYPE:
            return rbd.with_key(connection_info, self.rbd_keyring)
        return connection_info

    def connector(self, connection_info: dict[str, Any]) -> Any:
        """Make what connects one kind of volume."""
        connector = _os_brick()
        return connector.InitiatorConnector.factory(
            connection_info['driver_volume_type'], self.root_helper,
            use_multipath=False, conn=connection_info)


class AttachmentContent(access.VolumeContent):
    """Volumes that are connected to this machine for a moment."""

    def __init__(self, resources: test_resources.Resources,
                 host: Host) -> None:
        super().__init__(resources)
        self.host = host

    def create_volume(self, layout: content_layout.Layout,
                      **kwargs: Any) -> str:
        """Create an empty volume and write a layout into it."""
        volume = self.resources.create_volume(
            size=access.gigabytes(layout), **kwargs)
        self.rewrite(volume['id'], layout)
        return volume['id']

    def rewrite(self, volume_id: str, layout: content_layout.Layout,
                since: int = 0) -> None:
        """Write the newer extents of a layout into a volume.

        :raises ContentMismatch: if the size of the volume is not the
            layout's before or after it
        """
        with self.resources.story.step(
                f'write generation {layout.generation} into volume '
                f'{volume_id}', facts.WRITE), \
                self._device(volume_id, write=True) as device:
            self._check_size(volume_id, device, layout, 'before')
            device.seek(0)
            layout.write_to(device, since=since)
            device.flush()
            _sync(device)
            self._check_size(volume_id, device, layout, 'after')

    @contextlib.contextmanager
    def read(self, volume_id: str) -> Iterator[BinaryIO]:
        """Connect a volume and read it."""
        with self._device(volume_id, write=False) as device:
            device.seek(0)
            yield device

    @staticmethod
    def _check_size(volume_id: str, device: BinaryIO,
                    layout: content_layout.Layout, when: str) -> None:
        size = device.seek(0, os.SEEK_END)
        if size != layout.size_bytes:
            raise exceptions.ContentMismatch(
                f'volume {volume_id} has {size} bytes {when} it was '
                f'written, not {layout.size_bytes}')

    @contextlib.contextmanager
    def _device(self, volume_id: str, write: bool) -> Iterator[BinaryIO]:
        """Connect a volume to this machine."""
        attachment = self.resources.attach(volume_id, self.host.properties())
        try:
            info = attachment['connection_info']
            if 'driver_volume_type' not in info:
                raise exceptions.ResourceFailed(
                    f'the cloud does not say how volume {volume_id} is '
                    f'connected')
            info = self.host.complete(info)
            connector = self.host.connector(info)
            connected = connector.connect_volume(info)
            try:
                self.resources.api.attachments.complete_attachment(
                    attachment['id'])
                with _opened(connected['path'], write) as device:
                    yield device
            finally:
                connector.disconnect_volume(info, connected)
        finally:
            self.resources.detach(attachment)


class _File(io.FileIO):
    """A volume that is a file, whose holes are zeros without being read.

    The kernel fills a page of its cache for each 4 KiB of a hole that is
    read: two seconds for an empty GiB, in which a comparison takes 0.2.
    """

    def read(self, size: int | None = -1) -> bytes:
        """Read at the position, to the end where no size is given."""
        position = self.tell()
        rest = max(os.fstat(self.fileno()).st_size - position, 0)
        length = rest if size is None or size < 0 else min(size, rest)
        hole = self._hole(position, rest)
        if not hole or hole < length:
            self.seek(position)
            return super().read(length) or b''
        self.seek(position + length)
        return bytes(length)

    def _hole(self, position: int, rest: int) -> int:
        """The length of the hole at a position, 0 where there is none."""
        try:
            return os.lseek(self.fileno(), position,
                            os.SEEK_DATA) - position
        except OSError as exc:
            # No data is past this position; or the file system knows no
            # holes.
            return rest if exc.errno == errno.ENXIO else 0


def _sync(device: BinaryIO) -> None:
    """Bring everything that was written to the storage."""
    try:
        number = device.fileno()
    except OSError:  # an RBD image is no file of the system
        return
    os.fsync(number)


@contextlib.contextmanager
def _opened(path: Any, write: bool) -> Iterator[BinaryIO]:
    """Open the result of a connector: a path, or an open file."""
    if hasattr(path, 'rbd_image'):
        yield cast(BinaryIO, rbd.Device(path.rbd_image, write))
        return
    if not isinstance(path, (str, bytes, os.PathLike)):
        yield cast(BinaryIO, path)
        return
    try:
        device: Any = (
            _File(path) if not write and os.path.isfile(path) else
            open(path, 'r+b' if write else 'rb'))  # noqa: SIM115
    except PermissionError as exc:
        raise exceptions.InvalidConfiguration(
            f'{exc.filename!r} cannot be opened: run the tests as a user who '
            f'may, or set [cinder_backup_recovery] content_access = image'
        ) from None
    with device:
        yield device
