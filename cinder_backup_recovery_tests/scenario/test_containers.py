# SPDX-License-Identifier: Apache-2.0

"""Backups in containers that users name."""

from typing import Any

from tempest.lib import decorators
from tempest.lib import exceptions as lib_exc

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.scenario import backups
from cinder_backup_recovery_tests.scenario import base

# Each has something that a path, a URL or a line of text may lose. The same in
# all runs: a container stays when its last backup is deleted.
NAMES = (' recovery-tests', 'recovery-tests//b', './recovery-tests\n')


class ContainerTest(base.RecoveryScenario):
    """A user names the container of a backup."""

    needed_features = ('row_loss_hard',)

    @classmethod
    def resource_setup(cls) -> None:
        """Make the volume that is backed up."""
        super().resource_setup()
        cls.content_layout = cls.layout(backups.OURS)
        cls.volume_id = cls.class_content.create_volume(cls.content_layout)

    @decorators.idempotent_id('d2b0a8c7-3f0e-4c1b-8a57-6f4f5a2d9e13')
    def test_containers_that_users_name(self) -> None:
        """A backup is refused when it is made, or it is recovered.

        Cinder's API takes any name of up to 255 characters. If it fails, a
        member who mistypes one has a backup that says available and that
        can't be exported, restored or deleted.
        """
        links = [link for name in NAMES if (link := self._made_in(name))]
        if not links:
            # A driver whose containers an operator makes, as that of Ceph.
            return
        self.lose_and_import(links)
        for link in links:
            self.restore_and_compare(link)
            with self.story.step(f'delete {link.what} {link.backup_id}'):
                self.resources.remove(clients.BACKUP, link.backup_id)

    def _made_in(self, name: str) -> Any:
        """Return the backup that was made in a container, None if refused."""
        try:
            made = self.resources.create_backup(self.volume_id,
                                                container=name)
        except (lib_exc.BadRequest, exceptions.ResourceFailed) as refused:
            self.story.note(f'container {name!r} is refused: {refused}')
            return None
        return self.link(f'backup in container {name!r}',
                         self.content_layout, made['id'])
