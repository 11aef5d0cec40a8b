# SPDX-License-Identifier: Apache-2.0

"""Work on one backup of a plan: its options, and how it fails."""

import dataclasses
import threading

from backup_recovery import exceptions
from backup_recovery import signing


class Interrupted(Exception):
    """The run ends before the work does."""


class Failed(exceptions.RecoveryError):
    """A backup is not imported, or not restored."""


class Late(Failed):
    """It is not in time."""


class NotAllowed(Failed):
    """The user may not work in this project."""


@dataclasses.dataclass
class Options:
    """Options for the import or the restore of a backup.

    :ivar patience: seconds that one may take
    :ivar retry: delete what attempts have left that failed, and try again
    :ivar stop: set it to end the run
    :ivar signers: of which one has to have signed the file of records; None
        takes any
    """

    patience: float
    retry: bool = False
    stop: threading.Event = dataclasses.field(default_factory=threading.Event)
    signers: signing.Signers | None = None
