# SPDX-License-Identifier: Apache-2.0

"""Operations of histories that are carried out in one process only."""

from collections.abc import Collection
import contextlib

from backup_model import engine as engines
from cinder_backup_recovery_tests import exceptions

#: Their names.
OPERATIONS = ('attach', 'detach', 'transfer', 'set quota', 'lose database',
              'ship', 'away')


class OnlyInProcess:
    """A part of an engine that refuses these operations."""

    def attach(self, volume: str) -> None:
        raise _refused('a volume in use')

    def detach(self, volume: str) -> None:
        raise _refused('a volume in use')

    def transfer(self, volume: str, giver: str, taker: str) -> None:
        raise _refused('a transfer')

    def set_quota(self, actor: str, project: str, resource: str, limit: int
                  ) -> engines.Answer:
        raise _refused('another quota')

    def lose_database(self) -> None:
        raise _refused('the loss of the whole database')

    def second_site(self, objects: Collection[str]
                    ) -> contextlib.AbstractContextManager[None]:
        raise _refused('a second site')

    def away(self, after: int) -> contextlib.AbstractContextManager[None]:
        raise _refused('a storage that is away')


def _refused(what: str) -> Exception:
    return exceptions.InvalidConfiguration(
        f'a history with {what} is not for a cloud that others use: replay '
        f'it with cinder-backup-histories')
