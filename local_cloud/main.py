# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The program ``cinder-backup-local-cloud``."""

import argparse
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
from local_cloud.machine import loopback
from local_cloud.machine import signals
from local_cloud.machine import state as cloud_state
from local_cloud.machine import uml

EXIT_ERROR = 3
EXIT_NEEDS_UML = 4

_DESCRIPTION = """\
A real Keystone, Glance and Cinder on this machine: no root, no message
broker, loopback only. Everything of a cloud is in its state directory.
"""

_EPILOG = """\
exit status: 0 done; 1 status: something is not ready; 3 an error, said in
one line; 4 up: this kernel or user cannot have such a cloud, but "run" can, in
a guest; 128 + N ended by signal N, and what was being started is gone; run:
the command's own. After a kill, "list" finds what is left.
"""

# What a command has to end by itself after a Ctrl-C, which it gets from the
# terminal too, and then after a request to end.
_GRACE = 5
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

    starting = _Parser(add_help=False)
    options.add_to(starting)
    starting.add_argument(
        '--timeout', type=_seconds, metavar='SECONDS',
        default=300 if uml.inside() else 60,
        help='how long a service may take to be ready (default: %(default)s)')

    verbs.add_parser('up', parents=[starting],
                     help='start the cloud, or what is not running of it')
    down = verbs.add_parser(
        'down', help='stop it and remove its directory, whatever happened')
    down.add_argument('--keep', action='store_true',
                      help='leave the directory with its logs and data')
    down.add_argument('--abandoned', action='store_true',
                      help='take down the clouds of "run", of tests and of '
                           'certifications that were killed')
    kill = verbs.add_parser(
        'kill', help='kill a service as a crash would; "up" starts it again')
    kill.add_argument('service', help='keystone, glance or cinder, say')
    pause = verbs.add_parser(
        'pause', help='let a service hang: it keeps its port and answers '
                      'nothing, until "resume"')
    pause.add_argument('service', help='keystone, glance or swift, say')
    resume = verbs.add_parser(
        'resume', help='let a service go on that was paused, and wait until '
                       'it answers')
    resume.add_argument('service', help='keystone, glance or swift, say')
    hold = verbs.add_parser(
        'hold', help='make requests about a backup wait inside Cinder '
                     'between two steps: arm, then count, then release')
    hold.add_argument('action', choices=('arm', 'count', 'release'))
    hold.add_argument('point', choices=faults.POINTS)
    hold.add_argument('backup', type=uuid.UUID, metavar='ID')
    verbs.add_parser(
        'lose-database',
        help="replace Cinder's database by an empty one: it forgets all "
             "volumes and backups, and their storages keep them")
    verbs.add_parser(
        'list', help='the clouds of this user, also what killed programs '
                     'have left')
    status = verbs.add_parser(
        'status', help='what runs, where, with which memory')
    status.add_argument('--json', action='store_true',
                        help='print it for a program')
    logs = verbs.add_parser('logs', help="print a service's log")
    logs.add_argument('service', help='keystone, glance or cinder')
    logs.add_argument('-n', '--lines', type=int, default=0, metavar='N',
                      help='only the last N lines')
    env = verbs.add_parser(
        'env', help='print the environment for clients, for eval in a shell')
    form = env.add_mutually_exclusive_group()
    form.add_argument('--clouds-yaml', action='store_true',
                      help='print a clouds.yaml instead')
    form.add_argument('--json', action='store_true',
                      help='print it for a program')
    run = verbs.add_parser(
        'run', parents=[starting],
        help='start a cloud, run a command in its environment, take it down')
    run.add_argument('--keep-logs', type=pathlib.Path, metavar='DIRECTORY',
                     help='copy the logs there before the cloud goes')
    run.add_argument('command', nargs=argparse.REMAINDER,
                     help='-- COMMAND [ARGUMENT ...]')
    inside = verbs.add_parser(
        'guest', help='run a command, that starts clouds, in User-Mode Linux')
    inside.add_argument('--visible', type=pathlib.Path, metavar='DIRECTORY',
                        action='append', default=[],
                        help='where what it writes stays, beside the current '
                             'directory; may be repeated')
    inside.add_argument('command', nargs=argparse.REMAINDER,
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
            f'{command[0]}: there is no such command')
    return command


