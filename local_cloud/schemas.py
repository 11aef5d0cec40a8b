# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The empty databases of Cinder: at first, and after a loss.

On SQLite, they come from the template with those of the other services. On a
server, Cinder makes the schema once for each set of versions, and what was
dumped then is kept with the template.
"""

import os
import shutil

from local_cloud import console
from local_cloud import exceptions
from local_cloud import settings
from local_cloud import template
from local_cloud.machine import state as cloud_state
from local_cloud.services import cinder
from local_cloud.services import database


def fill(state: cloud_state.State, say: console.Console) -> None:
    """Make the databases of a new cloud on its server, which runs.

    :param state: the cloud, whose template there is
    :raises ServiceFailed: if Cinder cannot make its schema
    """
    first = database.dumped(state)
    first.parent.mkdir(mode=0o700, exist_ok=True)
    kind = f'{settings.database_kind(state)}-{database.version(state)}'
    with template.locked(state, say) as directory:
        kept = directory / f'cinder.{kind}.sql'
        if not kept.exists():
            with say.step(f'making the schema for {kind}'):
                _make(state)
                new = kept.with_suffix('.new')
                database.server(state).dump(
                    settings.database_name(cinder.NAME), new)
                os.replace(new, kept)
        shutil.copyfile(kept, first)
    with say.step("Cinder's databases"):
        for service in template.cinders(state):
            renew(state, service)


def _make(state: cloud_state.State) -> None:
    database.server(state).create(settings.database_name(cinder.NAME))
    template.bootstrap(state, (cinder,))


def renew(state: cloud_state.State, service: str = cinder.NAME) -> None:
    """Replace a database of Cinder by the one that it had at first.

    Not by the template's, which is another one after an upgrade.

    :param state: the cloud, in which the service does not run
    :param service: one of the Cinders
    :raises LocalCloudError: the cloud has none, it is of an older version,
        or its server does not answer
    """
    first = (database.dumped(state) if database.wanted(state) else
             template.first(state, cinder.NAME))
    if not first.exists():
        raise exceptions.InvalidState(
            f'The cloud in {state.root} has no empty database to go back to; '
            f'take it down and start it again.')
    if database.wanted(state):
        if (answer := database.ready(state)) is not True:
            raise exceptions.ServiceFailed(
                f'The database of the cloud in {state.root} does not answer '
                f'({answer}); "up" starts it.')
        database.renew(state, service)
        return
    path = state.database(service)
    # Its log would be applied to the new one.
    for old in path.parent.glob(f'{path.name}*'):
        old.unlink()
    shutil.copy2(first, path)
