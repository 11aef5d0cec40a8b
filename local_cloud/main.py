# SPDX-License-Identifier: Apache-2.0

"""The program ``cinder-backup-local-cloud``."""

import argparse
from collections.abc import Callable
from collections.abc import Sequence
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
from typing import NoReturn
import uuid

from local_cloud import backups
from local_cloud import clients
from local_cloud import cloud as local_cloud
from local_cloud import console
from local_cloud import exceptions
from local_cloud import faults
from local_cloud import options
from local_cloud import reexec
from local_cloud import releases
from local_cloud import requirements
from local_cloud import running_clouds
from local_cloud.machine import cloud_state
from local_cloud.machine import loopback
from local_cloud.machine import signals
from local_cloud.machine import uml

EXIT_ERROR = 3
EXIT_NEEDS_UML = 4

_DESCRIPTION = """\
A real Keystone, Glance and Cinder on this machine: no root, no message
broker, loopback only. Everything of a cloud is in its state directory.
"""

_EPILOG = """\
exit status: 0 done; 1 status: something is not ready; 3 an error, in one
line; 4 up: this kernel or user cannot have such a cloud, but "run" can, in
User-Mode Linux; 128 + N ended by signal N, and what was being started is
gone; run: the command's own. After a kill, "list" finds what is left.
"""

# What a command has to end by itself after a Ctrl-C, which it gets from the
# terminal too, and then after a request to end.
_GRACE = 30
_LAST_GRACE = 30


