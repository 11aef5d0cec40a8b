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

"""The services of a Cinder, each in a process of its own.

That is so where there is a message broker between them. The process that has
the name of the site has the API alone then.
"""

from collections.abc import Sequence
import dataclasses
import pathlib

from local_cloud import backups
from local_cloud import sites
from local_cloud.machine import state as cloud_state
from local_cloud.services import ceph
from local_cloud.services import cinder
from local_cloud.services import rabbitmq

_BACKUP = 'cinder-backup'
_SCHEDULER = 'cinder-scheduler'


@dataclasses.dataclass(frozen=True)
class Process:
    """One of them; it has what the module of a service has.

    :ivar NAME: of the service: its process and its log
    :ivar SOCKETS: it has none
    :ivar site: whose it is
    :ivar service: what it runs; the second cinder-backup has no name in
        Cinder's words that is its own
    :ivar second: whether it is that
    """

    NAME: str
    site: sites.Site
    service: str
    second: bool = False
    SOCKETS: tuple[str, ...] = ()

    def _ready_file(self, state: cloud_state.State) -> pathlib.Path:
        return state.data / f'{self.NAME}-ready'

    def configure(self, state: cloud_state.State) -> None:
        """Nothing: its API's process has the same configuration."""

    def environment(self, state: cloud_state.State) -> dict[str, str]:
        """Variables that it needs."""
        return cinder.environment(state)

    def serve_command(self, state: cloud_state.State) -> list[str]:
        """The program that runs it."""
        words = ['--ready-file', str(self._ready_file(state))]
        if self.service == _SCHEDULER:
            for host in _backup_hosts(state, self.site):
                words += ['--backup-host', host]
        if self.second:
            words += cinder.second_backup(state, self.site)
            return cinder.command(state, self.site, words)
        return cinder.command(state, self.site, words, (self.service,))

    def ready(self, state: cloud_state.State) -> bool | str:
        """Whether it has begun to work, or what is missing."""
        return (ceph.is_locked(self._ready_file(state)) or
                f'{self.service} has not begun to work')

    def address(self, state: cloud_state.State) -> str:
        """Where it is asked."""
        return rabbitmq.address(state)

    def version(self, state: cloud_state.State) -> str:
        """The release, the same as that of its API."""
        return cinder.version(state)


def _backup_hosts(state: cloud_state.State, site: sites.Site) -> list[str]:
    """The hosts of the cinder-backups that a scheduler has to know."""
    if _BACKUP not in state.record['cinder_services']:
        return []
    return [site.host, *([f'{site.host}-{backups.SECOND_ZONE}']
                         if backups.second_driver(state, site) else [])]


def of(state: cloud_state.State, site: sites.Site) -> Sequence[Process]:
    """Those of a site, if it has any."""
    if not rabbitmq.wanted(state):
        return ()
    names: Sequence[str] = state.record['cinder_services']
    found = [Process(f'{name}{site.suffix}', site, name) for name in names]
    if backups.second_driver(state, site) and _BACKUP in names:
        found.append(Process(f'{_BACKUP}-{backups.SECOND_ZONE}', site,
                             _BACKUP, second=True))
    return found


def of_backup(state: cloud_state.State) -> str:
    """The name of the process that a test kills as cinder-backup."""
    return _BACKUP if rabbitmq.wanted(state) else cinder.NAME