def _run(arguments: argparse.Namespace, say: console.Console) -> int:
    command = _command(arguments)
    asked = options.of(arguments)
    requirements.check(asked)
    if why := backups.BACKENDS[asked.backup].cannot_run():
        # Nothing can be installed in there.
        release = releases.find(asked.cinder, say)
        return reexec.run([sys.executable, '-m', 'local_cloud',
                          *arguments.words], say, why,
                         [arguments.keep_logs] if arguments.keep_logs else [],
                         release)
    temporary = None
    if arguments.state_dir is None:
        temporary = cloud_state.Temporary('run')
        state = cloud_state.State(temporary.cloud)
    else:
        state = cloud_state.State(arguments.state_dir)
        if state.exists:
            raise exceptions.InvalidState(
                f'There is a cloud in {state.root} already, and run would '
                f'take it down at its end. Use its environment (env), or '
                f'another --state-dir.')
        state.check()
    cloud = local_cloud.Cloud(state, say, arguments.timeout)
    try:
        cloud.start(asked)
        try:
            return _wait(subprocess.Popen(command, env={
                **clients.environment(state),
                # What the command leaves behind goes with the cloud.
                cloud_state.PROCESS_MARK: state.cloud_id}))
        except OSError as error:
            raise exceptions.LocalCloudError(
                f'{command[0]}: {error.strerror}') from error
    finally:
        with signals.ignored():
            try:
                if arguments.keep_logs:
                    _copy_logs(state, arguments.keep_logs)
            finally:
                if state.remains:
                    cloud.down()
                if temporary:
                    temporary.remove()


def _copy_logs(state: cloud_state.State, target: pathlib.Path) -> None:
    if not state.logs.is_dir():
        return
    try:
        target.mkdir(parents=True, exist_ok=True)
        for log in state.logs.iterdir():
            shutil.copyfile(log, target / log.name)
    except OSError as error:
        raise exceptions.LocalCloudError(
            f'The logs cannot be kept in {target}: '
            f'{error.strerror}.') from error


def _wait(process: subprocess.Popen) -> int:
    """Wait for the command, which the end of this program ends too.

    :returns: its exit status, as a shell would give it
    """
    try:
        code = process.wait()
    except signals.Ended as ended:
        # The terminal's Ctrl-C reached the command as well, which may want
        # to say what it has so far; other signals did not.
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


def _hold(state: cloud_state.State, arguments: argparse.Namespace) -> int:
    if arguments.action == 'count':
        print(faults.held(state, arguments.point, arguments.backup))
    elif arguments.action == 'arm':
        faults.arm(state, arguments.point, arguments.backup)
    else:
        faults.release(state, arguments.point, arguments.backup)
    return 0


def _status(cloud: local_cloud.Cloud, as_json: bool) -> int:
    status = cloud.status()
    if as_json:
        print(json.dumps(status, indent=2))
    else:
        print(f'state directory {status["state_directory"]}')
        for name, service in status['services'].items():
            print(f'{name:9} {service["url"]}  {service["state"]}' + (
                f', pid {service["pid"]}, '
                f'{service["memory"] / 1024 ** 2:.0f} MiB'
                if service['pid'] else ''))
    ready = all(service['state'] == 'ready'
                for service in status['services'].values())
    return 0 if ready else 1


def _logs(state: cloud_state.State, service: str, lines: int) -> int:
    state.load()
    path = state.log(service)
    if os.sep in service or not path.is_file():
        names = sorted(p.stem for p in state.logs.glob('*.log'))
        raise exceptions.LocalCloudError(
            f'There is no log of {service}; there are: {", ".join(names)}.')
    text = path.read_text(errors='replace').splitlines(keepends=True)
    sys.stdout.writelines(text[-lines:] if lines > 0 else text)
    return 0


