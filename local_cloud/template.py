# SPDX-License-Identifier: Apache-2.0

"""A template of the empty cloud, so that only the first start makes schemas.

Schemas, keys, users and the catalogue are the same for every new cloud but
for the ports in the catalogue. They are made once for each set of versions
and kept with the virtualenv. So is a dump of Cinder's schema for each kind of
database server.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import fcntl
import hashlib
from importlib import metadata
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import time

from local_cloud import console
from local_cloud import exceptions
from local_cloud import releases
from local_cloud import settings
from local_cloud import sites
from local_cloud.machine import cloud_state
from local_cloud.machine import daemons
from local_cloud.services import base
from local_cloud.services import cinder
from local_cloud.services import database
from local_cloud.services import glance
from local_cloud.services import keystone

_SERVICES = (keystone.Keystone, glance.Glance, cinder.Cinder)
_KEYSTONE, _GLANCE, _CINDER = (service.name for service in _SERVICES)
_BOOTSTRAP_TIMEOUT = 120
# Templates that stay, of the versions that were made last: there may be one
# for each release of Cinder.
_KEPT = 6
# What stevedore has found in all packages of an environment, in the directory
# for caches. A service takes half a second to find it again.
_ENTRY_POINTS = 'python-entrypoints'


def key(state: cloud_state.State) -> str:
    """A digest of what the template for a cloud depends on.

    That are the versions of the services and of the libraries that write
    their schemas, and the text of the modules here that fill them.
    """
    digest = hashlib.sha256(sys.version.encode())
    for package in ('keystone', 'glance', 'cinder', 'oslo.db', 'SQLAlchemy',
                    'alembic'):
        digest.update(f'{package}={metadata.version(package)}\n'.encode())
    for line in releases.described(state):
        digest.update(f'Cinder: {line}\n'.encode())
    here = pathlib.Path(__file__).parent
    for module in sorted(here.rglob('*.py')):
        digest.update(module.read_bytes())
    return digest.hexdigest()[:16]


def home() -> pathlib.Path | None:
    """The directory of templates: with the virtualenv, if it is writable.

    Else in the user's cache, if there is one; else nowhere.
    """
    places = []
    if sys.prefix != sys.base_prefix:
        places.append(pathlib.Path(sys.prefix, 'var', 'local-cloud'))
    cache = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
    places.append(pathlib.Path(cache, 'cinder-backup-local-cloud'))
    for place in places:
        with contextlib.suppress(OSError):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            if os.access(place, os.R_OK | os.W_OK | os.X_OK):
                return place
    return None


def instantiate(state: cloud_state.State, say: console.Console) -> None:
    """Copy the template into a new cloud, whose record has its ports.

    The cloud gets its passwords. Makes the template first where there is none
    for these versions.
    """
    make(state, say, copy=True)
    _set_endpoints(state)


def first(state: cloud_state.State) -> pathlib.Path:
    """The file with Cinder's first, empty database."""
    return state.data / 'empty' / f'{_CINDER}.sqlite'


def make(state: cloud_state.State, say: console.Console,
         copy: bool = False) -> None:
    """Make the template where there is none for these versions.

    :param state: a cloud, as a part of which it is made
    :param copy: copy it into that cloud, too
    """
    with locked(state, say) as directory:
        if not (directory / 'record.json').exists():
            with say.step('making the template: schemas, users, catalogue'):
                _make(directory, state)
            _prune(directory.parent)
        if copy:
            _copy(directory, state)


