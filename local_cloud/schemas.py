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
from local_cloud import sites
from local_cloud import template
from local_cloud.machine import state as cloud_state
from local_cloud.services import cinder
from local_cloud.services import database


def fill(state: cloud_state.State, say: console.Console) -> None:
    """Make the databases of a new cloud on its server, which runs."""
    service = database.Database(state)
    service.dumped.parent.mkdir(mode=0o700, exist_ok=True)
    kind = f'{database.kind(state)}-{service.version()}'
    with template.locked(state, say) as directory:
        kept = directory / f'cinder.{kind}.sql'
        if not kept.exists():
            with say.step(f'making the schema for {kind}'):
                name = database.name_of(cinder.Cinder.name)
                service.server.create(name)
                template.bootstrap([cinder.Cinder(state)])
                new = kept.with_suffix('.new')
                service.server.dump(name, new)
                os.replace(new, kept)
        shutil.copyfile(kept, service.dumped)
    with say.step("Cinder's databases"):
        for site in sites.of(state):
            renew(state, site)


def renew(state: cloud_state.State, site: sites.Site = sites.FIRST) -> None:
    """Replace a Cinder's database by its first one.

    Not by the template's, which is another one after an upgrade.
    """
    service = database.Database(state)
    first = (service.dumped if database.wanted(state) else
             template.first(state))
    if not first.exists():
        raise exceptions.InvalidState(
            f'The cloud in {state.root} has no empty database to go back to; '
            f'take it down and start it again.')
    if database.wanted(state):
        if (answer := service.ready()) is not True:
            raise exceptions.ServiceFailed(
                f'The database of the cloud in {state.root} does not answer '
                f'({answer}); "up" starts it.')
        name = database.name_of(site.name)
        service.server.create(name)
        service.server.load(name, first)
        return
    path = state.database(site.name)
    # Its log would be applied to the new one.
    for old in path.parent.glob(f'{path.name}*'):
        old.unlink()
    shutil.copy2(first, path)
