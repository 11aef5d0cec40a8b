# SPDX-License-Identifier: Apache-2.0

"""The arguments of ``cinder-backup-records``."""

import argparse
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import datetime
import os
import pathlib
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


def _number(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text} is less than 1')
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


def _format() -> _Parser:
    added = _Parser(add_help=False)
    added.add_argument('-f', '--format', choices=('text', 'json'),
                       default='text',
                       help='of the outcome on stdout (%(default)s)')
    return added


def _common() -> _Parser:
    added = _Parser(add_help=False, parents=[_format()])
    added.add_argument('--os-cloud', metavar='NAME',
                       help='of the cloud in clouds.yaml (default: OS_CLOUD)')
    added.add_argument('--os-region-name', metavar='NAME',
                       help='of the region (default: OS_REGION_NAME)')
    return added


def _several() -> _Parser:
    added = _Parser(add_help=False)
    added.add_argument('--workers', type=_workers, default=4, metavar='N',
                       help='so many at a time, 1 to 32 (%(default)s)')
    return added


def _planned() -> _Parser:
    added = _Parser(add_help=False)
    added.add_argument('plan', metavar='PLAN', type=pathlib.Path,
                       help='the plan; what was done for it is beside it, '
                            'in PLAN.journal')
    return added


def _add_records(parser: argparse.ArgumentParser, help: str) -> None:
    parser.add_argument('records', metavar='FILE', type=pathlib.Path,
                        help=f'the file of records{help}')


def _signed() -> _Parser:
    added = _Parser(add_help=False)
    added.add_argument('--signed-by', metavar='FILE', type=pathlib.Path,
                       action='append', default=[],
                       help='a public key in PEM: use only what it has '
                            'signed of the file of records; may be repeated')
    return added


def _signing() -> _Parser:
    added = _Parser(add_help=False)
    added.add_argument('--signing-key', metavar='FILE', type=pathlib.Path,
                       help='a private key in PEM, which signs the file of '
                            'records')
    return added


def _add_config_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--config-file', action='append', default=[],
                        metavar='PATH',
                        help="Cinder's configuration (default: where Cinder "
                             "looks)")


def _add_project(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--project', action='append', default=[],
                        metavar='ID', help='only backups of this project; '
                                           'may be repeated')


def _add_attempts(parser: argparse.ArgumentParser, wait: float, help: str
                  ) -> None:
    parser.add_argument('--retry', action='store_true', help=help)
    parser.add_argument('--wait', metavar='SECONDS', type=float, default=wait,
                        help='so long one backup may take (%(default)s)')


def _export(parser: argparse.ArgumentParser) -> None:
    _add_records(parser, '; made where there is none')
    parser.add_argument('--everything', action='store_true',
                        help='export anew what the file has, as after a '
                             'change of the driver')
    parser.add_argument('--sign-old', action='store_true',
                        help='sign also what a file without a signature has: '
                             'once, for a file that you trust')
    parser.add_argument('--copies', metavar='DIRECTORY', type=pathlib.Path,
                        help='then copy the file into this directory, under '
                             'its name and the time')
    parser.add_argument('--keep', metavar='N', type=_number, default=30,
                        help='the copies to keep; older ones are deleted '
                             '(%(default)s)')
    _add_recipients(parser, 'encrypt the copies for it')


def _scan(parser: argparse.ArgumentParser) -> None:
    _add_records(parser, ' that is made')
    _add_config_file(parser)
    parser.add_argument('--container', action='append', default=[],
                        metavar='NAME',
                        help='look only at this container, bucket or '
                             'directory (default: all; in S3 the bucket of '
                             'the configuration)')


