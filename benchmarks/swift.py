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

"""Measure what level presence asks of Swift as the number of chunks grows.

Starts Keystone and Swift as the local cloud has them, makes one tiny backup
through the reference driver, and lists its chunk as often as there are to be
chunks. Counts the requests of level presence (L1), and times it beside what
Cinder's own restore reads before the first chunk. Prints a table and a verdict
by goal::

    python -m benchmarks.swift --json swift.json

Exit codes: 0 measured, also where a goal is missed, since time is no test; 3
it could not be measured. The services and all that was made is removed again,
also after an interruption.
"""

import argparse
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import json
import os
import subprocess
import sys
from typing import Any
import urllib.parse
import uuid

from benchmarks import command
from benchmarks import presence
from benchmarks import results

DRIVER = 'reference_drivers.swift.SwiftBackupDriver'
MIB = results.MIB
#: So many objects are on a page of a listing at most.
PAGE = 10_000
_CHUNKS_MOST = 100_000
#: Of Cinder's services none is wanted: the driver runs in this process.
_WITHOUT = ('cinder-volume', 'cinder-backup')


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog='python -m benchmarks.swift',
        description='Measure what level presence asks of Swift as the number '
                    'of chunks grows.')
    made.add_argument('--chunks', type=command.whole(1, _CHUNKS_MOST),
                      nargs='+', default=[10, 1000, 100_000], metavar='N',
                      help='for so many chunks (10 1000 100000)')
    command.add_arguments(made, readers=False)
    return made


def check(arguments: Any) -> None:
    """Refuse what would fail only after a long run.

    :raises Failed: with the remedy
    """
    command.check(arguments, max(arguments.chunks) * 2048 + 512 * MIB,
                  '--chunks')
    from benchmarks import clouds

    clouds.check('swift', 'memory')


def is_page(method: str, url: str) -> bool:
    """Whether a request asks for a page of what a container has."""
    return method == 'GET' and 'prefix' in urllib.parse.parse_qs(
        urllib.parse.urlsplit(url).query)


@contextlib.contextmanager
def counted() -> Iterator[list[tuple[str, str]]]:
    """Write down each request that this process sends.

    Below the connection of the driver and below that to Keystone.

    :returns: method and URL of each
    """
    import requests

    asked: list[tuple[str, str]] = []
    real = requests.Session.request

    def request(session: Any, method: str, url: str, **kwargs: Any) -> Any:
        asked.append((method, url))
        return real(session, method, url, **kwargs)

    requests.Session.request = request  # type: ignore[assignment]
    try:
        yield asked
    finally:
        requests.Session.request = real  # type: ignore[method-assign]


def options(state: Any) -> dict[str, Any]:
    """What the driver is told of a cloud's Swift.

    :param state: the cloud
    """
    from local_cloud import settings

    return {
        'backup_swift_enable_progress_timer': False,
        'backup_swift_auth': 'single_user',
        'backup_swift_auth_version': '3',
        'backup_swift_auth_url': settings.url(state, 'keystone') + '/v3',
        'backup_swift_user': settings.ADMIN_USER,
        'backup_swift_key': state.record['passwords'][settings.ADMIN_USER],
        'backup_swift_project': settings.ADMIN_PROJECT,
        'backup_swift_user_domain': 'Default',
        'backup_swift_project_domain': 'Default',
        'backup_swift_object_size': results.BLOCK,
        'backup_swift_block_size': results.BLOCK,
        'backup_compression_algorithm': 'zlib'}


