# SPDX-License-Identifier: Apache-2.0

"""The volumes and the snapshots of a cloud in this process: files."""

import hashlib
import os
from typing import Any

from cinder import context as cinder_context
from cinder import objects

from backup_model import engine as engines
from backup_model import history
from reference_drivers.contract import environment
from reference_drivers.histories import parts

_BLOCK = 32768


def _bytes(size: int) -> int:
    """The size of the file for a volume of so many GiB."""
    return size * engines.BLOCKS * _BLOCK


class Volumes(parts.Part):
    """The actions of cinder-volume and of the users of volumes."""

    def __init__(self) -> None:
        super().__init__()
        # The numbers of the contents that were written.
        self._blocks: dict[bytes, int] = {}

    def create_volume(self, actor: str, size: int) -> str:
        return self._volume(parts.PROJECTS[history.project_of(actor)], actor,
                            size).id

    def _volume(self, project: str, user: str, size: int) -> objects.Volume:
        context = cinder_context.RequestContext(
            user_id=user, project_id=project, is_admin=True)
        volume = objects.Volume(
            context, size=size, status='available', user_id=user,
            project_id=project, host=environment.CONF.host,
            attach_status='detached', availability_zone='nova',
            volume_type_id=self._type_id, use_quota=False)
        volume.create()
        self.cinder.write_volume(volume.id, b'')
        self._seen = None
        return volume

    def _create_of_restore(self, context: Any, size: int, *names: Any
                           ) -> Any:
        """In place of cinder-volume."""
        return self._volume(context.project_id, context.user_id, size)

    def write(self, volume: str, content: engines.Content) -> None:
        self.cinder.write_volume(volume, b''.join(map(self._block, content)))

    def read(self, volume: str) -> engines.Content:
        data = self.cinder.read_volume(volume)
        (size,), = self._database.execute(
            'SELECT size FROM volumes WHERE id = ?', (volume,))
        data = data.ljust(_bytes(size), b'\0')
        return tuple(
            self._blocks.get(data[start:start + _BLOCK], engines.GARBAGE)
            for start in range(0, len(data), _BLOCK))

    def _block(self, number: int) -> bytes:
        made = hashlib.sha256(b'%d' % number).digest() * (_BLOCK // 32)
        made = made if number else bytes(_BLOCK)
        self._blocks[made] = number
        return made

    def snapshot(self, actor: str, volume: str) -> str:
        self._seen = None
        context = cinder_context.RequestContext(
            user_id=actor, is_admin=True,
            project_id=parts.PROJECTS[history.project_of(actor)])
        size = objects.Volume.get_by_id(context, volume).size
        snapshot = objects.Snapshot(
            context, volume_id=volume, status='available', volume_size=size,
            user_id=actor, project_id=context.project_id,
            display_name='snapshot', use_quota=False,
            volume_type_id=self._type_id)
        snapshot.create()
        self.cinder.write_volume(snapshot.id,
                                 self.cinder.read_volume(volume))
        return snapshot.id

    def extend_volume(self, volume: str, size: int) -> None:
        self._seen = None
        one = objects.Volume.get_by_id(
            cinder_context.get_admin_context(), volume)
        one.size = size
        one.save()
        os.truncate(self.cinder.path(volume), _bytes(size))

    def attach(self, volume: str) -> None:
        self._use(volume, 'in-use', 'attached')

    def detach(self, volume: str) -> None:
        self._use(volume, 'available', 'detached')

    def _use(self, volume: str, status: str, attach_status: str) -> None:
        self._seen = None
        one = objects.Volume.get_by_id(
            cinder_context.get_admin_context(), volume)
        one.update({'status': status, 'attach_status': attach_status})
        one.save()

    def delete_volume(self, volume: str) -> None:
        self._seen = None
        context = cinder_context.get_admin_context()
        for one in objects.SnapshotList.get_all_for_volume(context, volume):
            one.destroy()
        objects.Volume.get_by_id(context, volume).destroy()
