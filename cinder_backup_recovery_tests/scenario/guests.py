# SPDX-License-Identifier: Apache-2.0

"""A server with a volume, as its user sees it: over ssh."""

from collections.abc import Iterator
import contextlib
import time
from typing import Protocol

from cinder_backup_recovery_tests import exceptions

_MOUNT = '/mnt/backup-recovery'
_FILES = 3
_KIB = 4096


class Remote(Protocol):
    """Runs commands in a server; Tempest's client for ssh is one."""

    def exec_command(self, cmd: str) -> str:
        """Run a command line in the server's shell, and give its output."""


class Guest:
    """Actions of a server's user.

    With programs that the smallest of images for tests have.

    :param interval: seconds between two lists of its disks
    :param timeout: seconds after which a disk is missed that was attached
    """

    def __init__(self, remote: Remote, interval: float = 1,
                 timeout: float = 300) -> None:
        self._remote = remote
        self._interval = interval
        self._timeout = timeout

    def disks(self) -> set[str]:
        """The names of its disks, without their partitions."""
        return set(self._remote.exec_command('ls /sys/block').split())

    def new_disk(self, before: set[str]) -> str:
        """Wait for the disk of a volume that is being attached.

        It may have another name than the requested one.

        :raises WaitTimeout: no disk came
        """
        deadline = time.monotonic() + self._timeout
        while True:
            new = sorted(self.disks() - before)
            if new:
                return new[0]
            if time.monotonic() > deadline:
                raise exceptions.WaitTimeout(
                    f'a volume was attached, but the server has no disk more '
                    f'than {", ".join(sorted(before))} after '
                    f'{self._timeout:g} s')
            time.sleep(self._interval)

    def format(self, disk: str) -> None:
        """Make a file system on a disk."""
        self._remote.exec_command(f'sudo mkfs -t ext4 /dev/{disk}')

    @contextlib.contextmanager
    def mounted(self, disk: str) -> Iterator[None]:
        """Mount a disk, and unmount it in the end."""
        self._remote.exec_command(
            f'sudo mkdir -p {_MOUNT} && sudo mount -t ext4 /dev/{disk} '
            f'{_MOUNT}')
        try:
            yield
        finally:
            self._remote.exec_command(f'sudo umount {_MOUNT}')

    def write(self, name: str) -> None:
        """Write files of random data, up to the disk itself."""
        for number in range(_FILES):
            # Of sizes that are no multiple of a block.
            self._remote.exec_command(
                f'sudo dd if=/dev/urandom of={_MOUNT}/{name}-{number} '
                f'bs=1021 count={_KIB * (number + 1)}')
        self._remote.exec_command('sync')

    def checksums(self) -> str:
        """The checksum and the name of each file, one in a line."""
        # Not of what is remembered of them, but of the disk.
        self._remote.exec_command(
            "sync; sudo sh -c 'echo 3 > /proc/sys/vm/drop_caches'")
        return self._remote.exec_command(
            f"sudo sh -c 'cd {_MOUNT} && sha1sum *-*'").strip()
