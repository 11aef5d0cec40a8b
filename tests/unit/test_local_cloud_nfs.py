# SPDX-License-Identifier: Apache-2.0

"""The check that a cloud with NFS can run here, and its messages."""

import configparser
import pathlib
from unittest import mock

import fixtures
import testtools

from local_cloud import backups
from local_cloud import exceptions
from local_cloud import main
from local_cloud import reexec
from local_cloud.machine import cloud_state
from local_cloud.machine import daemons
from local_cloud.machine import uml
from local_cloud.servers import nfs_server
from local_cloud.services import cinder
from local_cloud.services import nfs
from tests import cloud_cases
from tests import programs


class KernelTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path)
        self.kernel('nodev\tnfs\nnodev\tnfs4\n')
        self.rights('000001ffffffffff')
        run = mock.patch('subprocess.run')
        self.run_program = run.start()
        self.addCleanup(run.stop)

    def kernel(self, filesystems):
        path = self.directory / 'filesystems'
        path.write_text('nodev\tproc\n\text4\n' + filesystems)
        self.useFixture(fixtures.MonkeyPatch(
            'local_cloud.servers.nfs_server._FILESYSTEMS', str(path)))

    def rights(self, effective):
        path = self.directory / 'status'
        path.write_text(f'Name:\tx\nCapPrm:\t0\nCapEff:\t{effective}\n')
        self.useFixture(fixtures.MonkeyPatch(
            'local_cloud.servers.nfs_server._STATUS', str(path)))

    def test_client(self):
        self.assertEqual('', nfs_server.cannot_mount())
        self.run_program.assert_not_called()

    def test_client_that_is_a_module(self):
        self.kernel('')

        def load(command, **kwargs):
            self.assertEqual('nfsv4', command[-1])
            self.kernel('nodev\tnfs4\n')

        self.run_program.side_effect = load
        self.assertEqual('', nfs_server.cannot_mount())

    def test_no_client(self):
        self.kernel('nodev\tnfsd\n')
        self.assertEqual('this kernel has no NFS client',
                         nfs_server.cannot_mount())

    def test_no_rights(self):
        # A container's root has neither all of them nor none.
        for effective in ('0000000000000000', '00000000a80425fb'):
            self.rights(effective)
            self.assertEqual('mounting takes root',
                             nfs_server.cannot_mount())

    def test_overlay(self):
        for kind in ('tmpfs', 'ext2/ext3', 'overlayfs'):
            self.run_program.return_value.stdout = f'{kind}\n'
            make = (nfs_server.write_configuration, self.directory / 's', 7,
                    ['one'])
            if kind == 'overlayfs':
                err = self.assertRaises(exceptions.InvalidState, *make)
                self.assertIn('--state-dir', str(err))
            else:
                self.assertIn('Pseudo = "/one"',
                              make[0](*make[1:]).read_text())

    def test_directories_that_have_delegations(self):
        path = self.directory / 'delegations'
        self.useFixture(fixtures.MonkeyPatch(
            'local_cloud.servers.nfs_server._DELEGATIONS', path))
        for text, version in ((None, '4.2'), ('Y\n', '4.0'), ('N\n', '4.2')):
            if text:
                path.write_text(text)
            self.assertEqual(f'vers={version},proto=tcp,port=7',
                             nfs_server.mount_options(7))


class StopTest(testtools.TestCase):

    def test_cinder_ends_before_the_server_of_its_mount(self):
        """Or its kernel would wait for that server."""
        state = cloud_state.State(self.useFixture(fixtures.TempDir()).path)
        state.create()
        # They take a while to end, as Cinder does.
        mounted = [daemons.spawn(state, name, [
            'sh', '-c', 'trap "sleep 0.5; exit" TERM; echo begun; '
            'sleep 600 & wait']).pid for name in ('cinder', 'cinder-two')]
        # A zombie, until this process asks for its status, has no mount.
        daemons.spawn(state, 'nfs', [
            'sh', '-c', "trap '" + ''.join(
                f'grep -sq "^State:[[:space:]]*[^Z[:space:]]" '
                f'/proc/{pid}/status && echo alive; ' for pid in mounted) +
            "echo ended; exit' TERM; echo begun; sleep 600 & wait"])
        for name in ('cinder', 'cinder-two', 'nfs'):
            daemons.wait_until(
                state, name,
                lambda name=name: 'begun' in daemons.tail(state, name), 30)
        self.assertEqual(6, daemons.stop_all(state))
        said = daemons.tail(state, 'nfs')
        self.assertIn('ended', said)
        self.assertNotIn('alive', said)


class BackendTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.EnvironmentVariable(
            'LOCAL_CLOUD_STATE_DIR',
            self.useFixture(fixtures.TempDir()).join('cloud')))
        backend = mock.Mock(wraps=backups.BACKENDS['nfs'], modules=(),
                            volumes='files')
        backend.missing.return_value = ''
        backend.missing.side_effect = None
        backend.cannot_run = lambda: 'this kernel has no NFS client'
        self.backend = backend
        self.useFixture(fixtures.MonkeyPatch(
            'local_cloud.backups.BACKENDS',
            {**backups.BACKENDS, 'nfs': backend}))

    def test_up_names_what_works(self):
        code, _, err = programs.call(main.main, 'up', '--backup', 'nfs')
        self.assertEqual(main.EXIT_NEEDS_UML, code)
        self.assertIn('this kernel has no NFS client', err)
        self.assertIn('cinder-backup-local-cloud run --backup nfs', err)
        self.assertNotIn('error', err)
        self.assertEqual(1, len(err.splitlines()))

    def test_run_begins_again_in_uml(self):
        self.useFixture(fixtures.MonkeyPatch(
            'local_cloud.reexec._make_template', lambda *args: None))
        self.useFixture(fixtures.MonkeyPatch(
            'local_cloud.machine.uml.missing', str))
        here = self.useFixture(fixtures.TempDir()).path
        self.useFixture(fixtures.MonkeyPatch(
            'pathlib.Path.cwd', lambda *args: pathlib.Path(here)))
        logs = pathlib.Path(self.useFixture(fixtures.TempDir()).join('logs'))
        words = ['run', '--backup', 'nfs', '--keep-logs', str(logs), '--',
                 'sh', '-c', 'exit 7']
        with mock.patch.object(uml, 'run', return_value=7) as run:
            code, _, err = programs.call(main.main, *words)
        self.assertEqual(7, code)
        self.assertIn('User-Mode Linux: this kernel has no NFS client', err)
        (command,), options = run.call_args
        self.assertEqual(words, list(command[-len(words):]))
        self.assertEqual([pathlib.Path(here), logs.resolve()],
                         options['visible'])
        self.assertTrue(logs.is_dir())
        self.assertIn('nfsv4', options['modules'])

    def test_packages_of_uml(self):
        """Named where there is no other way, and nowhere else."""
        lacking = 'User-Mode Linux is not installed'
        self.useFixture(fixtures.MonkeyPatch('local_cloud.machine.uml.missing',
                                             lambda: lacking))
        self.useFixture(fixtures.MonkeyPatch(
            'local_cloud.servers.nfs_server.missing', str))
        for why, expected in (('no client', lacking), ('', '')):
            self.useFixture(fixtures.MonkeyPatch(
                'local_cloud.servers.nfs_server.cannot_mount',
                lambda why=why: why))
            self.assertEqual(expected, nfs.missing())
        self.assertRaises(exceptions.MissingPackage, reexec.run, ['true'],
                          None, '')

    def test_packages(self):
        self.useFixture(fixtures.MonkeyPatch('shutil.which',
                                             lambda *args, **kwargs: None))
        self.assertIn('apt-get install --no-install-recommends nfs-ganesha '
                      'nfs-ganesha-vfs nfs-common', nfs_server.missing())
        self.assertIn('user-mode-linux', uml.missing())


class UMLTest(cloud_cases.StateCase):

    def setUp(self):
        super().setUp()
        self.state.record.update(
            ports={'keystone': 1, 'glance': 2, 'cinder': 3},
            passwords={'cinder': 'x'}, debug=False, backup='default')

    def _configured(self, inside):
        self.useFixture(fixtures.EnvironmentVariable(uml.ENVIRONMENT,
                                                     inside))
        cinder.Cinder(self.state).configure()
        parser = configparser.RawConfigParser()
        parser.read(self.state.config(cinder.Cinder.name))
        return parser['DEFAULT']

    def test_few_threads_wait_in_uml(self):
        """Each costs it a millisecond a second, with or without work."""
        found = self._configured('1')
        self.assertEqual('8', found['executor_thread_pool_size'])
        self.assertEqual('20', found['backup_native_threads_pool_size'])

    def test_cinder_has_its_own_pools_elsewhere(self):
        self.assertNotIn('pool_size', ' '.join(self._configured(None)))
