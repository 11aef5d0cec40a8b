# SPDX-License-Identifier: Apache-2.0

"""Drills: backups of one real cloud, recovered in another one."""

import json
import os
import pathlib
import signal
import subprocess

from backup_recovery import books
from backup_recovery.drill import choosing
from backup_recovery.drill import inside
from tests import cloud_cases
from tests.functional import test_records


class DrillCase(test_records.RecordsCase):
    number = 3

    def setUp(self):
        super().setUp()
        self.program('export', self.records)
        self.place = self.temporary / 'drill'

    def drill(self, *arguments, status=0):
        """Drill, and check that nothing is left of it."""
        before = self.site()
        found = self.program(
            'drill', self.records, self.place, '--config-file',
            self.state.config('cinder'), *arguments, status=status)
        self.assert_nothing_left(before)
        return found

    def assert_nothing_left(self, before):
        self.assertEqual(before, self.site())
        self.assertFalse((self.place / inside.OBJECTS).exists())
        self.assertEqual([], os.listdir(self.tmpdir))
        self.assertEqual([], self.processes())

    def site(self):
        """All that the first site has of backups."""
        with self.database() as database:
            rows = [database.execute(f'SELECT * FROM {name}').fetchall()
                    for name in ('backups', 'volumes', 'quota_usages')]
        return rows, self.stored()

    def stored(self):
        """The storage, with what a change of it would change."""
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_size)
                for path in self.storage.rglob('*')}

    def states(self):
        """The state of each backup in the report of the recovery."""
        report = json.loads((self.place / inside.REPORT).read_text())
        return {one['id']: one['state'] for one in report['backups']}


class DrillTest(DrillCase):
    """Of a directory."""

    def test_drawn(self):
        """The newest backups of the drawn volumes come back and are proved.

        Their projects do not exist in the cloud of the drill.
        """
        found = self.drill('--volumes', 2, '--seed', 7)
        book = books.Book(self.records).load()
        self.assertEqual((choosing.newest(book, 2, 7), 4, True),
                         (found['chosen'], found['backups'], found['good']))
        self.assertEqual({chain.incremental for chain in self.chains} & {
            *found['chosen']}, {*found['chosen']})
        self.assertEqual({'proved': 2, 'imported': 2}, found['states'])
        self.assertTrue(pathlib.Path(found['page']).is_file())
        self.assertIn('+ cinder-backup-records prove', self.said)

    def test_damaged(self):
        """Damage at the first site is found, and named.

        A chunk is changed, so that an incremental backup on it is not
        restored either; all of another backup is gone; a third is whole.
        """
        damaged, lost, whole = self.chains
        chunk = next(self.storage.glob(f'*/*/{damaged.full}/*-00001'))
        original = chunk.read_bytes()
        # The copies of a chain are links to one file.
        chunk.rename(self.temporary / 'chunk')
        self.addCleanup(os.replace, self.temporary / 'chunk', chunk)
        chunk.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
        self.hide(lost.full)
        found = self.drill(*(
            word for backup in (damaged.incremental, lost.full,
                                whole.incremental)
            for word in ('--backup', backup)), status=1)
        self.assertFalse(found['good'])
        self.assertEqual([lost.full], list(found['uncopied']))
        self.assertEqual({
            damaged.full: 'failed', damaged.incremental: 'failed',
            lost.full: 'failed', whole.full: 'imported',
            whole.incremental: 'proved'}, self.states())
        self.assertIn(chunk.name, self.said)

    def test_stopped(self):
        """A drill that is stopped leaves neither a cloud nor copies."""
        before = self.site()
        process = subprocess.Popen(
            [*map(str, (*test_records.PROGRAM, 'drill', self.records,
                        self.place, '--config-file',
                        self.state.config('cinder')))],
            env=self.environment, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        for line in process.stderr:
            if line.startswith('+ cinder-backup-records apply'):
                break
        else:
            self.fail('the drill did not get to its import')
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=cloud_cases.PATIENCE)
        self.assertEqual((2, 'interrupted'),
                         (process.returncode, said.splitlines()[-1]))
        self.assert_nothing_left(before)

    def test_mistakes(self):
        """Each is one line, and nothing is made or started."""
        def refused(reason, *arguments, records=self.records):
            self.assertIsNone(self.program('drill', records, self.place,
                                           *arguments, status=3))
            self.assertIn(reason, self.said)
            self.assertEqual(1, self.said.count('\n'), self.said)

        config = '--config-file', self.state.config('cinder')
        refused('has no record of backup nowhere', *config, '--backup',
                'nowhere')
        refused('cannot be read', '--config-file', '/nonexistent')
        refused('No such file', records=self.temporary / 'none')
        refused('not allowed with', '--backup', 'one', '--volumes', '1')
        refused('less than 1', '--volumes', '0')
        self.place.mkdir()
        refused('exists; choose another name', *config)
