# SPDX-License-Identifier: Apache-2.0

"""Volumes that faulty drivers have restored, compared without the originals.

The drivers of ``mutants/restores.py``, each in this process.
"""

import contextlib
import os

from mutants import catalogue
from mutants import restores
from reference_drivers.contract import base
from reference_drivers.contract import environment
from tests import prove_cases

#: Mutants of restores that do not change a byte where they say success.
UNSEEN = {
    'ReadsOnePage': 'it refuses the restore',
    'CutsOffsets': 'the volumes are small',
    'LosesProperties': 'of the volume, the bytes are right',
    'GivesFirstProperties': 'of the volume, the bytes are right',
    'ComposesProperties': 'of the volume, the bytes are right',
    'MakesBootable': 'of the volume, the bytes are right',
    'RestoreLeavesMark': 'the bytes are right',
    'BacksUpWholeBlocks': 'the backup is wrong, and so are its hashes',
    'DecompressesAsConfigured': 'it refuses the restore',
    'AlwaysCompares': 'it refuses the restore',
    'BacksUpSectors': 'the backup is wrong, and so are its hashes',
}


class ProveMutantsTest(prove_cases.ProveCase):
    """Each driver that restores other bytes, and the one without a defect."""

    def setUp(self):
        # The environment is one of each driver.
        super(base.Contract, self).setUp()

    def wrong(self, backup, size, volume=None):
        """True where a restore has succeeded, and the volume is wrong."""
        try:
            content = self.cinder.restore(backup.id, volume)
        except Exception:
            return False
        found = self.prove(backup, content.ljust(size, b'\0'), status=None)
        return found['ok'] is False

    def story(self):
        """Yield whether a volume is wrong, for each that was restored."""
        contents = self.generations()
        size = len(contents[0])
        chain = self.chain(*contents)
        for backup in chain:
            yield self.wrong(backup, size)
            for old in (base.noise(size, 99), base.noise(size, 99) +
                        bytes(2 * self.chunk)):
                yield self.wrong(backup, len(old),
                                 self.cinder.create_volume(old))
        self.cinder.configure(backup_compression_algorithm='bz2')
        text = base.text(size)
        backup, = self.chain(text)
        yield self.wrong(backup, size)
        # What the options are by now is not what they were.
        for algorithm in 'zlib', 'none':
            self.cinder.configure(**{
                self.chunk_option: self.block,
                'backup_compression_algorithm': algorithm})
            yield self.wrong(backup, size)
        self.cinder.configure(**{self.chunk_option: self.chunk})
        links = [base.noise(size)]
        for number in range(1, 12):
            links.append(self.changed(links[-1], number, seed=number))
        yield self.wrong(self.chain(*links)[-1], size)
        self.cinder.configure(backup_compression_algorithm='none')
        for damage in (self.change, os.remove):
            backup, = self.chain(text)
            damage(os.path.join(
                self.cinder.directory, 'backup', backup.container,
                f'{backup.service_metadata}-00002'))
            yield self.wrong(backup, size)
        self.cinder.lose_row(chain[0].id)
        yield self.wrong(chain[-2], size)

    @staticmethod
    def change(path):
        with open(path, 'r+b') as stream:
            stream.write(b'x')

    @contextlib.contextmanager
    def running(self, driver):
        with environment.Environment(driver, {
                self.chunk_option: self.chunk,
                self.block_option: self.block}) as self.cinder:
            yield

    def test_each_is_found(self):
        names, found = set(), set()
        for one in catalogue.drivers():
            module, _, name = one.path.rpartition('.')
            if module != restores.__name__:
                continue
            names.add(name)
            if name in UNSEEN:
                continue
            with self.running(one.path):
                if any(self.story()):
                    found.add(name)
        self.assertEqual(names, found | set(UNSEEN))

    def test_no_false_alarm(self):
        with self.running(self.driver):
            self.assertEqual([], [number for number, wrong in
                                  enumerate(self.story()) if wrong])