class _Parser(argparse.ArgumentParser):
    """A parser whose errors have the same exit status as all others."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_ERROR, f'error: {message}; see {self.prog} --help\n')


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < float('inf'):
        raise ValueError(text)
    return value


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog='cinder-backup-local-cloud', description=_DESCRIPTION,
        epilog=_EPILOG)
    parser.add_argument(
        '--state-dir', type=pathlib.Path,
        help=f'directory of the cloud (default: ${cloud_state.ENVIRONMENT}, '
             f'or {cloud_state.default_directory()}; run: a temporary '
             f'one)')
    parser.add_argument('--quiet', action='store_true',
                        help='print no progress')
    verbs = parser.add_subparsers(dest='verb', required=True, metavar='VERB')
    timeout = 300 if uml.inside() else 60
    parser.set_defaults(timeout=timeout)
    starting = _Parser(add_help=False)
    options.add_to(starting)
    starting.add_argument(
        '--timeout', type=_seconds, metavar='SECONDS', default=timeout,
        help='how long a service may take to be ready (default: %(default)s)')

    def verb(function, name, help, **arguments):
        added = verbs.add_parser(name, help=help, **arguments)
        added.set_defaults(function=function)
        return added

    verb(_up, 'up', 'start the cloud, or what is not running of it',
         parents=[starting])
    down = verb(_down, 'down',
                'stop it and remove its directory, whatever happened')
    down.add_argument('--keep', action='store_true',
                      help='leave the directory with its logs and data')
    down.add_argument('--abandoned', action='store_true',
                      help='take down the clouds of "run", of tests and of '
                           'certifications that were killed')
    for function, name, help in (
            (lambda arguments, cloud: cloud.kill(arguments.service), 'kill',
             'kill a service as a crash would; "up" starts it again'),
            (lambda arguments, cloud: faults.pause(
                cloud.state, arguments.service), 'pause',
             'make a service hang until "resume": it keeps its port and '
             'answers nothing'),
            (lambda arguments, cloud: faults.resume(
                cloud.state, arguments.service, cloud.timeout), 'resume',
             'resume a paused service, and wait until it answers')):
        verb(function, name, help).add_argument(
            'service', help='keystone, glance, cinder or swift, say')
    hold = verb(_hold, 'hold', 'make requests about a backup wait inside '
                               'Cinder between two steps: arm, then count, '
                               'next (only the first goes on) or release')
    hold.add_argument('action', choices=tuple(_HOLD))
    hold.add_argument('point', choices=faults.POINTS)
    hold.add_argument('backup', type=uuid.UUID, metavar='ID',
                      help='of the backup, or at the points of create of its '
                           'volume')
    verb(lambda arguments, cloud: cloud.lose_database(), 'lose-database',
         "replace Cinder's database by an empty one: it forgets all volumes "
         "and backups, and their storages keep them")
    verb(_list, 'list', 'the clouds of this user, also what killed programs '
                        'have left')
    status = verb(_status, 'status', 'what runs, where, with which memory')
    logs = verb(_logs, 'logs', "print a service's log")
    logs.add_argument('service', help='keystone, glance or cinder')
    logs.add_argument('-n', '--lines', type=int, default=0, metavar='N',
                      help='only the last N lines')
    env = verb(_env, 'env',
               'print the environment for clients, for eval in a shell')
    form = env.add_mutually_exclusive_group()
    form.add_argument('--clouds-yaml', action='store_true',
                      help='print a clouds.yaml instead')
    for group in (status, form):
        group.add_argument('--json', action='store_true',
                           help='print it for a program')
    run = verb(_run, 'run', 'start a cloud, run a command in its '
                            'environment, take it down', parents=[starting])
    run.add_argument('--keep-logs', type=pathlib.Path, metavar='DIRECTORY',
                     help='copy the logs there before the cloud goes')
    inside = verb(_uml, 'uml', 'run a command, that starts clouds, in '
                               'User-Mode Linux')
    inside.add_argument('--visible', type=pathlib.Path, metavar='DIRECTORY',
                        action='append', default=[],
                        help='where what it writes stays, beside the current '
                             'directory; may be repeated')
    for command in (run, inside):
        command.add_argument('command', nargs=argparse.REMAINDER,
                             help='-- COMMAND [ARGUMENT ...]')
    return parser


def _command(arguments: argparse.Namespace) -> list[str]:
    command = arguments.command
    if command[:1] == ['--']:
        command = command[1:]
    if not command:
        raise exceptions.LocalCloudError(
            f'{arguments.verb} needs a command: {arguments.verb} -- COMMAND '
            f'[ARGUMENT ...]')
    if shutil.which(command[0]) is None:
        raise exceptions.LocalCloudError(
            f'{command[0]}: not found or not executable')
    return command


def _up(arguments: argparse.Namespace, cloud: local_cloud.Cloud) -> None:
    cloud.start(options.of(arguments))
    cloud.say.say(f'the environment for clients: . '
                  f'{clients.openrc(cloud.state)}')


def _down(arguments: argparse.Namespace, cloud: local_cloud.Cloud) -> None:
    if not arguments.abandoned:
        cloud.down(arguments.keep)
        return
    if arguments.keep or arguments.state_dir:
        raise exceptions.LocalCloudError(
            '--abandoned goes with neither --keep nor --state-dir')
    number = running_clouds.remove_abandoned(cloud.say)
    cloud.say.say(f'{number} abandoned')


def _uml(arguments: argparse.Namespace, cloud: local_cloud.Cloud) -> int:
    return reexec.run(_command(arguments), cloud.say, 'as asked for',
                      arguments.visible)


def _run(arguments: argparse.Namespace, cloud: local_cloud.Cloud) -> int:
    command = _command(arguments)
    asked = options.of(arguments)
    requirements.check(asked)
    if why := backups.BACKENDS[asked.backup].cannot_run():
        # Nothing can be installed in there.
        release = releases.find(asked.cinder, cloud.say)
        return reexec.run([sys.executable, '-m', 'local_cloud',
                           *arguments.words], cloud.say, why,
                          [arguments.keep_logs] if arguments.keep_logs else [],
                          release)
    temporary = None
    if arguments.state_dir is None:
        temporary = cloud_state.Temporary('run')
        cloud.state = cloud_state.State(temporary.cloud)
    elif cloud.state.exists:
        raise exceptions.InvalidState(
            f'a cloud exists in {cloud.state.root}, which run would take '
            f'down at its end; use its environment (env) or another '
            f'--state-dir')
    else:
        cloud.state.check()
    with cloud.running(asked, temporary, arguments.keep_logs):
        try:
            return _wait(subprocess.Popen(command, env={
                **clients.environment(cloud.state),
                # What the command leaves behind goes with the cloud.
                cloud_state.PROCESS_MARK: cloud.state.cloud_id}))
        except OSError as error:
            raise exceptions.LocalCloudError(
                f'{command[0]}: {error.strerror}') from error


def _wait(process: subprocess.Popen) -> int:
    """Wait for the command, which the end of this program ends too."""
    try:
        code = process.wait()
    except signals.Ended as ended:
        # The terminal's Ctrl-C reached the command as well, which may want
        # to report its results so far; other signals did not.
        for grace, end in (
                (_GRACE if ended.number == signal.SIGINT else 0,
                 process.terminate), (_LAST_GRACE, process.kill)):
            try:
                process.wait(timeout=grace)
                break
            except subprocess.TimeoutExpired:
                end()
        process.wait()
        raise
    return code if code >= 0 else 128 - code


_HOLD: dict[str, Callable[..., int | None]] = {
    'arm': faults.arm, 'count': faults.held, 'next': faults.release_first,
    'release': faults.release}


def _hold(arguments: argparse.Namespace, cloud: local_cloud.Cloud) -> None:
    number = _HOLD[arguments.action](cloud.state, arguments.point,
                                     arguments.backup)
    if number is not None:
        print(number)


def _status(arguments: argparse.Namespace, cloud: local_cloud.Cloud) -> int:
    status = cloud.status()
    if arguments.json:
        print(json.dumps(status, indent=2))
    else:
        print(f'state directory {status["state_directory"]}')
        for name, service in status['services'].items():
            print(f'{name:9} {service["url"]}  {service["state"]}' + (
                f', pid {service["pid"]}, '
                f'{service["memory"] / 1024 ** 2:.0f} MiB'
                if service['pid'] else ''))
    return 0 if all(service['state'] == 'ready'
                    for service in status['services'].values()) else 1


def _logs(arguments: argparse.Namespace, cloud: local_cloud.Cloud) -> None:
    state = cloud.state
    state.load()
    path = state.log(arguments.service)
    if os.sep in arguments.service or not path.is_file():
        names = sorted(p.stem for p in state.logs.glob('*.log'))
        raise exceptions.LocalCloudError(
            f'unknown log {arguments.service}; known: {", ".join(names)}')
    text = path.read_text(errors='replace').splitlines(keepends=True)
    sys.stdout.writelines(text[-max(arguments.lines, 0):])


def _env(arguments: argparse.Namespace, cloud: local_cloud.Cloud) -> None:
    state = cloud.state
    state.load()
    if arguments.json and state.record.get('made'):
        json.dump({**clients.variables(state),
                   **loopback.without_proxy(os.environ)}, sys.stdout)
        return
    path = (clients.clouds_yaml(state) if arguments.clouds_yaml
            else clients.openrc(state))
    try:
        sys.stdout.write(path.read_text())
    except FileNotFoundError:
        raise exceptions.InvalidState(
            f'the cloud in {state.root} never became ready; take it down '
            f'and start it again') from None


def _list(arguments: argparse.Namespace, cloud: local_cloud.Cloud) -> None:
    for found in running_clouds.clouds():
        words = ['running' if found.processes else 'stopped']
        if found.temporary:
            words.append('abandoned' if found.abandoned else
                         'in use by the program that made it')
        print(f'{found.directory}  {", ".join(words)}')


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program."""
    try:
        arguments = _parser().parse_args(argv)
        arguments.words = list(sys.argv[1:] if argv is None else argv)
        os.environ.update(loopback.without_proxy(os.environ))
        with signals.heard():
            state = cloud_state.State(
                arguments.state_dir or
                os.environ.get(cloud_state.ENVIRONMENT) or
                cloud_state.default_directory())
            return arguments.function(arguments, local_cloud.Cloud(
                state, console.Console(quiet=arguments.quiet),
                arguments.timeout)) or 0
    except exceptions.NeedsUML as reason:
        # A way for the caller to go on, and no error.
        print(f'not here: {reason}', file=sys.stderr)
        return EXIT_NEEDS_UML
    except exceptions.LocalCloudError as error:
        print(f'error: {error}', file=sys.stderr)
        return EXIT_ERROR
    except signals.Ended as ended:
        print(f'ended: {ended}', file=sys.stderr)
        return ended.status
    except BrokenPipeError:
        # What is still buffered has no reader.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        # A full disk, a directory without rights: of no one step.
        print(f'error: {error}', file=sys.stderr)
        return EXIT_ERROR


if __name__ == '__main__':
    sys.exit(main())