def measure_chunks(local: Any, cinder: Any, count: int, rounds: int
                   ) -> presence.Listed:
    """Measure L1 for a number of chunks.

    :param local: the cloud
    :param cinder: with the reference driver for Swift
    :param count: how many chunks
    :param rounds: how often
    :returns: what was measured
    """
    from cinder.backup.drivers import swift

    from benchmarks import growth
    from benchmarks import steps
    from reference_drivers.contract import base

    cinder.configure(backup_swift_container=uuid.uuid4().hex)
    volume = cinder.create_volume(
        base.text(results.BLOCK),
        size=max(1, -(-count * results.BLOCK // steps.GIB)))
    backup = cinder.create_backup(volume)
    _multiply(local.state, cinder.driver(), backup, count)
    backup.object_count = count
    backup.save()

    def verify() -> None:
        # As for each import: with a connection and a token of its own.
        report = cinder.driver().verify(backup, 'presence')
        if not report.ok:
            raise results.Failed('a good backup is reported: '
                                 f'{report.problems[0]}')
        if len(report.chain[0].chunks) != count:
            raise results.Failed('level presence has not seen every chunk')

    def read() -> None:
        driver = swift.SwiftBackupDriver(cinder.context)
        driver.initialize()
        growth.read_as_cinder(driver, backup)

    with counted() as asked:
        verify()
    with counted() as in_tree:
        read()
    made = presence.Listed(
        count, len(asked), sum(is_page(*one) for one in asked), len(in_tree),
        steps.peak(verify))
    presence.measure(made, verify, read, rounds)
    os.remove(cinder.path(volume.id))
    return made


def _multiply(state: Any, driver: Any, backup: Any, count: int) -> None:
    """Make a backup of one chunk one of many."""
    from benchmarks import growth

    driver.initialize()
    connection = driver.conn
    container, prefix = backup.container, backup.service_metadata

    def read(name: str) -> Any:
        return json.loads(connection.get_object(container,
                                                f'{prefix}_{name}')[1])

    def write(name: str, content: Any) -> None:
        connection.put_object(container, f'{prefix}_{name}',
                              json.dumps(content, indent=2, sort_keys=True))

    chunk = connection.head_object(container, f'{prefix}-00001')
    done = subprocess.run(
        [sys.executable, '-m', 'benchmarks.swift_rows',
         str(state.data / 'swift'), container, prefix, str(count),
         chunk['content-length'], chunk['etag']],
        capture_output=True, text=True, check=False)
    if done.returncode:
        raise results.Failed(
            f'objects cannot be listed: {done.stderr.strip()[-500:]}')
    metadata = read('metadata')
    (_, values), = metadata['objects'][0].items()
    metadata['objects'] = list(growth.chunks_of(prefix, values, count))
    write('metadata', metadata)
    hashes = read('sha256file')
    hashes['sha256s'] *= count
    write('sha256file', hashes)


def verdicts(listed: Sequence[presence.Listed]) -> list[results.Verdict]:
    """Compare what was measured with the goals."""
    # The last page of each listing is the empty one.
    wanted = [-(-(one.chunks + 2) // PAGE) + 1 for one in listed]
    pages = [one.pages for one in listed]
    return [
        results.same('requests of L1 but for pages of listings',
                     [one.others for one in listed]),
        results.Verdict('pages of the listing, and an empty one',
                        ', '.join(str(one) for one in wanted),
                        ', '.join(str(one) for one in pages),
                        wanted == pages)]


def measure(arguments: Any) -> dict[str, Any]:
    """Measure and print.

    :param arguments: of :func:`parser`
    :returns: all of it, for JSON
    """
    from benchmarks import clouds
    from reference_drivers.contract import environment

    where = command.machine('cinder', 'swift', 'python-swiftclient')
    command.say(', '.join(f'{name} {value}' for name, value in where.items()))
    command.progress('starting Keystone and Swift')
    listed = []
    with (clouds.started(backup='swift', without=_WITHOUT) as local,
          environment.Environment(DRIVER, options(local.state)) as cinder):
        for count in sorted(set(arguments.chunks)):
            command.progress(f'{count} chunks')
            listed.append(measure_chunks(local, cinder, count,
                                         arguments.rounds))
    return presence.tell('swift', arguments, where, listed,
                         verdicts(listed))


def main(argv: list[str] | None = None) -> int:
    """The program.

    :param argv: arguments without the program's name
    :returns: the exit code
    """
    return command.main(parser(), check, measure, argv)


if __name__ == '__main__':
    command.terminate_as_interrupted()
    sys.exit(main())
