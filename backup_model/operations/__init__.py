# SPDX-License-Identifier: Apache-2.0

"""Operations of users, administrators and disasters, a class for each.

Each class draws the arguments of a step, sends its request, and remembers in
the :class:`.world.World` what was accepted.
"""

from collections.abc import Mapping

from backup_model.operations import backups
from backup_model.operations import base
from backup_model.operations import disasters
from backup_model.operations import meeting
from backup_model.operations import quotas
from backup_model.operations import records
from backup_model.operations import volumes

Names = base.Names
Operation = base.Operation
Inner = meeting.Inner
Ship = records.Ship

ALL: Mapping[str, Operation] = {
    'create volume': volumes.CreateVolume(), 'write': volumes.Write(),
    'snapshot': volumes.Snapshot(), 'extend': volumes.Extend(),
    'delete volume': volumes.DeleteVolume(), 'attach': volumes.Attach(),
    'detach': volumes.Detach(), 'transfer': volumes.Transfer(),
    'set quota': quotas.SetQuota(),
    'create backup': backups.CreateBackup(), 'rename': backups.Rename(),
    'export': records.Export(), 'lose rows': records.Lose(),
    'lose database': records.LoseDatabase(), 'ship': records.Ship(),
    'import': records.Import(),
    'restore': backups.Restore(), 'delete': backups.Delete(),
    'force delete': backups.ForceDelete(),
    'reset status': backups.ResetStatus(),
    'damage': disasters.Damage(), 'remove': disasters.Remove(),
    'repair': disasters.Repair(),
    'at once': meeting.AtOnce(), 'killed': meeting.Killed(),
    'away': meeting.Away(),
}
base.ALL.update(ALL)
