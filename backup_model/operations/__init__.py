# SPDX-License-Identifier: Apache-2.0

"""What users, administrators and disasters do, one class an operation.

Each class draws the arguments of a step, sends its request, and remembers in
the :class:`.world.World` what was accepted.
"""

from collections.abc import Mapping
import random

from backup_model import history
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
    'damage': disasters.Damage(), 'repair': disasters.Repair(),
    'at once': meeting.AtOnce(), 'killed': meeting.Killed(),
    'away': meeting.Away(),
}
base.ALL.update(ALL)


def draw(chance: random.Random, length: int) -> list[history.Step]:
    """Draw a history.

    :param chance: decides everything
    :param length: the number of steps
    """
    names = Names()
    steps: list[history.Step] = []
    kinds = list(ALL)
    weights = [ALL[kind].weight for kind in kinds]
    # Most requests are of one project.
    mixed = 0.0 if chance.random() < 0.5 else 0.3
    while len(steps) < length:
        kind = 'create volume'
        if steps:
            kind, = chance.choices(kinds, weights)
        operation = ALL[kind]
        arguments = operation.draw(chance, names)
        if arguments is not None:
            steps.append(history.Step(
                kind, chance.choice([
                    one for one in history.ACTORS[
                        2 if chance.random() < mixed else 0:][:2]
                    if history.is_admin(one) or not operation.admin
                ]) if operation.request else '', arguments))
    return steps