def _plan(parser: argparse.ArgumentParser) -> None:
    _add_records(parser, '')
    parser.add_argument('plan', metavar='PLAN', type=pathlib.Path,
                        help='the plan that is made, a line for each backup; '
                             'lines may be deleted and changed')
    parser.add_argument('--lost-since', metavar='TIME', type=moment,
                        help='import also what exports have missed in the '
                             'cloud since then, such as 2026-11-29 or '
                             '2026-11-29T02:00, in UTC; what was missed '
                             'before was deleted')
    parser.add_argument('--map', metavar='FILE', type=pathlib.Path,
                        help='ids of projects and names of drivers that are '
                             'others in the cloud, in YAML: projects and '
                             'services, each with old: new')
    parser.add_argument('--owner', metavar='PROJECT',
                        help='the id of the project for backups whose owner '
                             'a scan has not found')
    parser.add_argument('--damaged', action='store_true',
                        help='import also those of which a scan has not '
                             'found all, for a restore of what is left')


def _apply(parser: argparse.ArgumentParser) -> None:
    _add_attempts(parser, 1800,
                  'delete the rows that imports have left which failed, or '
                  'did not end within --wait, and import again; such rows '
                  'name no data')
    parser.add_argument('--recovery-key', metavar='FILE', type=pathlib.Path,
                        help='a private key in PEM: each key of an encrypted '
                             'volume that a record has for it is stored in '
                             'the key manager, as the project of the backup')


def _add_private_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--recovery-key', metavar='FILE', required=True,
                        type=pathlib.Path, help='the private key, in PEM')


def _add_recipients(parser: argparse.ArgumentParser, help: str,
                    required: bool = False) -> None:
    parser.add_argument('--recipient', metavar='FILE', type=pathlib.Path,
                        required=required, action='append', default=[],
                        dest='recipients',
                        help=f'a public key, in PEM: {help}; may be repeated')


def _rewrap(parser: argparse.ArgumentParser) -> None:
    _add_records(parser, ', which is replaced')
    _add_private_key(parser)
    _add_recipients(parser, 'it opens the new records, and one that is not '
                            'named does not any more', True)


