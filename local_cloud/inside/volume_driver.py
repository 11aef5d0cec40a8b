# SPDX-License-Identifier: Apache-2.0

"""Volumes as sparse files of one directory, with os-brick's connector."""

import contextlib
import errno
import os
import subprocess

from cinder import exception
from cinder import interface
from cinder.image import image_utils
from cinder.volume import configuration
from cinder.volume import driver
from oslo_config import cfg
from oslo_utils import units

OPTIONS = [
    cfg.StrOpt('sparse_file_directory',
               help='Directory of the files that are the volumes. It must '
                    'exist; the driver does not start without it.'),
]

cfg.CONF.register_opts(OPTIONS, group=configuration.SHARED_CONF_GROUP)

_COPY_SIZE = 4 * units.Mi
_ZEROS = bytes(_COPY_SIZE)
# The end of the name of a file that is to replace a volume.
_REVERTED = '.revert'


class SparseWriter:
    """A file that is written like a device, and stays sparse over zeros.

    Zeros over a hole stay a hole; zeros over data are written, so that the
    old content does not shine through.
    """

    def __init__(self, path: str, size: int):
        self._descriptor = os.open(path, os.O_WRONLY)
        self._position = 0
        self._size = size

    def write(self, data: bytes) -> int:
        """Write the next bytes, all of them."""
        view = memoryview(data)
        if self._position + len(view) > self._size:
            raise exception.ImageUnacceptable(
                image_id='', reason='the image is larger than the volume')
        for start in range(0, len(view), _COPY_SIZE):
            part = view[start:start + _COPY_SIZE]
            if part == _ZEROS[:len(part)]:
                _write_zeros(self._descriptor, self._position, len(part))
            else:
                _write_all(self._descriptor, part, self._position)
            self._position += len(part)
        return len(view)

    def flush(self) -> None:
        """Nothing: no byte is held back."""

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def _write_all(descriptor: int, data: bytes | memoryview,
               offset: int) -> None:
    # On a disk that becomes full, a write may take a part and be content.
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view = view[written:]
        offset += written


