# SPDX-License-Identifier: Apache-2.0

import json
import os
import subprocess
import sys
from unittest import mock

import fixtures
from tempest.lib import exceptions as lib_exc
import testtools

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import record as backup_record
from cinder_backup_recovery_tests.cloud import clients
from cinder_backup_recovery_tests.cloud import ledger
from cinder_backup_recovery_tests.cloud import locks
from cinder_backup_recovery_tests.cloud import regions
from cinder_backup_recovery_tests.cloud import run_mark
from cinder_backup_recovery_tests.cloud import safe_delete
from cinder_backup_recovery_tests.cloud import services
from cinder_backup_recovery_tests.cmd import cleanup
from cinder_backup_recovery_tests.rows import temporary
from tests.unit import fake_cloud


class CleanupTest(fake_cloud.CloudCase):
    def setUp(self):
        super().setUp()
        self.accounts = mock.Mock()
        self.quotas = []
        self.lines = []

    def run_it(self, dry_run=False, others=(), **kwargs):
        return len(cleanup.Cleanup(
            safe_delete.SafeDelete(
                self.cloud, self.ledger, fake_cloud.PATIENCE),
            self.accounts, lambda *args: self.quotas.append(args),
            self.lines.append, dry_run, others, **kwargs).run())

    def add(self, kind, **kwargs):
        resource_id = self.cloud.add(kind, **kwargs)
        self.ledger.add(kind, resource_id, f'{kind}-name')
        return resource_id

    def test_order(self):
        image_id = self.add(clients.IMAGE)
        volume_id = self.add(clients.VOLUME)
        attachment_id = self.add(clients.ATTACHMENT, volume_id=volume_id,
                                 after_delete=[None])
        parent_id = self.add(clients.BACKUP)
        child_id = self.add(clients.BACKUP)
        snapshot_id = self.add(clients.SNAPSHOT)
        self.assertEqual(0, self.run_it())
        self.assertEqual(
            [attachment_id, child_id, parent_id, snapshot_id, volume_id,
             image_id],
            [request[2] for request in self.cloud.requests])
        self.assertEqual([], self.ledger.entries())
        self.assertEqual({}, self.cloud.resources)
        self.assertIn(f'backup {child_id} (backup-name) removed', self.lines)

    def test_other_region(self):
        there = fake_cloud.FakeCloud()
        ledger_there = regions.RegionLedger(self.ledger, 'RegionTwo')
        self.addCleanup(ledger_there.close)
        # An id that both regions know, and that each has to remove.
        backup_id = self.add(clients.BACKUP)
        there.add(clients.BACKUP, id=backup_id)
        ledger_there.add(clients.BACKUP, backup_id)
        self.assertEqual(0, self.run_it(others=[safe_delete.SafeDelete(
            there, ledger_there, fake_cloud.PATIENCE)]))
        self.assertEqual(({}, {}), (self.cloud.resources, there.resources))
        self.assertEqual([], self.ledger.entries())

    def test_what_is_not_listed_stays(self):
        foreign = self.cloud.add(clients.VOLUME, name='volume-name')
        self.add(clients.VOLUME)
        self.run_it()
        self.assertEqual([(clients.VOLUME, foreign)],
                         list(self.cloud.resources))

    def test_again(self):
        self.add(clients.VOLUME)
        self.run_it()
        del self.lines[:]
        self.assertEqual(0, self.run_it())
        self.assertEqual([], self.lines)

    def test_unanswered(self):
        self.ledger.intend(clients.BACKUP, 'the-name')
        self.cloud.add(clients.BACKUP, name='the-name')
        self.assertEqual(0, self.run_it())
        self.assertEqual({}, self.cloud.resources)
        self.assertEqual(
            ['backup of an unanswered request (the-name) removed'],
            self.lines)

    def test_lost_row(self):
        self.ledger.add(clients.BACKUP, 'b')
        record = self.cloud.export_record('b')
        self.ledger.add(safe_delete.RECORD, 'b', **record.to_api())
        self.assertEqual(0, self.run_it())
        self.assertEqual([('import', 'b'), ('delete', clients.BACKUP, 'b')],
                         self.cloud.requests)
        self.assertEqual([], self.ledger.entries())

    def test_what_cannot_be_removed_does_not_stop_the_rest(self):
        first = self.add(clients.VOLUME)
        second = self.add(clients.VOLUME, after_delete=['error_deleting'])
        self.cloud.said[second] = ['the\ndriver refuses']
        self.assertEqual(1, self.run_it())
        self.assertNotIn((clients.VOLUME, first), self.cloud.resources)
        self.assertEqual([second], [
            entry.resource_id for entry in self.ledger.entries()])
        line, = (line for line in self.lines if 'could not' in line)
        self.assertIn(second, line)
        self.assertIn('message: the driver refuses', line)

    def test_dry_run(self):
        self.add(clients.VOLUME)
        self.ledger.add(clients.USER, 'u')
        self.ledger.note('quota', 'p/backups', 10, 20)
        self.assertEqual(0, self.run_it(dry_run=True))
        self.assertEqual(3, len(self.lines))
        self.assertEqual([], self.cloud.requests)
        self.assertEqual([], self.quotas)
        self.assertEqual([], self.accounts.mock_calls)
        self.assertEqual(2, len(self.ledger.entries()))

    def test_rows_of_a_volume_are_given_back_first(self):
        volume_id = self.add(clients.VOLUME)
        self.ledger.note(temporary.KIND, f'volume {volume_id}',
                         {'what': 'volume', 'id': volume_id,
                          'rows': {'volumes': ['a secret']}}, 'hard')

        def fail(change):
            raise exceptions.DatabaseUnreachable('no database')

        self.assertEqual(0, self.run_it(True, give_rows=fail))
        self.assertEqual(2, self.run_it(give_rows=fail))
        self.assertEqual([], self.cloud.requests)
        self.assertEqual([], [line for line in self.lines
                              if 'secret' in line])
        self.assertEqual(0, self.run_it(give_rows=lambda change: (
            self.ledger.restored(change.kind, change.key))))
        self.assertEqual({}, self.cloud.resources)

    def test_storage_is_given_back_before_anything_is_removed(self):
        self._given_back(services.BackupStorage, 'give_storage',
                         'storage of the backups undone')

    def test_key_manager_is_given_back_before_anything_is_removed(self):
        self._given_back(services.KeyManager, 'give_keys',
                         'key manager of the cloud undone')

    def _given_back(self, kind, giving, line):
        self.add(clients.BACKUP)
        path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'here')
        stopped = kind('true', f'touch {path}', self.ledger)
        stopped.check()
        stopped.stop()
        self.assertEqual(1, len(self.ledger.changes(kind.kind)))

        def give(change):
            self.assertEqual([], self.cloud.requests)
            stopped.start()

        self.assertEqual(0, self.run_it(**{giving: give}))
        self.assertTrue(os.path.exists(path))
        self.assertEqual([], self.ledger.changes())
        self.assertEqual({}, self.cloud.resources)
        self.assertIn(line, self.lines)

    def test_settings_are_put_back(self):
        self.ledger.note('quota', 'p/backups', 10, 20)
        self.assertEqual(0, self.run_it())
        self.assertEqual([('p', 'backups', 10)], self.quotas)
        self.assertEqual([], self.ledger.changes())

    def test_an_unknown_setting(self):
        self.ledger.note('weather', 'here', 'rain', 'sun')
        self.assertEqual(1, self.run_it())
        self.assertIn('rain', self.lines[0])
        self.assertEqual(1, len(self.ledger.changes()))

    def test_backups_are_removed_by_a_member_of_their_project(self):
        """Or Swift is asked for them in the administrator's account."""
        live = self.add(clients.BACKUP, **{
            'os-backup-project-attr:project_id': 'p1'})
        lost = self.add(clients.BACKUP)
        del self.cloud.resources[clients.BACKUP, lost]
        self.ledger.add(
            safe_delete.RECORD, lost, backup_service='s',
            backup_url=backup_record.encode({'id': lost,
                                             'project_id': 'p2'}))
        projects = []

        def within(deleting, project_id):
            projects.append(project_id)
            return deleting

        self.cloud.import_record = lambda record: self.cloud.add(
            clients.BACKUP, id=lost)
        cleanup.Cleanup(
            safe_delete.SafeDelete(
                self.cloud, self.ledger, fake_cloud.PATIENCE),
            self.accounts, None, self.lines.append, within=within).run()
        self.assertEqual(['p2', 'p1'], projects)
        self.assertEqual([], self.ledger.entries(), self.lines)
        self.assertNotIn((clients.BACKUP, live), self.cloud.resources)

    def test_accounts_go_last_and_then_the_mark(self):
        self.ledger.add(run_mark.KIND, 'm', run='r')
        self.ledger.add(clients.PROJECT, 'p')
        self.ledger.add(clients.USER, 'u')
        self.accounts.delete.side_effect = [None, lib_exc.NotFound()]
        self.assertEqual(0, self.run_it(marks=run_mark.RunMark(
            mock.Mock(), self.ledger)))
        self.assertEqual([mock.call.delete(clients.USER, 'u'),
                          mock.call.delete(clients.PROJECT, 'p')],
                         self.accounts.mock_calls)
        self.assertEqual(['user u removed', 'project p was gone already',
                          'run-mark m removed'], self.lines)
        self.assertEqual([], self.ledger.entries())


