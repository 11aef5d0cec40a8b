# SPDX-License-Identifier: Apache-2.0

"""Releases of Cinder other than the one that is installed here.

Two releases cannot share a virtualenv, and the services of the cloud are
those of one. So Cinder's processes can run in another virtualenv: one that is
made here when it is asked for, with the versions that the release was tested
with, or one that exists already.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import fcntl
import hashlib
from importlib import metadata
from importlib import util
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

from local_cloud import console
from local_cloud import exceptions
from local_cloud.machine import cloud_state

#: The first number of Cinder's version, by the name of the release.
NUMBERS = {'2025.1': 26, '2025.2': 27, '2026.1': 28, '2026.2': 29}

# The first on native threads, where eventlet has no server for its API.
_NATIVE = 29

_CONSTRAINTS = pathlib.Path(__file__).parent / 'constraints'
# Requirements of Cinder's process beside Cinder and its own.
_REQUIREMENTS = ('psutil',)
# Its clients of a database server.
_CLIENTS = ('PyMySQL', 'psycopg2', 'psycopg2-binary')
# Marks a whole virtualenv; one that a kill has left has none.
_COMPLETE = 'complete'
_LOG_LINES = 15
# Seconds after which a virtualenv of other versions is not kept any more.
_KEPT = 30 * 24 * 3600

# Run by the interpreter in question.
_ASK = """\
import importlib.metadata as m, importlib.util as u, json, sys
versions = {}
for name in sys.argv[1:]:
    try:
        versions[name] = m.version(name)
    except m.PackageNotFoundError:
        pass
print(json.dumps({
    'python': sys.executable, 'prefix': sys.prefix, 'version': sys.version,
    'packages': versions}))
"""

# Packages that the schema of the database depends on.
_PACKAGES = ('cinder', 'oslo.db', 'SQLAlchemy', 'alembic')


def names() -> list[str]:
    """The releases that can be asked for by name, oldest first."""
    return sorted({path.stem.removeprefix('cinder-')
                   for path in _CONSTRAINTS.glob('cinder-*.txt')} |
                  {name for name, number in NUMBERS.items()
                   if number == _number(metadata.version('cinder'))})


def _number(version: str) -> int:
    return int(version.split('.')[0])


def number(state: cloud_state.State) -> int:
    """The first number of the version of the Cinder that a cloud runs."""
    return _number(version(state))


def name(state: cloud_state.State) -> str:
    """The release of a cloud's Cinder: a key of NUMBERS.

    It is ``master`` for a newer one, and empty for an older.
    """
    found = number(state)
    return next((release for release, one in NUMBERS.items() if one == found),
                'master' if found > max(NUMBERS.values()) else '')


def _chosen(state: cloud_state.State) -> Mapping[str, Any]:
    return state.record.get('cinder') or {}


def version(state: cloud_state.State) -> str:
    """The version of the Cinder that a cloud runs."""
    chosen = _chosen(state)
    return (chosen['packages']['cinder'] if chosen else
            metadata.version('cinder'))


def python(state: cloud_state.State) -> str:
    """The interpreter of a cloud's Cinder."""
    return _chosen(state).get('python', sys.executable)


def prefix(state: cloud_state.State) -> pathlib.Path:
    """The virtualenv of a cloud's Cinder."""
    return pathlib.Path(_chosen(state).get('prefix', sys.prefix))


def described(state: cloud_state.State) -> list[str]:
    """The versions that a schema of a cloud's Cinder depends on."""
    chosen = _chosen(state)
    if not chosen:
        return []
    return [chosen['version'], *(
        f'{name}={value}'
        for name, value in sorted(chosen['packages'].items()))]


def variables(state: cloud_state.State) -> dict[str, str]:
    """Variables by which Cinder's process finds this package."""
    if not _chosen(state):
        return {}
    # Only the linked packages: what else is installed here is of another
    # release. Places that the caller has added stay, of a driver maybe.
    places = [os.fspath(_packages(state))]
    if added := os.environ.get('PYTHONPATH'):
        places.append(added)
    return {'PYTHONPATH': os.pathsep.join(places)}


