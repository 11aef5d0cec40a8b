# SPDX-License-Identifier: Apache-2.0

"""The arguments of ``cinder-backup-records``."""

import argparse
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import datetime
import pathlib
from typing import Any
from typing import NoReturn

#: The exit status of an error.
FAILED = 3

_DESCRIPTION = """\
Export the records of all backups of a cloud into a file, and import them after
the loss of the database, or at a second site; where the records are lost as
well, make new ones from the storage; restore the backups to new volumes. The
cloud is that of --os-cloud in clouds.yaml, or of the variables OS_*; the user
has to be an administrator.
"""

_EPILOG = """\
exit status: 0 done; 1 done, but for what is named; 2 interrupted, to be
continued by the same command; 3 an error, in one line.
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors have the exit status of all other errors."""

    def error(self, message: str) -> NoReturn:
        self.exit(FAILED, f'error: {message}; see {self.prog} --help\n')


def _workers(text: str) -> int:
    if not 1 <= int(text) <= 32:
        raise argparse.ArgumentTypeError(f'{text} is not from 1 to 32')
    return int(text)


def moment(text: str) -> str:
    """A time in the form of those in files; UTC where no zone is said."""
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f'{text} is not a time in ISO 8601') from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=datetime.UTC)
    return found.astimezone(datetime.UTC).strftime('%Y-%m-%dT%H:%M:%SZ')


def parse(functions: Mapping[str, Callable[[argparse.Namespace], int]],
          arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the arguments of the program.

    :param functions: what carries each command out, by its name
    :returns: with the ``function`` of the command
    """
    common = _Parser(add_help=False)
    common.add_argument('--os-cloud', metavar='NAME',
                        help='of the cloud in clouds.yaml (default: OS_CLOUD)')
    common.add_argument('--os-region-name', metavar='NAME',
                        help='of the region (default: OS_REGION_NAME)')
    common.add_argument('-f', '--format', choices=('text', 'json'),
                        default='text',
                        help='of the outcome on stdout (%(default)s)')
    workers = _Parser(add_help=False)
    workers.add_argument('--workers', type=_workers, default=4, metavar='N',
                         help='so many at a time, 1 to 32 (%(default)s)')
    parser = _Parser(prog='cinder-backup-records', description=_DESCRIPTION,
                     epilog=_EPILOG)
    verbs = parser.add_subparsers(required=True, metavar='COMMAND')

    def verb(name: str, parents: list[Any], help: str
             ) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=help, description=help,
                                 parents=parents, epilog=_EPILOG)
        added.set_defaults(function=functions[name])
        return added

    export = verb('export', [common, workers],
                  'export the records of the backups of all projects which '
                  'are not in a file yet; a backup that cannot be exported '
                  'is named, and a record whose backup has gone is kept')
    export.add_argument('records', metavar='FILE', type=pathlib.Path,
                        help='the file of records; made where there is none')
    export.add_argument('--everything', action='store_true',
                        help='export anew what the file has, as after a '
                             'change of the driver')
    scan = verb('scan', [common],
                'make records from the storage alone, where both the database '
                'and the records are lost, on a host of cinder-backup; '
                'nothing is imported, and the storage is only read')
    scan.add_argument('records', metavar='FILE', type=pathlib.Path,
                      help='the file of records that is made')
    scan.add_argument('--config-file', action='append', default=[],
                      metavar='PATH',
                      help="Cinder's configuration (default: where Cinder "
                           "looks)")
    scan.add_argument('--container', action='append', default=[],
                      metavar='NAME',
                      help='look only at this container, bucket or directory '
                           '(default: all; in S3 the bucket of the '
                           'configuration)')
    plan = verb('plan', [common, workers],
                'write down which backups of a file would be imported into '
                'the cloud, in which order and by which project; the cloud '
                'is not changed')
    plan.add_argument('records', metavar='FILE', type=pathlib.Path,
                      help='the file of records')
    plan.add_argument('plan', metavar='PLAN', type=pathlib.Path,
                      help='the plan that is made, a line for each backup; '
                           'lines may be deleted and changed')
    plan.add_argument('--lost-since', metavar='TIME', type=moment,
                      help='import also what exports have missed in the cloud '
                           'since then, such as 2026-11-29 or '
                           '2026-11-29T02:00, in UTC; what was missed before '
                           'was deleted')
    plan.add_argument('--map', metavar='FILE', type=pathlib.Path,
                      help='ids of projects and names of drivers that are '
                           'others in the cloud, in YAML: projects and '
                           'services, each with old: new')
    plan.add_argument('--owner', metavar='PROJECT',
                      help='the id of the project for backups whose owner a '
                           'scan has not found')
    plan.add_argument('--damaged', action='store_true',
                      help='import also those of which a scan has not found '
                           'all, for a restore of what is left')
    planned = _Parser(add_help=False)
    planned.add_argument('plan', metavar='PLAN', type=pathlib.Path,
                         help='the plan; what was done for it is beside it, '
                              'in PLAN.journal')
    apply = verb('apply', [common, workers, planned],
                 'carry a plan out: import its backups, a parent before its '
                 'children; interrupted or killed, run it again')
    apply.add_argument('--retry', action='store_true',
                       help='delete the rows that imports have left which '
                            'failed, or did not end within --wait, and '
                            'import again; such rows name no data')
    apply.add_argument('--wait', metavar='SECONDS', type=float, default=1800,
                       help='so long one backup may take (%(default)s)')
    apply.add_argument('--recovery-key', metavar='FILE', type=pathlib.Path,
                       help='a private key in PEM: each key of an encrypted '
                            'volume that a record has for it is stored in '
                            'the key manager, as the project of the backup')
    rewrap = verb('rewrap', [common],
                  'wrap the keys that a file of records has for a private '
                  'key for others, without a cloud; plans of the file have '
                  'to be made again')
    rewrap.add_argument('records', metavar='FILE', type=pathlib.Path,
                        help='the file of records, which is replaced')
    rewrap.add_argument('--recovery-key', metavar='FILE', required=True,
                        type=pathlib.Path, help='the private key, in PEM')
    rewrap.add_argument('--recipient', metavar='FILE', type=pathlib.Path,
                        required=True, action='append', dest='recipients',
                        help='a public key, in PEM; repeat it for each that '
                             'is to open the records, and leave out those '
                             'that are not to any more')
    restore = verb('restore', [common, workers, planned],
                   'restore the backups of a plan that are in the cloud to '
                   'new volumes of their projects: of each volume the one '
                   'with the newest data; interrupted or killed, run it again')
    restore.add_argument('--all', action='store_true',
                         help='each backup to a volume of its own')
    restore.add_argument('--project', action='append', default=[],
                         metavar='ID', help='only backups of this project; '
                                            'may be repeated')
    restore.add_argument('--volume-type', metavar='NAME',
                         help='where that of the original is not known '
                              '(default: that of the cloud)')
    restore.add_argument('--availability-zone', metavar='NAME',
                         help='where that of the original is not known '
                              '(default: that of the cloud)')
    restore.add_argument('--map', metavar='FILE', type=pathlib.Path,
                         help='volume types and availability zones that are '
                              'others in the cloud, in YAML: types and zones, '
                              'each with old: new; old may also be the id of '
                              'an original volume')
    restore.add_argument('--retry', action='store_true',
                         help='delete the volumes of restores that have '
                              'failed, or did not end within --wait, and '
                              'restore again')
    restore.add_argument('--wait', metavar='SECONDS', type=float,
                         default=86400,
                         help='so long one backup may take (%(default)s)')
    return parser.parse_args(arguments)
