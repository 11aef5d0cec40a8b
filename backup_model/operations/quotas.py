# SPDX-License-Identifier: Apache-2.0

"""Quotas."""

from backup_model.operations import base
from backup_model.operations import volumes


class SetQuota(base.Operation):
    """An administrator limits a project, or no longer does."""

    admin = True

    def draw(self, chance, names):
        return {'project': chance.choice(volumes.PROJECTS),
                'resource': chance.choice(('backups', 'backup_gigabytes')),
                'limit': chance.choice((-1, 0, 1, 2, 3))}

    def ask(self, world, engine, step):
        return engine.set_quota(step.actor, **step.arguments)

    def learn(self, world, step, answer, before, after):
        if answer.accepted:
            world.limits[step.arguments['project'],
                         step.arguments['resource']] = (
                             step.arguments['limit'])