def _packages(state: cloud_state.State) -> pathlib.Path:
    return state.data / 'packages'


def link_packages(state: cloud_state.State, *drivers: str) -> None:
    """Make a directory of the packages that Cinder's process imports."""
    if not _chosen(state):
        return
    directory = _packages(state)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in {'local_cloud', *(one.partition('.')[0]
                                  for one in drivers if one)}:
        found = util.find_spec(name)
        if (name == 'cinder' or found is None or
                not found.submodule_search_locations):
            # Cinder's own, or from a place that the caller has added.
            continue
        with contextlib.suppress(FileExistsError):
            (directory / name).symlink_to(
                next(iter(found.submodule_search_locations)),
                target_is_directory=True)


def check(state: cloud_state.State) -> None:
    """Refuse a cloud whose Cinder's virtualenv is gone."""
    if not os.access(python(state), os.X_OK):
        raise exceptions.MissingPackage(
            f'the Cinder of the cloud in {state.root} ran in {prefix(state)}, '
            f'which is gone; take the cloud down and start it again')


def find(wanted: str | None, say: console.Console) -> dict[str, Any] | None:
    """Find the Cinder that is asked for; make its virtualenv if need be.

    :param wanted: a release, the Python of a virtualenv, or None
    :returns: its interpreter, virtualenv and versions, for a cloud's record;
        None for the one that is installed here
    """
    if not wanted:
        return None
    if os.sep in wanted:
        return _describe(os.path.abspath(wanted))
    if wanted not in names():
        raise exceptions.MissingPackage(
            f'unknown release {wanted} of Cinder; known: '
            f'{", ".join(names())}; for any other, name the Python of a '
            f'virtualenv that has it: --cinder /some/where/bin/python')
    if NUMBERS[wanted] == _number(metadata.version('cinder')):
        return None
    return _describe(os.fspath(_installed(wanted, say) / 'bin' / 'python'))


def _describe(interpreter: str) -> dict[str, Any]:
    # Paths of modules for this interpreter are not for it.
    done = None
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(
            [interpreter, '-I', '-c', _ASK, *_PACKAGES, *_REQUIREMENTS,
             *_CLIENTS, 'cheroot'],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60)
    try:
        found = json.loads(done.stdout) if done else {}
    except ValueError:
        found = {}
    if not found:
        raise exceptions.MissingPackage(
            f'--cinder {interpreter} is not a Python that can be run; name '
            f'bin/python of a virtualenv that has Cinder, or one of the '
            f'releases {", ".join(names())}')
    missing = {'cinder', *_REQUIREMENTS} - set(found['packages'])
    if not missing and _number(found['packages']['cinder']) >= _NATIVE:
        missing = {'cheroot'} - set(found['packages'])
    if missing:
        raise exceptions.MissingPackage(
            f'not installed in {found["prefix"]}: '
            f'{", ".join(sorted(missing))}; install it there: '
            f'{interpreter} -m pip install {" ".join(sorted(missing))}')
    # The name that was given: a virtualenv's Python may be a link, and is
    # known by where the link is.
    return {**found, 'python': interpreter}


def check_client(release: Mapping[str, Any] | None,
                 distributions: Sequence[str]) -> None:
    """Refuse a Cinder that has none of the clients of its database."""
    if (release and distributions and
            not {*distributions} & {*release['packages']}):
        raise exceptions.MissingPackage(
            f'not installed in {release["prefix"]}: {distributions[0]}; '
            f'install it there: {sys.executable} -m pip --python '
            f'{release["python"]} install {distributions[0]}')


def home() -> pathlib.Path:
    """The directory of the virtualenvs that were made here."""
    cache = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
    return pathlib.Path(cache, 'cinder-backup-local-cloud', 'releases')