def _env(state: cloud_state.State, clouds_yaml: bool, as_json: bool) -> int:
    state.load()
    if as_json and state.record.get('made'):
        json.dump({**clients.variables(state),
                   **loopback.without_proxy(os.environ)}, sys.stdout)
        return 0
    path = (clients.clouds_yaml(state) if clouds_yaml
            else clients.openrc(state))
    try:
        sys.stdout.write(path.read_text())
    except FileNotFoundError:
        raise exceptions.InvalidState(
            f'The cloud in {state.root} never became ready; take it down '
            f'and start it again.') from None
    return 0


def _list() -> int:
    for cloud in running_clouds.clouds():
        words = ['running' if cloud.processes else 'stopped']
        if cloud.temporary:
            words.append('abandoned' if cloud.abandoned else
                         'in use by the program that made it')
        print(f'{cloud.directory}  {", ".join(words)}')
    return 0


def _act(arguments: argparse.Namespace) -> int:
    say = console.Console(quiet=arguments.quiet)
    if arguments.verb == 'run':
        return _run(arguments, say)
    if arguments.verb == 'guest':
        return reexec.run(_command(arguments), say, 'as asked for',
                         arguments.visible)
    if arguments.verb == 'list':
        return _list()
    if arguments.verb == 'down' and arguments.abandoned:
        if arguments.keep or arguments.state_dir:
            raise exceptions.LocalCloudError(
                '--abandoned goes with neither --keep nor --state-dir')
        say.say(f'{running_clouds.remove_abandoned(say)} abandoned')
        return 0
    state = cloud_state.State(
        arguments.state_dir or os.environ.get(cloud_state.ENVIRONMENT) or
        cloud_state.default_directory())
    cloud = local_cloud.Cloud(state, say, getattr(arguments, 'timeout', 60))
    if arguments.verb == 'up':
        cloud.start(options.of(arguments))
        say.say(f'the environment for clients: . {clients.openrc(state)}')
        return 0
    if arguments.verb == 'down':
        cloud.down(arguments.keep)
        return 0
    if arguments.verb == 'kill':
        cloud.kill(arguments.service)
        return 0
    if arguments.verb == 'pause':
        faults.pause(state, arguments.service)
        return 0
    if arguments.verb == 'resume':
        faults.resume(state, arguments.service, cloud.timeout)
        return 0
    if arguments.verb == 'hold':
        return _hold(state, arguments)
    if arguments.verb == 'lose-database':
        cloud.lose_database()
        return 0
    if arguments.verb == 'status':
        return _status(cloud, arguments.json)
    if arguments.verb == 'logs':
        return _logs(state, arguments.service, arguments.lines)
    return _env(state, arguments.clouds_yaml, arguments.json)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    :param argv: the arguments without the program's name
    :returns: the exit status
    """
    try:
        arguments = _parser().parse_args(argv)
        arguments.words = list(sys.argv[1:] if argv is None else argv)
        os.environ.update(loopback.without_proxy(os.environ))
        with signals.heard():
            return _act(arguments)
    except exceptions.NeedsUML as elsewhere:
        # Whoever called may go there next: it is a way, and no error.
        print(f'not here: {elsewhere}', file=sys.stderr)
        return EXIT_NEEDS_UML
    except exceptions.LocalCloudError as error:
        print(f'error: {error}', file=sys.stderr)
        return EXIT_ERROR
    except signals.Ended as ended:
        print(f'ended: {ended}', file=sys.stderr)
        return ended.status
    except BrokenPipeError:
        # Whoever read has enough. What is still buffered has no reader.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        # A full disk, a directory without rights: of no one step.
        print(f'error: {error}', file=sys.stderr)
        return EXIT_ERROR


if __name__ == '__main__':
    sys.exit(main())