def _write_zeros(descriptor: int, offset: int, length: int) -> None:
    """Make a range read as zeros, without a byte where there was a hole."""
    end = offset + length
    while offset < end:
        try:
            offset = os.lseek(descriptor, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # no data from here to the end
            raise
        if offset >= end:
            return
        stop = min(os.lseek(descriptor, offset, os.SEEK_HOLE), end)
        _write_all(descriptor, _ZEROS[:stop - offset], offset)
        offset = stop


@interface.volumedriver
class SparseFileDriver(driver.VolumeDriver):
    """Volumes as sparse files, for a cloud of one machine.

    Needs no root and no kernel module. The connection is os-brick's
    ``local``: its clients must see the same file system.
    """

    VERSION = '1.0.0'
    CI_WIKI_NAME = 'cinder-backup-recovery-tests'
    #: As in the statistics.
    protocol = 'local'

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(OPTIONS)

    @staticmethod
    def get_driver_options():
        return OPTIONS

    def check_for_setup_error(self) -> None:
        directory = self.configuration.sparse_file_directory
        if not directory or not os.path.isdir(directory):
            raise exception.VolumeBackendAPIException(
                data=f'sparse_file_directory {directory} does not exist')

    # Paths and files

    def _path(self, resource) -> str:
        return os.path.join(self.configuration.sparse_file_directory,
                            resource.name)

    def local_path(self, volume) -> str:
        return self._path(volume)

    @contextlib.contextmanager
    def _new(self, resource):
        """The path of a new file, which is removed when making it fails."""
        path = self._path(resource)
        if os.path.exists(path):
            raise exception.VolumeBackendAPIException(
                data=f'{path} exists already')
        try:
            yield path
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            raise

    def _copy(self, source: str, target: str) -> None:
        try:
            subprocess.run(
                ['cp', '--reflink=auto', '--sparse=always', '--', source,
                 target], check=True, capture_output=True, text=True)
        except subprocess.CalledProcessError as error:
            raise exception.VolumeBackendAPIException(
                data=f'copying {source}: {error.stderr.strip()}') from error

    # Volumes

    def create_volume(self, volume) -> None:
        with self._new(volume) as path, open(path, 'xb') as file:
            file.truncate(volume.size * units.Gi)

    def delete_volume(self, volume) -> None:
        for path in (self._path(volume), self._path(volume) + _REVERTED):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def extend_volume(self, volume, new_size: int) -> None:
        os.truncate(self._path(volume), new_size * units.Gi)

    def create_cloned_volume(self, volume, src_vref) -> None:
        with self._new(volume) as path:
            self._copy(self._path(src_vref), path)
            os.truncate(path, volume.size * units.Gi)

    # Snapshots

    def create_snapshot(self, snapshot) -> None:
        with self._new(snapshot) as path:
            self._copy(self._path(snapshot.volume), path)

    def delete_snapshot(self, snapshot) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(snapshot))

    def create_volume_from_snapshot(self, volume, snapshot) -> None:
        with self._new(volume) as path:
            self._copy(self._path(snapshot), path)
            os.truncate(path, volume.size * units.Gi)

    def revert_to_snapshot(self, context, volume, snapshot) -> None:
        path = self._path(volume)
        new = path + _REVERTED
        try:
            self._copy(self._path(snapshot), new)
            os.truncate(new, volume.size * units.Gi)
            os.replace(new, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(new)
            raise

    # Images

    def clone_image(self, context, volume, image_location, image_meta,
                    image_service) -> tuple[dict | None, bool]:
        """Read a raw image straight into the volume.

        Cinder's own way writes it into a temporary file first, looks at that
        with qemu-img, which may not be there, and copies it.
        """
        if image_meta['disk_format'] != 'raw' or (
                image_meta.get('container_format') == 'compressed'):
            return None, False
        self.create_volume(volume)
        try:
            self.copy_image_to_volume(context, volume, image_service,
                                      image_meta['id'])
        except BaseException:
            self.delete_volume(volume)
            raise
        return None, True

    def copy_image_to_volume(self, context, volume, image_service, image_id,
                             disable_sparse: bool = False) -> None:
        path = self._path(volume)
        size = volume.size * units.Gi
        if image_service.show(context, image_id)['disk_format'] == 'raw':
            self._write(path, size, lambda target: image_service.download(
                context, image_id, target))
            return
        # Anything else has to be converted, which needs qemu-img; Cinder's
        # own message says so where there is none.
        with image_utils.temporary_file() as raw:
            image_utils.fetch_to_raw(
                context, image_service, image_id, raw,
                self.configuration.volume_dd_blocksize, size=volume.size,
                run_as_root=False)
            with open(raw, 'rb') as source:
                self._write(path, size, lambda target: [
                    target.write(data) for data in
                    iter(lambda: source.read(_COPY_SIZE), b'')])

    @staticmethod
    def _write(path: str, size: int, fill) -> None:
        target = SparseWriter(path, size)
        try:
            fill(target)
        finally:
            target.close()

    def copy_volume_to_image(self, context, volume, image_service,
                             image_meta) -> None:
        image_utils.upload_volume(context, image_service, image_meta,
                                  self._path(volume), run_as_root=False)

    # Connections

    def _nothing(self, *args, **kwargs) -> None:
        """Nothing is exported: the connection is a path."""

    ensure_export = create_export = remove_export = _nothing
    create_export_snapshot = remove_export_snapshot = _nothing

    def initialize_connection(self, resource, connector, **kwargs) -> dict:
        return {'driver_volume_type': 'local',
                'data': {'device_path': self._path(resource)}}

    initialize_connection_snapshot = initialize_connection

    def terminate_connection_snapshot(self, snapshot, connector,
                                      **kwargs) -> None:
        pass

    def terminate_connection(self, volume, connector, **kwargs) -> None:
        # A client that treated the file as a file may have cut it.
        path = self._path(volume)
        with contextlib.suppress(FileNotFoundError):
            if os.path.getsize(path) < volume.size * units.Gi:
                os.truncate(path, volume.size * units.Gi)

    # Statistics

    def _update_volume_stats(self) -> None:
        system = os.statvfs(self.configuration.sparse_file_directory)
        total = system.f_blocks * system.f_frsize / units.Gi
        free = system.f_bavail * system.f_frsize / units.Gi
        self._stats = {
            'volume_backend_name':
                self.configuration.safe_get('volume_backend_name'),
            'vendor_name': 'OpenStack',
            'driver_version': self.VERSION,
            'storage_protocol': self.protocol,
            'total_capacity_gb': round(total, 2),
            'free_capacity_gb': round(free, 2),
            'reserved_percentage':
                self.configuration.safe_get('reserved_percentage'),
            'max_over_subscription_ratio':
                self.configuration.safe_get('max_over_subscription_ratio'),
            'thin_provisioning_support': True,
            'thick_provisioning_support': False,
            'provisioned_capacity_gb': self._provisioned(),
            'multiattach': False,
            'sparse_copy_volume': True,
            'QoS_support': False,
        }

    def _provisioned(self) -> float:
        with os.scandir(self.configuration.sparse_file_directory) as files:
            sizes = []
            for file in files:
                with contextlib.suppress(FileNotFoundError):
                    sizes.append(file.stat().st_size)
        return round(sum(sizes) / units.Gi, 2)


@interface.volumedriver
class PlainFileDriver(SparseFileDriver):
    """The same, as Cinder's drivers for NFS and other shares have volumes.

    A client that cuts the file leaves a volume that is too short.
    """

    protocol = 'file'

    def terminate_connection(self, volume, connector, **kwargs) -> None:
        pass
