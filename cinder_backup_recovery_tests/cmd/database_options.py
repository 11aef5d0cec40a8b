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
"""What the programs on the database's host share: options, who owns what."""

import argparse
from collections.abc import Iterable
import os

from oslo_config import cfg

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import ledger
from cinder_backup_recovery_tests.rows import base


class AllowedIds:
    """Ids from a file, or any, in place of a ledger.

    :param allowed: the ids; any when None
    :param where: where they are from
    """

    def __init__(self, allowed: set[str] | None, where: str) -> None:
        self._allowed = allowed
        self._where = where

    def require(self, kind: str, ids: Iterable[str]) -> None:
        """Refuse what may not be touched.

        :param kind: what the ids are of
        :param ids: what is to be touched
        :raises NotInLedger: naming each such id
        """
        if self._allowed is None:
            return
        foreign = [one for one in ids if one not in self._allowed]
        if foreign:
            raise exceptions.NotInLedger(
                f'{kind} {", ".join(foreign)} not allowed: not in '
                f'{self._where}')


def add_options(parser: argparse.ArgumentParser, what: str) -> None:
    """Add what says where the database is and what may be touched.

    :param parser: of the program
    :param what: what it touches, in the plural
    """
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument('--config-file', metavar='FILE', help='cinder.conf, '
                       'whose [database] connection is used')
    where.add_argument('--database-url', metavar='URL', help='like '
                       '[database] connection')
    allowed = parser.add_mutually_exclusive_group()
    allowed.add_argument('--ledger', metavar='DIR', help=f'only {what} that '
                         f'this ledger of the suite owns may be touched')
    allowed.add_argument('--ids-file', metavar='FILE', help=f'only {what} '
                         f'whose id is a line of this file may be touched')
    allowed.add_argument('--trust-caller', action='store_true', help=f'all '
                         f'{what} may be touched: the caller asked its own '
                         f'ledger')
    parser.add_argument('--project', metavar='ID', help=f'the {what} must '
                        f'belong to this project')


def url_of(args: argparse.Namespace) -> str:
    """Say where the database is.

    :param args: the arguments
    :raises InvalidConfiguration: the file does not say it
    """
    return args.database_url or _connection_of(args.config_file)


def owner_of(args: argparse.Namespace, only_looks: bool) -> base.Owner:
    """Say what may be touched.

    :param args: the arguments
    :param only_looks: whether nothing will be changed
    :raises InvalidConfiguration: nothing says it
    """
    if args.ledger is not None:
        if not os.path.isdir(args.ledger):
            raise exceptions.InvalidConfiguration(
                f'the ledger {args.ledger} is not a directory')
        return ledger.Ledger(args.ledger)
    if args.ids_file is not None:
        try:
            with open(args.ids_file, encoding='utf-8') as stream:
                return AllowedIds(set(stream.read().split()), args.ids_file)
        except (OSError, UnicodeDecodeError) as err:
            raise exceptions.InvalidConfiguration(
                f'the file of ids {args.ids_file} cannot be read: {err}'
            ) from None
    if args.trust_caller or only_looks:
        return AllowedIds(None, '')
    raise exceptions.InvalidConfiguration(
        'one of --ledger, --ids-file and --trust-caller is needed; see '
        '--help')


def _connection_of(path: str) -> str:
    """Read the URL the way Cinder does."""
    conf = cfg.ConfigOpts()
    conf.register_opts([cfg.StrOpt('connection', secret=True)],
                       group='database')
    try:
        conf([], project='cinder', default_config_files=[path],
             default_config_dirs=[])
        url = conf.database.connection
    except (cfg.Error, UnicodeDecodeError) as err:
        raise exceptions.InvalidConfiguration(
            f'the file {path} cannot be read: {" ".join(str(err).split())}'
        ) from None
    if not url:
        raise exceptions.InvalidConfiguration(
            f'the file {path} has no connection in its section [database]')
    return str(url)
