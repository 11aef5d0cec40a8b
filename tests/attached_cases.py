# SPDX-License-Identifier: Apache-2.0

"""The scenario of a server's volume, with a stand-in for the server.

Attachments by os-brick and a file system without a mount take the place of
Nova and its guest; the rest is the scenario itself, on a real Cinder.
"""

import contextlib
import hashlib
import os
import subprocess
import tempfile

from cinder_backup_recovery_tests.scenario import test_attached


def _run(*command):
    return subprocess.run(
        command, check=True, capture_output=True,
        env={**os.environ, 'PATH': f'{os.environ["PATH"]}:/sbin:/usr/sbin'},
    ).stdout


class Guest:
    """Writes to disks of this machine, with what e2fsprogs has."""

    def __init__(self):
        self.paths = []

    def disks(self):
        return set(self.paths)

    def new_disk(self, before):
        disk, = set(self.paths) - before
        return disk

    def format(self, disk):
        _run('mke2fs', '-q', '-F', '-t', 'ext4', disk)

    @contextlib.contextmanager
    def mounted(self, disk):
        self.disk = disk
        yield
        # Nothing is wrong with it: -n says so by its exit status.
        _run('e2fsck', '-n', '-f', disk)

    def write(self, name):
        for number in range(3):
            with tempfile.NamedTemporaryFile() as file:
                file.write(os.urandom(1021 * 1024 * (number + 1)))
                file.flush()
                _run('debugfs', '-w', '-R',
                     f'write {file.name} {name}-{number}', self.disk)

    def checksums(self):
        # /inode/mode/user/group/name/size/
        names = [line.split('/')[5] for line in
                 _run('debugfs', '-R', 'ls -p', self.disk).decode().split('\n')
                 if line.count('/') > 5]
        return '\n'.join(
            hashlib.sha1(_run('debugfs', '-R', f'cat {name}',
                              self.disk)).hexdigest() + f' {name}'
            for name in sorted(names) if '-' in name)


class AttachedVolumeTest(test_attached.AttachedVolumeTest):
    def _boot(self):
        self.guest, self.attached = Guest(), {}
        return {'id': 'stand-in'}, self.guest

    def nova_volume_attach(self, server, volume_to_attach, **kwargs):
        host = self.content.host
        attachment = self.resources.attach(volume_to_attach['id'],
                                           host.properties())
        info = host.complete(attachment['connection_info'])
        path = host.connector(info).connect_volume(info)['path']
        self.resources.api.attachments.complete_attachment(attachment['id'])
        self.attached[volume_to_attach['id']] = (attachment, path)
        self.guest.paths.append(path)

    def nova_volume_detach(self, server, volume, servers_client=None):
        attachment, path = self.attached.pop(volume['id'])
        self.resources.detach(attachment)
        self.guest.paths.remove(path)
