# SPDX-License-Identifier: Apache-2.0

"""Recoveries while the source of the backup has no rows."""

from collections.abc import Iterator
import contextlib

from tempest import config
from tempest.lib import exceptions as lib_exc

from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.rows import base as rows_base
from cinder_backup_recovery_tests.rows import temporary
from cinder_backup_recovery_tests.scenario import base

CONF = config.CONF


class SourceLossScenario(base.RecoveryScenario):
    """Base of the recoveries without the source's rows."""

    @classmethod
    def setup_clients(cls) -> None:
        """Check the access to rows before anything is created."""
        super().setup_clients()
        if CONF.cinder_backup_recovery_feature_enabled.source_row_loss:
            cls.rows.check(clients.VOLUME, clients.SNAPSHOT)

    @contextlib.contextmanager
    def lost_sources(self, kind: str, volume_id: str,
                     snapshot_id: str | None = None) -> Iterator[None]:
        """Delete the rows of a source, and restore them in the end."""
        lost = [(clients.SNAPSHOT, snapshot_id)] if snapshot_id else []
        lost.append((clients.VOLUME, volume_id))
        before = [self.cloud.show(what, one) for what, one in lost]
        with contextlib.ExitStack() as stack:
            for what, one in lost:
                with self.story.step(f'{kind} loss of the rows of {what} '
                                     f'{one}'):
                    stack.enter_context(temporary.lost(
                        self.rows, self.ledger, what, one, kind,
                        self.project_id))
                self._assert_source_lost(what, one, kind)
            yield
        with self.story.step('the source has its rows back'):
            self.assertEqual(
                before, [self.cloud.show(what, one) for what, one in lost])

    def _assert_source_lost(self, what: str, resource_id: str,
                            kind: str) -> None:
        self.assertEqual(
            rows_base.GONE[kind],
            self.rows.state(what, resource_id),
            f'{what} {resource_id} still has its row after the {kind} loss '
            f'of it')
        self.assertRaises(lib_exc.NotFound, self.cloud.show, what,
                          resource_id)
