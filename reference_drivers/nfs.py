# SPDX-License-Identifier: Apache-2.0

"""An NFS share, as Cinder's NFS driver has it."""

import contextlib
import os
import re
import urllib.parse

from cinder import interface
from cinder.backup.drivers import nfs
from oslo_config import cfg

from reference_drivers import default
from reference_drivers import hooks
from reference_drivers import options
from reference_drivers.verification import errors
from reference_drivers.verification import running
from reference_drivers.verification import store as stores

CONF = cfg.CONF

_ESCAPE = re.compile(r'\\([0-7]{3})')


class NFSStore(stores.PosixStore):
    """A directory that is nothing while its share is not mounted."""

    #: Read and not stat(): what is asked of the share itself hangs with it.
    mounts = '/proc/self/mountinfo'

    def url(self, container: str, prefix: str) -> str:
        host, _, path = self.driver.backup_share.rpartition(':')
        place = urllib.parse.quote(
            os.path.join('/', path.lstrip('/'), container, prefix))
        return f'nfs://{host}{place}'

    def mounted(self) -> tuple[str, str] | None:
        """Find the mount at the directory of the backups.

        :returns: type and source of the topmost mount, None for none
        """
        path = os.path.abspath(self.root)
        found = None
        with open(self.mounts) as stream:
            for line in stream:
                before, _, after = line.partition(' - ')
                words, source = before.split(), after.split()
                if len(words) < 5 or len(source) < 2:
                    continue
                point, device = (
                    _ESCAPE.sub(lambda match: chr(int(match[1], 8)), word)
                    for word in (words[4], source[1]))
                if point == path:
                    found = source[0], device
        return found

    def check_available(self) -> None:
        share = self.driver.backup_share
        found = self.mounted()
        if found is None:
            raise errors.Unreadable(
                f'share {share} is not mounted at {self.root}', share)
        kind, device = found
        if (not kind.startswith('nfs') or
                device.rstrip('/') != share.rstrip('/')):
            raise errors.Unreadable(
                f'{device} of type {kind} is mounted at {self.root} instead '
                f'of share {share}', share)
        super().check_available()


@interface.backupdriver
class NFSBackupDriver(default.ConfinedMixin, hooks.VerifyMixin,
                      nfs.NFSBackupDriver):
    """Backups on an NFS share, with records that can be trusted."""

    store_kind = 'nfs'

    def _init_backup_repo_path(self) -> str | None:
        """Mount the share, where it is not mounted yet.

        Cinder's manager makes a driver for each request, and the first that
        one does is to look at the directory or to mount it: with a server
        that does not answer neither ends, and no request would.

        :raises TimedOut: the server has not answered in time
        :raises Unreadable: the share cannot be looked at
        """
        share = self.backup_share
        if share is None:
            return super()._init_backup_repo_path()
        timeout = CONF[options.GROUP].timeout
        try:
            # Not by the thread of Cinder: under eventlet it is the only one.
            running.within(timeout, f'share {share}', self._look, share)
            return running.waiting(timeout, f'share {share}',
                                   super()._init_backup_repo_path)
        except OSError as err:
            raise errors.Unreadable(
                f'share {share} cannot be used: {err}', share) from err

    def _look(self, share: str) -> None:
        client = nfs.remotefs_brick.RemoteFsClient(
            'nfs', self._root_helper,
            nfs_mount_point_base=self.backup_mount_point_base,
            nfs_mount_options=self.mount_options)
        # To open it asks the server, where stat() may be content with what
        # the kernel has kept. What Cinder does next is to stat() it, in a
        # thread that nothing can interrupt: that is now answered at once.
        # Yes and no are both an answer.
        with contextlib.suppress(OSError):
            os.close(os.open(client.get_mount_point(share),
                             os.O_RDONLY | os.O_DIRECTORY))

    def get_store(self) -> NFSStore:
        return NFSStore(self)

    def put_container(self, container: str) -> None:
        # Or the backup would fill the disk of the host, and be hidden by
        # the share when that is mounted again.
        self.get_store().check_available()
        super().put_container(container)