class ProgramTest(testtools.TestCase):
    """The program, as far as it gets without a cloud."""

    def setUp(self):
        super().setUp()
        self.directory = self.useFixture(fixtures.TempDir()).path
        self.out = self.useFixture(fixtures.StringStream('out'))
        self.err = self.useFixture(fixtures.StringStream('err'))
        self.useFixture(fixtures.MonkeyPatch('sys.stdout', self.out.stream))
        self.useFixture(fixtures.MonkeyPatch('sys.stderr', self.err.stream))
        self.useFixture(fixtures.FakeLogger())
        self.config = mock.Mock()
        self.config.CONF.cinder_backup_recovery.ledger_dir = None
        self.useFixture(fixtures.MockPatchObject(cleanup, 'config',
                                                 self.config))
        self.factory = self.useFixture(fixtures.MockPatchObject(
            cleanup, 'credentials_factory')).mock

    def run_it(self, *argv):
        code = cleanup.main(argv)
        texts = []
        for stream in (self.out, self.err):
            stream.stream.flush()
            content, = stream.getDetails().values()
            texts.append(content.as_text())
        return (code, *texts)

    def test_no_configuration_file(self):
        code, out, err = self.run_it('--config-file',
                                     os.path.join(self.directory, 'x'))
        self.assertEqual((3, ''), (code, out))
        self.assertIn('/x does not exist', err)
        self.assertEqual(1, err.count('\n'))

    def test_no_ledger_at_all(self):
        code, _, err = self.run_it()
        self.assertEqual(3, code)
        self.assertIn('ledger_dir is not set', err)

    def test_misspelt_ledger(self):
        code, _, err = self.run_it('--ledger',
                                   os.path.join(self.directory, 'x'))
        self.assertEqual(3, code)
        self.assertIn('/x does not exist', err)

    def test_ledger_never_used(self):
        self.config.CONF.cinder_backup_recovery.ledger_dir = os.path.join(
            self.directory, 'x')
        self.assertEqual((0, 'the ledger is empty\n', ''),
                         self.run_it())

    def test_nothing_left_asks_no_cloud(self):
        self.factory.AdminManager.side_effect = AssertionError
        self.assertEqual((0, 'nothing is left\n', ''),
                         self.run_it('--ledger', self.directory))

    def test_unreadable_ledger(self):
        with open(os.path.join(self.directory, 'a.jsonl'), 'w') as stream:
            stream.write('nonsense\n{}\n')
        code, _, err = self.run_it('--ledger', self.directory)
        self.assertEqual(3, code)
        self.assertEqual(1, err.count('\n'))

    def test_wrong_password(self):
        with_one = ledger.Ledger(self.directory)
        with_one.add(clients.VOLUME, 'v')
        with_one.close()
        self.factory.AdminManager.side_effect = lib_exc.Unauthorized(
            'The request you have made\nrequires authentication.')
        code, _, err = self.run_it('--ledger', self.directory)
        self.assertEqual(3, code)
        self.assertIn('[auth]', err)
        self.assertEqual(1, err.count('\n'))

    def program(self, *words):
        """The program itself, which reads the file."""
        return subprocess.run(
            [sys.executable, '-m', cleanup.__name__, *words],
            capture_output=True, text=True, timeout=600,
            env={**os.environ, 'PYTHONWARNINGS': 'ignore'})

    def test_mistakes(self):
        binary = os.path.join(self.directory, 'binary')
        with open(binary, 'wb') as stream:
            stream.write(bytes(range(256)))
        other = os.path.join(self.directory, 'cinder.conf')
        with open(other, 'w') as stream:
            stream.write('[database]\nconnection = sqlite://\n')
        for words, said in (
                (['--sideways'], '--sideways; see'),
                (['--config-file', binary], 'binary cannot be read'),
                (['--config-file', binary, '--ledger', self.directory],
                 'binary cannot be read'),
                # That of another program has no cloud, and no ledger.
                (['--config-file', other, '--ledger', self.directory],
                 'cinder.conf is not a configuration of Tempest'),
                (['--config-file', other], 'has no [identity] uri_v3')):
            done = self.program(*words)
            self.assertEqual((3, ''), (done.returncode, done.stdout), words)
            self.assertTrue(done.stderr.startswith('error: '), done.stderr)
            self.assertEqual(1, done.stderr.count('\n'), done.stderr)
            self.assertIn(said, done.stderr)

    def test_what_tempest_logs_is_not_printed(self):
        """On stdout, before the one line or the JSON object."""
        path = os.path.join(self.directory, 'tempest.conf')
        with open(path, 'w') as stream:
            stream.write('[identity]\nuri_v3 = http://127.0.0.1:1/v3\n')
        done = self.program('--config-file', path, '--ledger', self.directory)
        self.assertEqual((0, 'nothing is left\n', ''), (
            done.returncode, done.stdout, done.stderr))

    def test_user_and_the_rest_of_an_administrator(self):
        """It is named, and stays for the one who can remove it."""
        manager = mock.MagicMock()
        self.useFixture(fixtures.MockPatchObject(
            cleanup, 'tenants', mock.MagicMock(**{
                'is_one.return_value': True,
                'account.return_value.__enter__.return_value': manager})))
        own = ledger.Ledger(self.directory)
        self.addCleanup(own.close)
        own.note('quota', 'p/backups', 10, 1)
        for kind in clients.USER, clients.PROJECT, run_mark.KIND:
            own.add(kind, 'x')
        code, out, err = self.run_it('--ledger', self.directory)
        self.assertEqual((1, ''), (code, err))
        self.assertEqual(4, out.count('it is of a run by an administrator, '
                                      'who must remove it'), out)
        self.assertEqual((1, 3), (len(own.changes()), len(own.entries())))
        self.factory.AdminManager.assert_not_called()

    def test_as_json(self):
        code, out, err = self.run_it('--json', '--ledger', self.directory)
        self.assertEqual((0, ''), (code, err))
        self.assertEqual({'done': ['nothing is left'], 'left': []},
                         json.loads(out))

    def test_an_error_as_json(self):
        code, out, err = self.run_it('--json')
        self.assertEqual(3, code)
        self.assertEqual(f'error: {json.loads(out)["error"]}\n', err)

    def test_while_tests_run(self):
        """Nothing is asked of the cloud, and nothing removed."""
        own = ledger.Ledger(self.directory)
        own.add(clients.VOLUME, 'v')
        own.close()
        self.factory.AdminManager.side_effect = AssertionError
        writer = locks.Writer(self.directory)
        code, out, err = self.run_it('--ledger', self.directory)
        writer.close()
        self.assertEqual((3, ''), (code, out))
        self.assertIn('are running', err)
        self.assertEqual(1, len(own.entries()))