@contextlib.contextmanager
def locked(state: cloud_state.State, say: console.Console
           ) -> Iterator[pathlib.Path]:
    """Lock a template's directory, which may have to be made."""
    place = home()
    if place is None:
        say.say('no directory to keep a template in: every start makes its '
                'own')
        place = state.tmp
    # Two first starts at the same time: the second one waits for the first.
    with open(place / 'lock', 'w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say.say('waiting for another program that makes the template')
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield place / key(state)


def _prune(place: pathlib.Path) -> None:
    """Remove templates of versions that were used long ago."""
    templates = sorted((path.parent for path in place.glob('*/record.json')),
                       key=lambda path: path.stat().st_mtime)
    for old in templates[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def _copy(directory: pathlib.Path, state: cloud_state.State) -> None:
    record = json.loads((directory / 'record.json').read_text())
    for name in (_KEYSTONE, _GLANCE):
        shutil.copy2(directory / f'{name}.sqlite', state.database(name))
    shutil.copytree(directory / 'keystone-keys',
                    state.data / 'keystone-keys', dirs_exist_ok=True)
    shutil.copytree(directory / _ENTRY_POINTS, state.tmp / _ENTRY_POINTS,
                    dirs_exist_ok=True)
    state.record['passwords'] = record['passwords']
    if database.wanted(state):
        return
    kept = first(state)
    kept.parent.mkdir(mode=0o700, exist_ok=True)
    for path in (kept, *(state.database(site.name)
                         for site in sites.of(state))):
        shutil.copy2(directory / f'{_CINDER}.sqlite', path)


def _set_endpoints(state: cloud_state.State) -> None:
    with contextlib.closing(
            sqlite3.connect(state.database(_KEYSTONE))) as connection:
        for service in settings.CATALOGUE:
            connection.execute(
                'UPDATE endpoint SET url = ? WHERE service_id IN '
                '(SELECT id FROM service WHERE type = ?)',
                (settings.endpoint(state, service),
                 settings.CATALOGUE[service][0]))
        connection.commit()


def _make(directory: pathlib.Path, owner: cloud_state.State) -> None:
    """Make a template.

    It is built as a part of the cloud that needs it, with its mark and in its
    directory, so that the "down" of that removes the rest after a kill.
    """
    state = cloud_state.State(owner.tmp / 'template')
    try:
        state.create(owner.cloud_id)
        # Nothing listens there: every copy gets ports of its own.
        state.record.update(
            ports={service.name: 1 for service in _SERVICES},
            passwords=settings.new_passwords(), debug=False,
            backup='default', cinder=owner.record.get('cinder'),
            cinder_services=list(cinder.SERVICES))
        state.save()
        services = [service(state) for service in _SERVICES]
        for service in services:
            service.configure()
        # stevedore keeps nothing for a virtualenv below /tmp.
        (state.tmp / _ENTRY_POINTS).mkdir()
        bootstrap(services)
        # Made beside its place and then renamed: a kill leaves no half of
        # a template, only a directory that the next build removes.
        new = f'{directory}.new'
        shutil.rmtree(new, ignore_errors=True)
        os.mkdir(new, 0o700)
        for service in services:
            _copy_database(state.database(service.name),
                           os.path.join(new, f'{service.name}.sqlite'))
        shutil.copytree(state.data / 'keystone-keys',
                        os.path.join(new, 'keystone-keys'))
        shutil.copytree(state.tmp / _ENTRY_POINTS,
                        os.path.join(new, _ENTRY_POINTS))
        record = os.path.join(new, 'record.json')
        with open(os.open(record, os.O_WRONLY | os.O_CREAT, 0o600),
                  'w') as file:
            json.dump({'passwords': state.record['passwords']}, file)
        shutil.rmtree(directory, ignore_errors=True)
        os.rename(new, directory)
    finally:
        daemons.stop_all(state)
        shutil.rmtree(state.root, ignore_errors=True)


def bootstrap(services: Sequence[base.Bootstrapped]) -> None:
    """Make the schemas of services, at the same time."""
    children = [(service, daemons.spawn(
        service.state, service.name, service.bootstrap_command(),
        service.environment())) for service in services]
    deadline = time.monotonic() + _BOOTSTRAP_TIMEOUT
    for service, child in children:
        try:
            code = child.wait(timeout=max(0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            code = None
        if code != 0:
            raise exceptions.ServiceFailed(
                f'{service.name} could not make its database (it '
                + (f'exited with {code}' if code is not None else
                   f'did not end within {_BOOTSTRAP_TIMEOUT} s')
                + '); the end of its log:\n' +
                daemons.tail(service.state, service.name))


def _copy_database(source: pathlib.Path, target: str) -> None:
    """Copy a database with what is still in its log, readable at any time."""
    with contextlib.closing(sqlite3.connect(source)) as old, \
            contextlib.closing(sqlite3.connect(target)) as new:
        old.backup(new)
        new.execute('PRAGMA journal_mode=WAL')
    os.chmod(target, 0o600)


def fill(state: cloud_state.State, say: console.Console) -> None:
    """Make the databases of a new cloud on its server, which runs."""
    service = database.Database(state)
    service.dumped.parent.mkdir(mode=0o700, exist_ok=True)
    kind = f'{database.kind(state)}-{service.version()}'
    with locked(state, say) as directory:
        kept = directory / f'cinder.{kind}.sql'
        if not kept.exists():
            with say.step(f'making the schema for {kind}'):
                name = database.name_of(cinder.Cinder.name)
                service.server.create(name)
                bootstrap([cinder.Cinder(state)])
                new = kept.with_suffix('.new')
                service.server.dump(name, new)
                os.replace(new, kept)
        shutil.copyfile(kept, service.dumped)
    with say.step("Cinder's databases"):
        for site in sites.of(state):
            renew(state, site)


def renew(state: cloud_state.State, site: sites.Site = sites.FIRST) -> None:
    """Replace a Cinder's database by its first one.

    Not by the template's, which is another one after an upgrade.
    """
    service = database.Database(state)
    kept = service.dumped if database.wanted(state) else first(state)
    if not kept.exists():
        raise exceptions.InvalidState(
            f'the cloud in {state.root} has no pristine database snapshot; '
            f'take it down and start it again')
    if database.wanted(state):
        if (answer := service.ready()) is not True:
            raise exceptions.ServiceFailed(
                f'the database of the cloud in {state.root} does not answer '
                f'({answer}); "up" starts it')
        name = database.name_of(site.name)
        service.server.create(name)
        service.server.load(name, kept)
        return
    path = state.database(site.name)
    # Its log would be applied to the new one.
    for old in path.parent.glob(f'{path.name}*'):
        old.unlink()
    shutil.copy2(kept, path)
