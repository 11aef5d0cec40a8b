# SPDX-License-Identifier: Apache-2.0

"""The program of the local cloud and its state, without any service."""

import contextlib
import io
import os
import pathlib
from unittest import mock

import fixtures
import psutil
import testtools

from local_cloud import cloud as local_cloud
from local_cloud import console
from local_cloud import exceptions
from local_cloud import settings
from local_cloud.machine import cloud_state
from tests import cloud_cases
from tests.unit import local_cloud_cases

VERBS = ('up', 'down', 'status', 'logs', 'env', 'run', 'list',
         'lose-database', 'kill', 'pause', 'resume', 'hold')


class ArgumentsTest(local_cloud_cases.LocalCloudTestCase):
    def test_help_of_everything(self):
        for arguments in ((), *((verb,) for verb in VERBS)):
            code, out, err = self.program(*arguments, '--help')
            self.assertEqual((0, ''), (code, err))
            self.assertIn('usage: cinder-backup-local-cloud', out)

    def test_help_names_every_verb_and_status(self):
        _, out, _ = self.program('--help')
        for word in (*VERBS, 'exit status', '128 + N'):
            self.assertIn(word, out)

    def test_wrong_arguments(self):
        for arguments in ((), ('sideways',), ('up', '--backup', 'tape'),
                          ('up', '--without', 'nova'), ('logs',),
                          ('up', '--timeout', 'soon'),
                          ('up', '--timeout', '0'),
                          ('up', '--timeout', 'nan'),
                          ('logs', 'cinder', '-n', 'few')):
            self.assert_error('see cinder-backup-local-cloud',
                              self.program(*arguments))

    def test_run_without_a_command(self):
        for arguments in (('run',), ('run', '--')):
            self.assert_error('run needs a command', self.on(*arguments))
        self.assertFalse(self.directory.exists())

    def test_run_of_no_such_command_starts_nothing(self):
        self.assert_error('no-such-command: not found or not executable',
                          self.on('run', '--', 'no-such-command'))
        self.assertEqual([], os.listdir(self.temporary))

    def test_state_directory_from_the_environment(self):
        self.useFixture(fixtures.EnvironmentVariable(
            cloud_state.ENVIRONMENT, str(self.directory)))
        self.assert_error(str(self.directory), self.program('status'))

    def test_default_state_directory(self):
        self.assert_error(str(self.temporary / 'xdg-state'),
                          self.program('status'))

    def test_down_of_abandoned_is_for_all(self):
        self.assert_error('--abandoned goes with',
                          self.on('down', '--abandoned'))


class DirectoryTest(local_cloud_cases.LocalCloudTestCase):
    def test_no_cloud(self):
        for verb in (('down',), ('status',), ('env',), ('logs', 'cinder')):
            self.assert_error('no local cloud in', self.on(*verb))
        self.assertFalse(self.directory.exists())

    def test_an_empty_directory_is_no_cloud(self):
        self.directory.mkdir()
        self.assert_error('no local cloud in', self.on('down'))
        self.assertTrue(self.directory.exists())

    def test_a_directory_of_another_program(self):
        # With names that a cloud uses, too.
        for name in ('data', 'logs'):
            (self.directory / name).mkdir(parents=True)
        (self.directory / 'data' / 'thesis').write_text('years of work')
        before = sorted(self.directory.rglob('*'))
        for verb in (('up',), ('run', 'true')):
            self.assert_error('is not empty and is not a local cloud '
                              '(it has data)', self.on(*verb))
        self.assert_error('no local cloud in', self.on('down'))
        self.assertEqual(before, sorted(self.directory.rglob('*')))

    def test_a_file(self):
        self.directory.write_text('')
        for verb in (('up',), ('run', 'true')):
            self.assert_error('Not a directory', self.on(*verb))
        for verb in (('down',), ('status',)):
            self.assert_error('no local cloud in', self.on(*verb))

    def test_unwritable(self):
        # Also for root.
        self.directory = pathlib.Path('/proc/local-cloud')
        for verb in (('up',), ('run', 'true')):
            self.assert_error('cannot be used', self.on(*verb))
        self.assert_error('no local cloud in', self.on('down'))

    def test_an_unreadable_parent(self):
        error = PermissionError(13, 'Permission denied')
        with mock.patch.object(pathlib.Path, 'is_file', side_effect=error):
            for verb in ('up', 'down'):
                self.assert_error('Permission denied', self.on(verb))

    def test_a_path_too_long(self):
        self.directory = self.temporary / ('x' * 70)
        for verb in (('up',), ('run', 'true')):
            self.assert_error('choose one of at most 70', self.on(*verb))
        self.assertFalse(self.directory.exists())

    def test_run_in_a_cloud_that_is_there(self):
        self.make()
        self.assert_error('which run would take down', self.on('run', 'true'))
        self.assertTrue(cloud_state.State(self.directory).exists)

    def test_a_full_disk(self):
        error = OSError(28, 'No space left on device')
        with mock.patch.object(local_cloud.Cloud, 'start',
                               side_effect=error):
            self.assert_error('No space left on device', self.on('up'))


