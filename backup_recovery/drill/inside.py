# SPDX-License-Identifier: Apache-2.0

"""The part of a drill that runs in the environment of its cloud.

It is a program of its own, whose configuration of Cinder is that of the cloud:
nothing in it knows where the backups have come from.
"""

from collections.abc import Iterator
import itertools
import logging
import os
import pathlib
import shlex
import subprocess
import sys
from typing import Any

import yaml

from backup_recovery import books
from backup_recovery import clouds
from backup_recovery import exceptions
from backup_recovery.drill import copying
from reference_drivers.scanning import source as sources

#: Files in the directory of a drill.
OBJECTS, RECORDS, PLAN = 'objects', 'records', 'plan'
NAMES, REPORT = 'names.yaml', 'report.json'
#: The exit status of a command that has done all but what it has named.
_WRONG = 1


def _configuration() -> str:
    state = pathlib.Path(os.environ['LOCAL_CLOUD_STATE_DIR'])
    return str(state / 'etc' / 'cinder' / 'cinder.conf')


def _make_project(cloud: Any, original: str) -> str:
    """Make a project in place of one of the first site; returns its id."""
    def ask(method: str, path: str, **arguments: Any) -> Any:
        return cloud.admin.request(method, path, 'identity', **arguments)

    made: str = ask('POST', '/projects', json={'project': {
        'name': f'drill-{original}', 'domain_id': 'default'}})['project']['id']
    role, = ask('GET', '/roles', params={'name': 'admin'})['roles']
    ask('PUT', f'/projects/{made}/users/{cloud.admin.user_id}/roles/'
               f'{role["id"]}')
    return made


def _fill(cloud: Any, source: sources.Source, directory: pathlib.Path,
          projects: dict[str, str]) -> None:
    """Give the storage of the cloud the objects; the copies go."""
    for original, found in itertools.groupby(
            copying.listed(directory), lambda one: one.project):
        session = cloud.session(projects[original])
        account = {'token': session.token, 'project': session.project_id,
                   'endpoint': session.account} if source.per_user else {}
        with source.opened(**account) as driver:
            containers = set()
            for one in found:
                if one.container not in containers:
                    driver.put_container(one.container)
                    containers.add(one.container)
                copy = directory / one.file
                with driver.get_object_writer(one.container,
                                              one.name) as writer:
                    writer.write(copy.read_bytes())
                copy.unlink()


def _commands(configuration: str, everything: bool) -> Iterator[list[str]]:
    yield ['plan', RECORDS, PLAN, '--map', NAMES]
    yield ['apply', PLAN]
    yield ['restore', PLAN, *(['--all'] if everything else [])]
    yield ['prove', PLAN, '--basic-connector', '--config-file', configuration]
    yield ['report', PLAN, REPORT]


def run(everything: bool) -> int:
    """Recover what is in the current directory; returns the exit status.

    :param everything: restore each backup, and not only the newest ones
    :raises RecoveryError: one line says why not
    """
    directory = pathlib.Path(OBJECTS)
    configuration = _configuration()
    cloud = clouds.Cloud()
    book = books.Book(pathlib.Path(RECORDS)).load()
    projects = {project: _make_project(cloud, project) for project in sorted(
        {one.facts.project_id or '' for one in book.records.values()})}
    try:
        source = sources.Source([configuration])
        _fill(cloud, source, directory, projects)
    except sources.ScanError as error:
        raise exceptions.RecoveryError(str(error)) from error
    pathlib.Path(NAMES).write_text(yaml.safe_dump({
        'projects': projects,
        'services': {one.service: source.name
                     for one in book.records.values()}}), encoding='utf-8')
    worst = 0
    for command in _commands(configuration, everything):
        print(f'+ cinder-backup-records {shlex.join(command)}', flush=True)
        code = subprocess.run([sys.executable, '-m', 'backup_recovery.main',
                               *command]).returncode
        worst = max(worst, code)
        # What comes next would only say that this is missing; but a report
        # is made of whatever there is.
        if code > _WRONG and command[0] == 'plan':
            break
    return worst


if __name__ == '__main__':
    # It logs the question whether a container is there.
    logging.getLogger('swiftclient').setLevel(logging.CRITICAL)
    try:
        sys.exit(run('--all' in sys.argv[1:]))
    except exceptions.RecoveryError as failure:
        sys.exit(f'error: {failure}')