def _installed(release: str, say: console.Console) -> pathlib.Path:
    """The virtualenv of a release, made if there is none."""
    constraints = _CONSTRAINTS / f'cinder-{release}.txt'
    digest = hashlib.sha256('\n'.join(
        (sys.version, *_REQUIREMENTS)).encode() + constraints.read_bytes())
    place = home()
    directory = place / f'{release}-{digest.hexdigest()[:12]}'
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = open(f'{directory}.lock', 'w')  # noqa: SIM115
    except OSError as error:
        raise exceptions.MissingPackage(
            f'Cinder {release} cannot be installed below {place}: '
            f'{error.strerror}; set XDG_CACHE_HOME to a directory that can '
            f'be written') from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say.say(f'waiting for another program that installs Cinder '
                    f'{release}')
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / _COMPLETE).exists():
            say.say(f'installing Cinder {release} into {directory}, this '
                    f'once: a minute or two')
            with say.step(f'Cinder {release}'):
                _install(release, directory, constraints, lock.fileno())
            _prune(place)
        # Of use: not to be pruned.
        os.utime(directory)
    return directory


def _install(release: str, directory: pathlib.Path,
             constraints: pathlib.Path, lock: int) -> None:
    """Make a virtualenv in its place, since it cannot be moved.

    What a kill leaves of it has no mark, and is recreated.
    """
    shutil.rmtree(directory, ignore_errors=True)
    log = pathlib.Path(f'{directory}.log')
    environment = {
        name: value for name, value in os.environ.items()
        # For other virtualenvs, or places outside of this one.
        if name not in ('PYTHONPATH', 'PYTHONHOME', 'PIP_TARGET',
                        'PIP_PREFIX', 'PIP_USER', 'PIP_REQUIREMENT')}
    # It covers the requirements of a build, too.
    environment['PIP_CONSTRAINT'] = os.fspath(constraints)
    # What a killed pip leaves goes with the virtualenv.
    temporary = directory / 'tmp'
    temporary.mkdir(parents=True)
    environment['TMPDIR'] = os.fspath(temporary)
    interpreter = os.fspath(directory / 'bin' / 'python')
    with open(log, 'wb') as output:
        for command, remedy in (
                # A pip of its own would take longer than all else here.
                ([sys.executable, '-m', 'venv', '--without-pip',
                  os.fspath(directory)],
                 'it needs the venv module (apt-get install python3-venv)'),
                ([sys.executable, '-m', 'pip', '--python', interpreter,
                  'install', '--progress-bar', 'off',
                  f'cinder~={NUMBERS[release]}.0', *_REQUIREMENTS],
                 'it needs pip, and PyPI or a mirror that pip knows')):
            try:
                _call(command, environment, output, lock)
            except (OSError, subprocess.CalledProcessError) as error:
                shutil.rmtree(directory, ignore_errors=True)
                lines = log.read_text(errors='replace').splitlines()
                raise exceptions.MissingPackage(
                    f'Cinder {release} could not be installed; {remedy}, or '
                    f'name the Python of a virtualenv that has it: --cinder '
                    f'/some/where/bin/python; the end of {log}:\n' +
                    '\n'.join(lines[-_LOG_LINES:] or [str(error)])
                ) from error
            except BaseException:
                shutil.rmtree(directory, ignore_errors=True)
                raise
    shutil.rmtree(temporary)
    (directory / _COMPLETE).touch()
    log.unlink()


def _call(command: list[str], environment: Mapping[str, str], output: Any,
          lock: int) -> None:
    """Run a command that an interrupt ends with all of its children.

    It holds the lock too: if this program is killed, another one waits until
    the command has ended.
    """
    process = subprocess.Popen(
        command, env=dict(environment), stdin=subprocess.DEVNULL,
        stdout=output, stderr=subprocess.STDOUT, pass_fds=[lock],
        start_new_session=True)
    try:
        code = process.wait()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if code:
        raise subprocess.CalledProcessError(code, command)


def _prune(place: pathlib.Path) -> None:
    """Remove virtualenvs that were not used for long."""
    for directory in place.iterdir():
        with contextlib.suppress(OSError):
            if (directory.is_dir() and
                    directory.stat().st_mtime < time.time() - _KEPT):
                shutil.rmtree(directory, ignore_errors=True)