def _decrypt(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('copy', metavar='COPY', type=pathlib.Path,
                        help='the encrypted file')
    _add_records(parser, ' that is made')
    _add_private_key(parser)


def _restore(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--all', action='store_true',
                        help='each backup to a volume of its own')
    _add_project(parser)
    for name in ('--volume-type', '--availability-zone'):
        parser.add_argument(name, metavar='NAME',
                            help='where that of the original is not known '
                                 '(default: that of the cloud)')
    parser.add_argument('--map', metavar='FILE', type=pathlib.Path,
                        help='volume types and availability zones that are '
                             'others in the cloud, in YAML: types and zones, '
                             'each with old: new; old may also be the id of '
                             'an original volume')
    _add_attempts(parser, 86400,
                  'delete the volumes of restores that have failed, or did '
                  'not end within --wait, and restore again')


def _prove(parser: argparse.ArgumentParser) -> None:
    _add_config_file(parser)
    _add_project(parser)
    parser.add_argument('--again', action='store_true',
                        help='compare also what a former run has proved')
    parser.add_argument('--basic-connector', action='store_true',
                        help='describe this machine to Cinder without what '
                             'only root can read, such as the name of its '
                             'iSCSI initiator')


def _salvage(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('backup', metavar='BACKUP', help='its id')
    parser.add_argument('target', metavar='TARGET', type=pathlib.Path,
                        help='the file that is made, as large as the volume; '
                             'what is lost of it has zeros')
    parser.add_argument('--overwrite', action='store_true',
                        help='TARGET is a device or a file that exists')
    parser.add_argument('--records', metavar='FILE', type=pathlib.Path,
                        help='a file with the record of the backup, which is '
                             'believed, and needed where it has no row; also '
                             'one of scan')
    _add_config_file(parser)


def _drill(parser: argparse.ArgumentParser) -> None:
    _add_records(parser, '')
    parser.add_argument('directory', metavar='DIRECTORY', type=pathlib.Path,
                        help='what the drill writes, its report among it; it '
                             'is made, and has to have room for the copies')
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument('--volumes', metavar='N', type=_number, default=3,
                        help='draw so many volumes, and take the newest '
                             'backup of each (%(default)s)')
    chosen.add_argument('--backup', metavar='ID', action='append',
                        default=[], help='take this backup; may be repeated')
    parser.add_argument('--seed', metavar='N', type=int,
                        help='draw what a drill before has drawn, which has '
                             'printed it')
    _add_config_file(parser)


def _report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('report', metavar='REPORT', type=pathlib.Path,
                        help='the report in JSON, such as report.json; the '
                             'page is beside it, report.html')
    parser.add_argument('--check', action='store_true',
                        help='compare a report with the plan and its '
                             'journal, and write nothing')


#: What each command does, the arguments that it shares, and its own.
_COMMANDS: dict[str, tuple[str, list[Callable[[], _Parser]],
                           Callable[[argparse.ArgumentParser], None]]] = {
    'export': (
        'export the records of the backups of all projects which are not in '
        'a file yet; a backup that cannot be exported is named, and a record '
        'whose backup has gone is kept',
        [_common, _several, _signing, _signed], _export),
    'scan': (
        'make records from the storage alone, where both the database and '
        'the records are lost, on a host of cinder-backup; nothing is '
        'imported, and the storage is only read', [_common, _signing],
        _scan),
    'plan': (
        'write down which backups of a file would be imported into the '
        'cloud, in which order and by which project; the cloud is not '
        'changed', [_common, _several, _signed], _plan),
    'apply': (
        'carry a plan out: import its backups, a parent before its children; '
        'interrupted or killed, run it again',
        [_common, _several, _planned, _signed], _apply),
    'rewrap': (
        'wrap the keys that a file of records has for a private key for '
        'others, without a cloud; plans of the file have to be made again',
        [_common, _signing, _signed], _rewrap),
    'decrypt': (
        'decrypt a copy that an export has encrypted for recipients',
        [_format], _decrypt),
    'restore': (
        'restore the backups of a plan that are in the cloud to new volumes '
        'of their projects: of each volume the one with the newest data; '
        'interrupted or killed, run it again',
        [_common, _several, _planned, _signed], _restore),
    'prove': (
        'compare each volume that restore has made with the hashes of its '
        'backup, on a host of cinder-backup with a reference driver; the '
        'volumes are attached for that, and only read',
        [_common, _several, _planned, _signed], _prove),
    'salvage': (
        'write all that is good of a damaged backup into a file, on a host '
        'of cinder-backup, and name each extent of the volume that is lost; '
        'the storage is only read', [_common, _signed], _salvage),
    'drill': (
        'recover copies of some backups in a cloud on this machine, restore '
        'and prove them there, on a host that can read the storage; their '
        'own cloud and storage are only read, and nothing is left but the '
        'report', [_common, _signed], _drill),
    'report': (
        'write down what came back of a plan, how it was proved, and what '
        'did not and why; no cloud is asked', [_format, _planned], _report),
}


def parse(functions: Mapping[str, Callable[[argparse.Namespace], int]],
          arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the arguments of the program.

    :param functions: what carries each command out, by its name
    :returns: with the ``function`` of the command
    """
    parser = _Parser(prog='cinder-backup-records', description=_DESCRIPTION,
                     epilog=_EPILOG)
    verbs = parser.add_subparsers(required=True, metavar='COMMAND')
    for name, (help, shared, add_own) in _COMMANDS.items():
        command = verbs.add_parser(
            name, help=help, description=help, epilog=_EPILOG,
            parents=[parent() for parent in shared])
        command.set_defaults(function=functions[name])
        add_own(command)
    if '_ARGCOMPLETE' in os.environ:
        # The completion of a shell, which is a package of its own.
        import argcomplete

        argcomplete.autocomplete(parser)
    return parser.parse_args(arguments)
