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

"""What verification and export cost as the number of chunks grows."""

from collections.abc import Callable
from collections.abc import Iterator
import json
import os
from typing import Any

from cinder.backup.drivers import posix

from benchmarks import results
from benchmarks import steps
from reference_drivers.contract import base
from reference_drivers.contract import environment
from reference_drivers.verification import store as stores

BLOCK = results.BLOCK


class _CountingStore(stores.PosixStore):
    """Counts how often the store is asked."""

    listings = reads = 0

    def entries(self, container: str, prefix: str) -> Any:
        self.listings += 1
        return super().entries(container, prefix)

    def pieces(self, container: str, name: str,
               extra_metadata: Any = None) -> Any:
        self.reads += 1
        return super().pieces(container, name, extra_metadata)


def measure_listing(cinder: environment.Environment, count: int,
                    rounds: int) -> results.Listing:
    """Measure L1 and export for a number of chunks.

    One tiny backup is made through the driver; its chunk is then there many
    times, and its metadata says so.

    :param cinder: with the reference driver for a directory
    :param count: how many chunks
    :param rounds: how often
    :returns: what was measured
    """
    cinder.configure(backup_compression_algorithm='zlib',
                     backup_file_size=BLOCK)
    volume = cinder.create_volume(
        base.text(BLOCK), size=max(1, -(-count * BLOCK // steps.GIB)))
    backup = cinder.create_backup(volume)
    driver: Any = cinder.driver()
    in_tree = posix.PosixBackupDriver(cinder.context)
    store = _CountingStore(driver)
    directory = store.directory(backup.container)
    multiply(os.path.join(directory, backup.service_metadata), count)
    backup.object_count = count
    backup.save()
    driver.get_store = lambda: store

    def verify() -> None:
        report = driver.verify(backup, 'presence')
        if not report.ok:
            raise results.Failed('a good backup is reported: '
                                 f'{report.problems[0]}')
        if len(report.chain[0].chunks) != count:
            raise results.Failed('level presence has not seen every chunk')

    def export(with_driver: Any) -> None:
        # As the manager does.
        backup.encode_record(driver_info=with_driver.export_record(backup))

    made = results.Listing(
        chunks=count, memory=steps.peak(verify),
        in_tree_memory=steps.peak(lambda: read_as_cinder(in_tree, backup)),
        listings=store.listings, reads=store.reads,
        driver_info=len(json.dumps(driver.export_record(backup))))
    made.export_calls = store.listings + store.reads - made.calls
    timed: list[tuple[results.Series, Callable[[], None]]] = [
        (made.presence, verify),
        (made.export, lambda: export(driver)),
        (made.in_tree_export, lambda: export(in_tree))]
    for number in range(rounds):
        turn = number % len(timed)
        for series, step in timed[turn:] + timed[:turn]:
            steps.timed(series, step)
    driver.delete_backup(backup)
    os.remove(cinder.path(volume.id))
    return made


def read_as_cinder(in_tree: Any, backup: Any) -> None:
    """What Cinder's own restore has in memory before the first chunk."""
    metadata = in_tree._read_metadata(backup)
    found = sorted(in_tree._generate_object_names(backup))
    if len(found) != len(metadata['objects']) + 2:
        raise results.Failed("Cinder's driver has not read every chunk")


def measure_memory(cinder: environment.Environment, size: int, readers: int
                   ) -> Iterator[results.Content]:
    """Measure the memory of L2 as the number of chunks grows.

    The chunks are compressed with zstd, and their size is the same in each.

    :param cinder: with the reference driver for a directory
    :param size: bytes of the largest volume
    :param readers: how many threads
    :returns: what was measured, for four times as many chunks each time
    """
    chunk = max(2 * BLOCK, size // 64 // BLOCK * BLOCK)
    cinder.configure(backup_compression_algorithm='zstd',
                     backup_file_size=chunk)
    for count in (4, 16, 64):
        if count * chunk > size:
            break
        volume = cinder.create_volume(
            size=max(1, -(-count * chunk // steps.GIB)))
        steps.write_volume(cinder.path(volume.id), count * chunk)
        backup = cinder.create_backup(volume)
        driver = cinder.driver()

        def verify(driver: Any = driver, backup: Any = backup,
                   expected: int = count * chunk) -> None:
            report = driver.verify(backup, 'content', readers=readers)
            if not report.ok or report.read != expected:
                raise results.Failed('level content has not read everything')

        yield results.Content(count, chunk, readers, steps.peak(verify))
        driver.delete_backup(backup)
        os.remove(cinder.path(volume.id))


def chunks_of(prefix: str, values: dict[str, Any], count: int
              ) -> Iterator[dict[str, Any]]:
    """What the metadata says of a chunk that is there many times.

    :param prefix: of the names of all chunks
    :param values: of the first one
    :returns: an entry for each
    """
    for number in range(count):
        yield {f'{prefix}-{number + 1:05d}': {**values,
                                              'offset': number * BLOCK}}


def multiply(prefix: str, count: int) -> None:
    """Make a backup of one chunk one of many.

    :param prefix: what the names of its files begin with
    :param count: how many
    """
    with open(f'{prefix}_metadata', encoding='utf-8') as stream:
        metadata = json.load(stream)
    (name, values), = metadata['objects'][0].items()
    short = os.path.basename(prefix)
    with open(os.path.join(os.path.dirname(prefix), name), 'rb') as stream:
        chunk = stream.read()
    for number in range(1, count):
        with open(f'{prefix}-{number + 1:05d}', 'wb') as stream:
            stream.write(chunk)
    metadata['objects'] = list(chunks_of(short, values, count))
    with open(f'{prefix}_metadata', 'w', encoding='utf-8') as stream:
        json.dump(metadata, stream, indent=2, sort_keys=True)
    with open(f'{prefix}_sha256file', encoding='utf-8') as stream:
        hashes = json.load(stream)
    hashes['sha256s'] *= count
    with open(f'{prefix}_sha256file', 'w', encoding='utf-8') as stream:
        json.dump(hashes, stream, indent=2, sort_keys=True)
