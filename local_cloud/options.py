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

"""What a cloud is asked to be: of ``up``, of ``run``, of the fixture."""

import argparse
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

from local_cloud import backups
from local_cloud import exceptions
from local_cloud import releases
from local_cloud import settings
from local_cloud import sites
from local_cloud import volumes
from local_cloud.services import cinder
from local_cloud.services import database
from local_cloud.services import rabbitmq


@dataclasses.dataclass(frozen=True)
class Options:
    """What a cloud is made of.

    :param backup: the profile of the backup driver
    :param debug: let the services log everything
    :param without: services of Cinder that are not to run, for tests of
        what happens then
    :param volumes: the back end of the volumes, else the profile's own
    :param second_region: have another Cinder, see :mod:`sites`
    :param cinder_of: the release of Cinder, or the Python of a virtualenv
        that has one, where it is not the one installed here
    :param second_store: whose the storage of its backups is, own or shared;
        own where that can be
    :param second_backup: have another cinder-backup, with another driver
    :param database: what Cinder's database is on
    :param bus: what Cinder's services talk over; each has a process of its
        own where it is not the memory of one
    """

    backup: str = 'default'
    debug: bool = False
    without: Sequence[str] = ()
    volumes: str | None = None
    second_region: bool = False
    cinder_of: str | None = None
    second_store: str | None = None
    second_backup: bool = False
    database: str = settings.SQLITE
    bus: str = rabbitmq.MEMORY

    def check(self) -> None:
        """Look whether they go together.

        :raises LocalCloudError: if they do not
        """
        if self.second_store and not self.second_region:
            raise exceptions.LocalCloudError(
                f'--second-store {self.second_store} says where the second '
                f'region has its backups: it goes with --second-region.')
        if self.second_region:
            backups.second_store(self.backup, self.second_store)

    def words(self) -> list[str]:
        """The same, as the command line says it."""
        words = ['--backup', self.backup]
        if self.debug:
            words.append('--debug')
        for service in self.without:
            words += ['--without', service]
        if self.volumes:
            words += ['--volumes', self.volumes]
        if self.second_region:
            words.append('--second-region')
        if self.cinder_of:
            words += ['--cinder', self.cinder_of]
        if self.second_store:
            words += ['--second-store', self.second_store]
        if self.second_backup:
            words.append('--second-backup')
        if self.database != settings.SQLITE:
            words += ['--database', self.database]
        if self.bus != rabbitmq.MEMORY:
            words += ['--bus', self.bus]
        return words

    def record(self, release: Mapping[str, Any] | None) -> dict[str, Any]:
        """What the record of a new cloud keeps of them.

        :param release: the Cinder that was found for ``cinder_of``
        """
        return {
            'backup': self.backup,
            'debug': self.debug,
            'second_region': self.second_region,
            'cinder': release,
            'second_backup': self.second_backup,
            'second_store': (
                backups.second_store(self.backup, self.second_store)
                if self.second_region else None),
            'database': self.database,
            'bus': self.bus,
            'volumes': self.volumes or backups.PROFILES[self.backup].volumes,
            'cinder_services': [name for name in cinder.SERVICES
                                if name not in self.without],
        }

    def differing(self, record: Mapping[str, Any],
                  release: Mapping[str, Any] | None) -> Iterator[str]:
        """Those that a cloud was made without.

        What is not asked for is as it was.

        :param record: of that cloud
        :param release: the Cinder that was found for ``cinder_of``
        :returns: the options by their names
        """
        left_out = set(cinder.SERVICES) - set(record['cinder_services'])
        for option, wanted, has in (
                ('--backup', self.backup != 'default' and self.backup,
                 record['backup']),
                ('--volumes', self.volumes, record.get('volumes', 'files')),
                ('--debug', self.debug, record['debug']),
                ('--second-region', self.second_region,
                 record.get('second_region', False)),
                ('--cinder', self.cinder_of and (release or 'the one here'),
                 record.get('cinder') or 'the one here'),
                ('--second-store', self.second_store,
                 record.get('second_store')),
                ('--second-backup', self.second_backup,
                 record.get('second_backup', False)),
                ('--database', self.database != settings.SQLITE and
                 self.database, record.get('database', settings.SQLITE)),
                ('--bus', self.bus != rabbitmq.MEMORY and self.bus,
                 record.get('bus', rabbitmq.MEMORY)),
                ('--without', set(self.without), left_out)):
            if wanted and wanted != has:
                yield option


def add_to(parser: argparse.ArgumentParser) -> None:
    """Give a parser an argument for each option."""
    parser.add_argument(
        '--backup', choices=sorted(backups.PROFILES), default='default',
        help='the backup driver (default: %(default)s)')
    parser.add_argument(
        '--volumes', choices=sorted(volumes.BACKENDS),
        help="where the volumes are (default: rbd with Ceph's backup drivers, "
             "files with all others)")
    parser.add_argument(
        '--without', choices=sorted(cinder.SERVICES), action='append',
        default=[], metavar='SERVICE',
        help='leave this service of Cinder out; may be repeated '
             '(%(choices)s)')
    parser.add_argument(
        '--second-region', action='store_true',
        help='have another Cinder, in a region of its own: with a database '
             'and volumes of its own')
    parser.add_argument(
        '--second-store', choices=(sites.OWN, sites.SHARED),
        help="where the second region has its backups: on a storage of its "
             "own, to which backups must be copied, or on the first one's "
             "(default: own, shared with Ceph's backup drivers)")
    parser.add_argument(
        '--second-backup', action='store_true',
        help=f'have another cinder-backup, with a driver for directories '
             f'that is not the first one\'s, in the availability zone '
             f'{backups.SECOND_ZONE}')
    parser.add_argument(
        '--cinder', metavar='RELEASE', dest='cinder_of',
        help=f'the release of Cinder ({", ".join(releases.NUMBERS)}), where '
             f'it is not the one installed here: a virtualenv is made for it '
             f'once; or the Python of a virtualenv that has a Cinder')
    parser.add_argument(
        '--database', choices=database.KINDS, default=settings.SQLITE,
        help="what Cinder's database is on (default: %(default)s)")
    parser.add_argument(
        '--bus', choices=rabbitmq.KINDS, default=rabbitmq.MEMORY,
        help="what Cinder's services talk over (default: %(default)s): in "
             "one process, or each in a process of its own")
    parser.add_argument('--debug', action='store_true',
                        help='let the services log everything')


def of(arguments: argparse.Namespace) -> Options:
    """What the arguments of :func:`add_to` have become."""
    return Options(**{field.name: getattr(arguments, field.name)
                      for field in dataclasses.fields(Options)})