class RecordTest(local_cloud_cases.LocalCloudTestCase):
    BROKEN = ('', '{', '[]', 'null', '{"id": "x"}', '\x00\x00',
              '{"id": 1, "ports": {}, "processes": {}}',
              '{"id": "x", "ports": {}, "processes": []}')

    def test_a_broken_record(self):
        marker = self.directory / 'cloud.json'
        for text in self.BROKEN:
            self.make()
            marker.write_text(text)
            for verb in (('up',), ('status',), ('env',), ('logs', 'cinder')):
                self.assert_error('cloud.json cannot be read',
                                  self.on(*verb))
            marker.unlink()
            (self.directory / 'lock').touch()
            for entry in self.directory.iterdir():
                (entry.rmdir if entry.is_dir() else entry.unlink)()

    def test_down_of_a_broken_record(self):
        state = self.make()
        child = self.process(state)
        (self.directory / 'cloud.json').write_text('{"id": "')
        code, _, err = self.on('down')
        self.assertEqual(0, code, err)
        self.assertIsNotNone(child.wait(60))
        self.assertFalse(self.directory.exists())

    def test_down_spares_another_programs_file_of_that_name(self):
        self.directory.mkdir()
        marker = self.directory / 'cloud.json'
        for text in ('{"region": "north"}', '{'):
            marker.write_text(text)
            (self.directory / 'thesis').touch()
            self.assert_error('nothing was removed', self.on('down'))
            self.assertEqual(text, marker.read_text())
        (self.directory / 'thesis').unlink()
        marker.write_text('{"region": "north"}')
        self.assert_error('nothing was removed', self.on('down'))
        self.assertTrue(marker.exists())

    def test_killed_before_its_first_record(self):
        self.directory.mkdir()
        (self.directory / 'lock').touch()
        (self.directory / '.cloud.json.4711').write_text('{')
        cloud_state.State(self.directory).check()
        self.assertEqual(0, self.on('down')[0])
        self.assertFalse(self.directory.exists())

    def test_killed_after_its_first_record(self):
        self.make()
        code, out, err = self.on('status')
        self.assertEqual(1, code, err)
        self.assertIn('stopped', out)
        self.assert_error('never became ready', self.on('env'))
        self.assertEqual(0, self.on('down')[0])
        self.assertFalse(self.directory.exists())

    def test_saved_as_a_whole(self):
        state = self.make(word='old')
        state.record['word'] = 'new'
        with mock.patch.object(os, 'replace', side_effect=KeyError):
            self.assertRaises(KeyError, state.save)
        again = cloud_state.State(self.directory)
        again.load()
        self.assertEqual('old', again.record['word'])

    def test_modes(self):
        self.directory.mkdir(mode=0o755)
        state = self.make()
        settings.write(state.config('glance'), {'a': {'b': 'secret'}})
        for path in (state.root, *state.root.rglob('*')):
            self.assertEqual(0, path.stat().st_mode & 0o077, path)

    def test_one_at_a_time(self):
        state = self.make()
        with state.locked():
            self.assert_error('another program is starting or stopping',
                              self.on('down'))
            self.assert_error('another program is starting or stopping',
                              self.on('up'))
        self.assertEqual(0, self.on('down')[0])

    def test_started_by_a_test_that_was_killed(self):
        """It is the cloud's own, and ends before it."""
        state = self.make()
        child = self.process(
            state, 'import fcntl, sys, time\n'
            f'lock = open({str(state.root / "lock")!r}, "w")\n'
            'fcntl.flock(lock, fcntl.LOCK_EX)\n'
            'print("locked", flush=True)\n'
            'time.sleep(600)')
        cloud_cases.until(lambda: 'locked' in state.log('p').read_text(),
                          'the lock')
        self.assertEqual(0, self.on('down')[0])
        self.assertFalse(psutil.pid_exists(child.pid))
        self.assertFalse(self.directory.exists())

    def test_locked_after_a_down(self):
        state = self.make()

        def down(*args):
            (state.root / 'lock').unlink()

        with mock.patch('fcntl.flock', side_effect=down):
            self.assertRaises(exceptions.InvalidState,
                              state.locked().__enter__)

    def test_other_options_on_an_old_cloud(self):
        self.make(made=True, backup='default', debug=False,
                  cinder_services=['cinder-volume'])
        for options in (('--debug',), ('--without', 'cinder-volume'),
                        ('--volumes', 'rbd'), ('--second-region',),
                        ('--second-backup',),
                        ('--database', 'postgresql')):
            self.assert_error(f'made with another {options[0]}',
                              self.on('up', *options))

    def test_another_store_on_an_old_cloud(self):
        self.make(made=True, backup='default', debug=False,
                  second_region=True, second_store='own',
                  cinder_services=['cinder-volume'])
        self.assert_error(
            'made with another --second-store',
            self.on('up', '--second-region', '--second-store', 'shared'))

    def test_store_of_no_second_region(self):
        self.assert_error('needs --second-region',
                          self.on('up', '--second-store', 'own'))

    def test_store_that_cannot_be(self):
        self.assert_error(
            '--second-store own cannot be combined with --backup ceph',
            self.on('up', '--backup', 'ceph', '--second-region',
                    '--second-store', 'own'))


class LogsTest(local_cloud_cases.LocalCloudTestCase):
    def setUp(self):
        super().setUp()
        self.state = self.make()
        self.state.log('cinder').write_text('one\ntwo\nthree\n')

    def test_all_and_last(self):
        self.assertEqual((0, 'one\ntwo\nthree\n', ''),
                         self.on('logs', 'cinder'))
        self.assertEqual((0, 'two\nthree\n', ''),
                         self.on('logs', 'cinder', '-n', '2'))

    def test_unknown(self):
        for name in ('nova', '../cloud', '', '/etc/passwd'):
            self.assert_error('known: cinder', self.on('logs', name))


class ConsoleTest(testtools.TestCase):
    def test_steps(self):
        stream = io.StringIO()
        say = console.Console(stream)
        with say.step('this'):
            pass
        with contextlib.suppress(KeyError), say.step('that'):
            raise KeyError
        first, second = stream.getvalue().splitlines()
        self.assertRegex(first, r'^this \.\.\. \d+\.\d s$')
        self.assertRegex(second, r'^that \.\.\. failed after \d+\.\d s$')

    def test_quiet(self):
        stream = io.StringIO()
        console.Console(stream, quiet=True).say('nothing')
        self.assertEqual('', stream.getvalue())
