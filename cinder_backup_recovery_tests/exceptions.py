# SPDX-License-Identifier: Apache-2.0
"""Exceptions, one class for each cause that a caller distinguishes.

The message of each is one line without secrets; the program that catches one
prints it unchanged.
"""


def one_line(error: object) -> str:
    """The message of an exception in one line; its class if it has none."""
    return ' '.join(str(error).split()) or type(error).__name__


class BackupRecoveryError(Exception):
    """Anything that the suite's own parts refuse or fail at."""


class KitError(BackupRecoveryError):
    """The kit or its set-up is wrong, or refuses to do something.

    It proves nothing about the driver: the test counts as an error, not as a
    failure of the driver.

    :cvar configuration: whether it is the same for each test, because its
        cause is the configuration
    """

    configuration = False


class InvalidRecord(BackupRecoveryError):
    """A backup record cannot be decoded or contradicts itself (level L0)."""


class NotInLedger(KitError):
    """A change of a resource that this suite did not create."""


class InvalidConfiguration(KitError):
    """An option has an invalid value."""

    configuration = True


class DatabaseUnreachable(KitError):
    """Cinder's database does not answer, or refuses the credentials."""

    configuration = True


class NotCinderDatabase(KitError):
    """The database answers but lacks the tables or columns of Cinder."""

    configuration = True


class RowsMismatch(BackupRecoveryError):
    """The rows are not as expected; the database was not changed."""


class ForeignBackup(BackupRecoveryError):
    """A backup belongs to another project; the database was not changed."""


class RowRemovalCommandFailed(KitError):
    """The operator's command for rows failed, or took too long."""

    configuration = True


class DatabaseLossFailed(KitError):
    """The operator's command did not give Cinder an empty database."""


class ServiceCommandFailed(KitError):
    """The operator's command for cinder-backup failed, or took too long."""


class ContentMismatch(BackupRecoveryError):
    """A volume does not hold the bytes that it must hold (level L3).

    :ivar kinds: all kinds of differences, as the comparison names them
    """

    kinds: frozenset[str] = frozenset()


class ResourceFailed(BackupRecoveryError):
    """A resource went into an error status while it was waited for."""


class WaitTimeout(BackupRecoveryError):
    """A resource did not reach the wanted status in time."""


class MomentMissed(KitError):
    """Two events did not meet as a test needs it: nothing was judged."""


class LedgerCorrupt(KitError):
    """A line of the ledger cannot be read; what it owned is not known."""

    configuration = True


class StoreFailed(KitError):
    """The storage of the backups failed."""


class StoreRefused(KitError):
    """A record names objects that may be another backup's; none is touched."""
