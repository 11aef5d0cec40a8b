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
import signal
import subprocess
import sys

from local_cloud import cinder
from local_cloud import clients
from local_cloud import cloud as local_cloud
from local_cloud import console
from local_cloud import exceptions
from local_cloud import state as cloud_state

EXIT_ERROR = 3

_DESCRIPTION = """\
A real Keystone, Glance and Cinder on this machine: no root, no message
broker, loopback only. Everything of a cloud is in its state directory.
"""

_EPILOG = """\
exit status: 0 done; 1 status: something is not ready; 3 an error, said in
one line; run: the command's own.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='cinder-backup-local-cloud', description=_DESCRIPTION,
        epilog=_EPILOG)
    parser.add_argument(
        '--state-dir', type=pathlib.Path,
        default=os.environ.get(cloud_state.ENVIRONMENT),
        help=f'directory of the cloud (default: ${cloud_state.ENVIRONMENT}, '
             f'or {cloud_state.default_directory()}; run: a temporary one)')
    parser.add_argument('--quiet', action='store_true',
                        help='print no progress')
    verbs = parser.add_subparsers(dest='verb', required=True, metavar='VERB')

    starting = argparse.ArgumentParser(add_help=False)
    starting.add_argument(
        '--backup', choices=sorted(cinder.BACKUP_DRIVERS), default='default',
        help='the backup driver (default: %(default)s)')
    starting.add_argument(
        '--without', choices=sorted(cinder.SERVICES), action='append',
        default=[], metavar='SERVICE',
        help='leave this service of Cinder out; may be repeated '
             '(%(choices)s)')
    starting.add_argument('--debug', action='store_true',
                          help='let the services log everything')
    starting.add_argument(
        '--timeout', type=float, default=60, metavar='SECONDS',
        help='how long a service may take to be ready (default: %(default)s)')

    verbs.add_parser('up', parents=[starting],
                     help='start the cloud, or what is not running of it')
    down = verbs.add_parser(
        'down', help='stop it and remove its directory, whatever happened')
    down.add_argument('--keep', action='store_true',
                      help='leave the directory with its logs and data')
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
    env.add_argument('--clouds-yaml', action='store_true',
                     help='print a clouds.yaml instead')
    run = verbs.add_parser(
        'run', parents=[starting],
        help='start a cloud, run a command in its environment, take it down')
    run.add_argument('--keep-logs', type=pathlib.Path, metavar='DIRECTORY',
                     help='copy the logs there before the cloud goes')
    run.add_argument('command', nargs=argparse.REMAINDER,
                     help='-- COMMAND [ARGUMENT ...]')
    return parser


def _run(arguments: argparse.Namespace, say: console.Console) -> int:
    command = arguments.command
    if command[:1] == ['--']:
        command = command[1:]
    if not command:
        raise exceptions.LocalCloudError(
            'run needs a command: run -- COMMAND [ARGUMENT ...]')
    state = (cloud_state.State(arguments.state_dir) if arguments.state_dir
             else cloud_state.State.temporary())
    if state.exists:
        raise exceptions.InvalidState(
            f'There is a cloud in {state.root} already, and run would take '
            f'it down at its end. Use its environment (env), or another '
            f'--state-dir.')
    cloud = local_cloud.Cloud(state, say, arguments.timeout)
    try:
        cloud.up(arguments.backup, arguments.debug, arguments.without)
        try:
            return _wait(subprocess.Popen(
                command, env={**os.environ, **clients.variables(state)}))
        except OSError as error:
            raise exceptions.LocalCloudError(
                f'{command[0]}: {error.strerror}') from error
    finally:
        # A second Ctrl-C must not leave half of it.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if arguments.keep_logs and state.logs.is_dir():
            _copy_logs(state, arguments.keep_logs)
        cloud.down()


def _copy_logs(state: cloud_state.State, target: pathlib.Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for log in state.logs.iterdir():
        (target / log.name).write_bytes(log.read_bytes())


def _wait(process: subprocess.Popen) -> int:
    """Wait for the command; an interrupt is for it first, and then for us.

    :returns: its exit status, as a shell would give it
    """
    try:
        code = process.wait()
    except BaseException:
        # The terminal's Ctrl-C reached the command too; a signal to this
        # process alone did not.
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
    return code if code >= 0 else 128 - code


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


def _env(state: cloud_state.State, clouds_yaml: bool) -> int:
    state.load()
    path = (clients.clouds_yaml(state) if clouds_yaml
            else clients.openrc(state))
    try:
        sys.stdout.write(path.read_text())
    except FileNotFoundError:
        raise exceptions.InvalidState(
            f'The cloud in {state.root} never became ready; take it down '
            f'and start it again.') from None
    return 0


def _act(arguments: argparse.Namespace) -> int:
    say = console.Console(quiet=arguments.quiet)
    if arguments.verb == 'run':
        return _run(arguments, say)
    state = cloud_state.State(arguments.state_dir or
                              cloud_state.default_directory())
    cloud = local_cloud.Cloud(state, say, getattr(arguments, 'timeout', 60))
    if arguments.verb == 'up':
        cloud.up(arguments.backup, arguments.debug, arguments.without)
        say.say(f'the environment for clients: . {clients.openrc(state)}')
        return 0
    if arguments.verb == 'down':
        cloud.down(arguments.keep)
        return 0
    if arguments.verb == 'status':
        return _status(cloud, arguments.json)
    if arguments.verb == 'logs':
        return _logs(state, arguments.service, arguments.lines)
    return _env(state, arguments.clouds_yaml)


def _terminate(number, frame) -> None:
    raise SystemExit(128 + number)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    :param argv: the arguments without the program's name
    :returns: the exit status
    """
    arguments = _parser().parse_args(argv)
    # So that "finally" runs, and the cloud does not outlive its owner.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminate)
    try:
        return _act(arguments)
    except exceptions.LocalCloudError as error:
        print(f'error: {error}', file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:
        sys.stderr.close()
        return 0


if __name__ == '__main__':
    sys.exit(main())
