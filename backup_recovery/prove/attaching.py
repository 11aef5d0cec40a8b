# SPDX-License-Identifier: Apache-2.0

"""Attach restored volumes to this machine, as cinder-backup would."""

from collections.abc import Iterator
import contextlib
import os
import platform
import shlex
import socket
import sys
import time
from typing import Any

from cinder import utils
from cinder.volume import volume_utils
import os_brick
from oslo_concurrency import processutils
from oslo_config import cfg
from oslo_privsep import priv_context

from backup_recovery import exceptions
from backup_recovery import journals
from backup_recovery import work

CONF = cfg.CONF

#: Events of the journal: before a volume is attached, and after it is not.
ATTACHING, DETACHED = 'attaching', 'detached'
_MODE = 'ro'
_FIRST, _LONGEST = 0.1, 2.0
# What os-brick and the programs that it starts may raise has no common class.
_ERRORS = (os_brick.exception.BrickException, OSError,
           processutils.ProcessExecutionError)


class Host:
    """This machine; Cinder's configuration has been read.

    :param journal: of the plan
    :param options: how long a volume may take to be detached
    :param basic: describe it without what only root can read, such as the
        name of its iSCSI initiator
    :raises CloudError: it cannot be described
    """

    def __init__(self, journal: journals.Journal, options: work.Options,
                 basic: bool = False):
        self._journal = journal
        self._options = options
        priv_context.init(root_helper=shlex.split(utils.get_root_helper()))
        os_brick.setup(CONF)
        try:
            self._properties = {
                'platform': platform.machine(), 'os_type': sys.platform,
                'ip': CONF.my_ip, 'host': socket.gethostname(),
                'multipath': False, 'do_local_attach': False,
            } if basic else volume_utils.brick_get_connector_properties(
                CONF.use_multipath_for_image_xfer,
                CONF.enforce_multipath_for_image_xfer)
        except _ERRORS as error:
            raise exceptions.CloudError(
                f'os-brick cannot describe this machine ({error}); run this '
                f'as the user of cinder-backup, or with --basic-connector'
            ) from error
        self._attached = set()
        for entry in journal.entries:
            if entry['event'] == ATTACHING:
                self._attached.add(entry['volume'])
            elif entry['event'] == DETACHED:
                self._attached.discard(entry['volume'])

    @contextlib.contextmanager
    def attached(self, session: Any, backup_id: str, volume_id: str
                 ) -> Iterator[str]:
        """Attach a volume, to read it.

        :param session: :class:`..clouds.Session` of its project
        :returns: the path of the device
        :raises Failed: it cannot be attached, or is in use
        """
        if volume_id in self._attached:
            # Of a run that was killed.
            self._detach(session, backup_id, volume_id)
        volume = session.volume(volume_id)
        if volume is None:
            raise work.Failed(f'volume {volume_id} was deleted')
        if volume['status'] != 'available':
            raise work.Failed(
                f'volume {volume_id} is {volume["status"]}, and may have been '
                f'changed since its restore; detach it and run again')
        self._journal.keep(ATTACHING, backup=backup_id, volume=volume_id)
        try:
            with self._connected(session, volume_id) as path:
                yield path
        finally:
            self._detach(session, backup_id, volume_id)

    @contextlib.contextmanager
    def _connected(self, session: Any, volume_id: str) -> Iterator[str]:
        made = session.request('POST', '/attachments', json={'attachment': {
            'volume_uuid': volume_id, 'connector': self._properties,
            'mode': _MODE}})['attachment']
        info = dict(made['connection_info'])
        try:
            connector = volume_utils.brick_get_connector(
                info['driver_volume_type'],
                use_multipath=CONF.use_multipath_for_image_xfer,
                device_scan_attempts=CONF.num_volume_device_scan_tries,
                conn={'driver_volume_type': info['driver_volume_type'],
                      'data': info})
            device = connector.connect_volume(info)
        except (KeyError, *_ERRORS) as error:
            raise work.Failed(f'volume {volume_id} cannot be connected to '
                              f'this machine: {error}') from error
        try:
            path = device['path']
            if not isinstance(path, str | os.PathLike):
                raise work.Failed(
                    f'volume {volume_id} is no device of this machine; '
                    f'attach it and use cinder-backup-verify --restored')
            session.request('POST', f'/attachments/{made["id"]}/action',
                            json={'os-complete': {}})
            yield os.fspath(path)
        finally:
            connector.disconnect_volume(info, device)

    def _detach(self, session: Any, backup_id: str, volume_id: str) -> None:
        """Delete the attachments that this program has made of a volume."""
        found = session.request('GET', '/attachments/detail', params={
            'volume_id': volume_id})['attachments']
        for one in found:
            if not one['instance'] and one['attach_mode'] in (_MODE, None):
                with contextlib.suppress(exceptions.Refused):
                    session.request('DELETE', f'/attachments/{one["id"]}')
        deadline = time.monotonic() + self._options.patience
        interval = _FIRST
        while True:
            volume = session.volume(volume_id)
            if volume is None or volume['status'] == 'available':
                break
            if time.monotonic() > deadline:
                raise work.Failed(f'volume {volume_id} stays '
                                  f'{volume["status"]}: detach it')
            time.sleep(interval)
            interval = min(1.5 * interval, _LONGEST)
        self._journal.write(DETACHED, backup=backup_id, volume=volume_id)
        self._attached.discard(volume_id)
