# SPDX-License-Identifier: Apache-2.0

"""Operations of histories that no cloud carries out which others use."""

from collections.abc import Collection
import contextlib

from cinder_backup_recovery_tests import exceptions


class OnlyInProcess:
    """A part of an engine that refuses these operations."""

    def lose_database(self) -> None:
        raise _refused('the loss of the whole database')

    def second_site(self, objects: Collection[str]
                    ) -> contextlib.AbstractContextManager[None]:
        raise _refused('a second site')


def _refused(what: str) -> Exception:
    return exceptions.InvalidConfiguration(
        f'a history with {what} is not for a cloud that others use: replay '
        f'it with cinder-backup-histories')
