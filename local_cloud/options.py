# SPDX-License-Identifier: Apache-2.0

"""The options of a cloud, each of them once.

A field is an attribute, a keyword of the fixture, an argument of the program
and a value in a cloud's record.
"""

import argparse
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
from typing import Any

from local_cloud import backups
from local_cloud import exceptions
from local_cloud import key_managers
from local_cloud import releases
from local_cloud import sites
from local_cloud import volumes
from local_cloud.services import cinder
from local_cloud.services import database
from local_cloud.services import rabbitmq


def _option(default: Any, help: str, **arguments: Any) -> Any:
    """Declare an option.

    :param default: its type is that of the option: a flag where it is False,
        several values where it is a tuple, else one
    :param arguments: others of :meth:`ArgumentParser.add_argument`
    """
    return dataclasses.field(
        default=default, metadata={'help': help, **arguments})


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of one cloud; see the help of each."""

    backup: str = _option(
        'default', 'the backup driver (default: %(default)s)',
        choices=sorted(backups.BACKENDS))
    volumes: str | None = _option(
        None, "where the volumes are (default: rbd with Ceph's backup "
              "drivers, files with all others)",
        choices=sorted(volumes.BACKENDS))
    without: tuple[str, ...] = _option(
        (), 'leave this service of Cinder out; may be repeated (%(choices)s)',
        choices=sorted(cinder.SERVICES), metavar='SERVICE')
    second_region: bool = _option(
        False, 'have another Cinder, in a region of its own: with a database '
               'and volumes of its own')
    second_store: str | None = _option(
        None, "where the second region has its backups: on a storage of its "
              "own, to which backups must be copied, or on the first one's "
              "(default: own, shared with Ceph's backup drivers)",
        choices=(sites.OWN, sites.SHARED))
    second_backup: bool = _option(
        False, f"have another cinder-backup, with a driver for directories "
               f"that is not the first one's, in the availability zone "
               f"{backups.SECOND_ZONE}")
    cinder: str | None = _option(
        None, f'the release of Cinder ({", ".join(releases.NUMBERS)}), where '
              f'it is not the one installed here: a virtualenv is made for '
              f'it once; or the Python of a virtualenv that has a Cinder',
        metavar='RELEASE')
    database: str = _option(
        database.SQLITE, "what Cinder's database is on (default: %(default)s)",
        choices=database.KINDS)
    bus: str = _option(
        rabbitmq.MEMORY, "what Cinder's services talk over (default: "
                         "%(default)s): in one process, or each in a process "
                         "of its own",
        choices=rabbitmq.KINDS)
    key_manager: str | None = _option(
        None, 'where Cinder has the keys of encrypted volumes: in a Barbican '
              'for all regions, in one for each, or one fixed key in its '
              'configuration (default: there are none)',
        choices=key_managers.KINDS)
    debug: bool = _option(False, 'let the services log everything')

    def check(self) -> None:
        """Check that they go together.

        :raises LocalCloudError: if they do not
        """
        if self.second_store and not self.second_region:
            raise exceptions.LocalCloudError(
                f'--second-store {self.second_store} needs --second-region, '
                f'whose storage it chooses')
        if self.second_region:
            backups.second_store(self.backup, self.second_store)

    def _given(self) -> Iterator[tuple[str, str, Any]]:
        """Each option that is not left to its default.

        :returns: its name, its argument, its value
        """
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value not in (field.default, None):
                yield field.name, _argument(field.name), value

    def words(self) -> list[str]:
        """The same, for a command line."""
        found: list[str] = []
        for _, argument, value in self._given():
            if value is True:
                found.append(argument)
            else:
                for word in [value] if isinstance(value, str) else value:
                    found += [argument, word]
        return found

    def record(self, release: Mapping[str, Any] | None) -> dict[str, Any]:
        """The same, for the record of a new cloud, with what is derived.

        :param release: the Cinder that was found for ``cinder``
        """
        return {
            **dataclasses.asdict(self),
            'cinder': release,
            'second_store': (
                backups.second_store(self.backup, self.second_store)
                if self.second_region else None),
            'volumes': self.volumes or backups.BACKENDS[self.backup].volumes,
            'cinder_services': [name for name in cinder.SERVICES
                                if name not in self.without],
        }

    def differing(self, record: Mapping[str, Any],
                  release: Mapping[str, Any] | None) -> Iterator[str]:
        """The given options that a cloud was made without.

        :param record: of that cloud
        :param release: the Cinder that was found for ``cinder``
        """
        made = {**dataclasses.asdict(Options()), 'volumes': 'files', **record}
        for name, argument, value in self._given():
            if name == 'without':
                differs = {*cinder.SERVICES} - {*made['cinder_services']} != {
                    *value}
            else:
                differs = made[name] != (
                    release if name == 'cinder' else value)
            if differs:
                yield argument


def _argument(name: str) -> str:
    return '--' + name.replace('_', '-')


def add_to(parser: argparse.ArgumentParser) -> None:
    """Give a parser an argument for each option."""
    for field in dataclasses.fields(Options):
        kind = ({'action': 'store_true'} if field.default is False else
                {'action': 'append', 'default': []} if field.default == ()
                else {'default': field.default})
        parser.add_argument(_argument(field.name), **kind, **field.metadata)


def of(arguments: argparse.Namespace) -> Options:
    """The options, from the arguments of :func:`add_to`."""
    found = {field.name: getattr(arguments, field.name)
             for field in dataclasses.fields(Options)}
    return Options(**{**found, 'without': tuple(found['without'])})
