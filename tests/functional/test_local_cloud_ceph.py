# SPDX-License-Identifier: Apache-2.0

"""The local cloud with backups and volumes on a real Ceph."""

import pathlib
import signal
import subprocess

import psutil
import testtools

from local_cloud import fixture
from local_cloud import identity
from local_cloud.machine import daemons
from local_cloud.servers import ceph_packages
from local_cloud.services import ceph
from tests import cloud_cases
from tests import required

_ROOT = pathlib.Path(__file__).parents[2]
_RECOVERIES = 'cinder_backup_recovery_tests.scenario.test_row_loss.'
_FULL = (f'{_RECOVERIES}FullBackupRowLossTest.'
         'test_hard_loss_restored_to_new_volume')
_CHAIN = f'{_RECOVERIES}ChainRowLossTest.test_chain_restored_at_each_link'


def need_ceph():
    """Skip where Ceph is not installed, unless it has to be."""
    if missing := ceph_packages.missing_for_cinder():
        required.missing('CBRT_REQUIRE_CEPH', missing)


def etc_ceph():
    """The configuration of a Ceph that the machine itself has."""
    directory = pathlib.Path('/etc/ceph')
    return {path: path.stat().st_mtime_ns
            for path in (directory, *directory.glob('*')) if path.exists()}


class Client:
    """Requests to one cloud, and what its cluster holds."""

    def __init__(self, state):
        self.state = state
        self.session = identity.Session(state)

    def _make(self, kind, **fields):
        made = self.session.request('POST', 'cinder', f'/{kind}s',
                                    json={kind: fields})[kind]['id']

        def settled():
            status = self.session.get(
                'cinder', f'/{kind}s/{made}')[kind]['status']
            if status.startswith('error'):
                raise AssertionError(f'{kind} {made} is in {status}')
            return status == 'available'

        cloud_cases.until(settled, f'{kind} {made}')
        return made

    def volume(self):
        return self._make('volume', size=1)

    def backup(self, volume, **fields):
        return self._make('backup', volume_id=volume, **fields)

    def images(self, pool):
        done = subprocess.run(
            ['rbd', '--conf', str(ceph.Ceph(self.state).cluster().conf),
             '--id', ceph.USER, 'ls', pool], capture_output=True, text=True,
            timeout=30)
        if done.returncode:
            raise AssertionError(done.stderr)
        return done.stdout.split()


class CephProfileTest(testtools.TestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        need_ceph()
        cls.before = etc_ceph()
        cls.local = fixture.LocalCloud('ceph')
        cls.local.setUp()
        cls.addClassCleanup(cls.local.cleanUp)

    def _daemons(self):
        process = daemons.alive(self.local.state, ceph.Ceph.name)
        return {child.name(): child
                for child in process.children(recursive=True)}

    def _ceph_is(self):
        return self.local.cloud.status()['services'][ceph.Ceph.name]['state']

    def test_chain_is_recovered_from_rbd(self):
        # The test itself refuses a backup of another driver, and an
        # incremental backup that became a full one.
        code, text = cloud_cases.recover(self.local, _CHAIN)
        self.assertEqual(0, code, text)
        self.assertEqual(self.before, etc_ceph())

    def test_differences_are_stored(self):
        client = Client(self.local.state)
        volume = client.volume()
        full = client.backup(volume)
        client.backup(volume, incremental=True)
        self.assertIn(f'volume-{volume}', client.images(ceph.VOLUMES))
        # One image has the whole chain.
        self.assertEqual(
            [f'volume-{volume}.backup.{full}'],
            [name for name in client.images(ceph.BACKUPS) if volume in name])

    def test_daemons_listen_on_loopback_only(self):
        ports = {}
        for name, process in self._daemons().items():
            sockets = [c.laddr for c in process.net_connections('inet')
                       if c.status == psutil.CONN_LISTEN]
            self.assertEqual({'127.0.0.1'}, {s.ip for s in sockets}, name)
            ports[name] = {s.port for s in sockets}
        self.assertEqual({'ceph-mon', 'ceph-osd'}, ports.keys())
        self.assertEqual({self.local.state.record['ports'][ceph.Ceph.name]},
                         ports['ceph-mon'])

    def test_restart_keeps_ports_and_data(self):
        ports = dict(self.local.state.record['ports'])
        client = Client(self.local.state)
        volume = client.volume()
        full = client.backup(volume)
        # A kill right after the request to end, at any moment of the end.
        self.local.cloud.stop(ceph.Ceph.name)
        self.assertEqual('stopped', self._ceph_is())
        self.local.cloud.up('ceph')
        self.assertEqual(ports, self.local.state.record['ports'])
        self.assertIn(f'volume-{volume}.backup.{full}',
                      client.images(ceph.BACKUPS))
        # Cinder, which was not restarted, goes on with what was there.
        client.backup(volume, incremental=True)

    def test_kill_takes_the_daemons_along(self):
        for name in (None, 'ceph-osd', 'ceph-mon'):
            owner = daemons.alive(self.local.state, ceph.Ceph.name)
            processes = [owner, *self._daemons().values()]
            self.assertEqual(3, len(processes))
            (self._daemons()[name] if name else owner).send_signal(
                signal.SIGKILL)
            cloud_cases.until(
                lambda processes=processes: not any(
                    p.is_running() and p.status() != psutil.STATUS_ZOMBIE
                    for p in processes),
                f'all of Ceph ends after a kill of {name or "its owner"}')
            self.assertEqual('stopped', self._ceph_is())
            self.local.cloud.up('ceph')
            self.assertEqual('ready', self._ceph_is())

    def test_a_cluster_that_hangs_is_not_ready(self):
        osd = self._daemons()['ceph-osd']
        osd.suspend()
        try:
            self.assertStartsWith(self._ceph_is(), 'not ready: ')
        finally:
            osd.resume()
        self.local.cloud.up('ceph')
        self.assertEqual('ready', self._ceph_is())

    def assertStartsWith(self, text, start):
        self.assertEqual(start, text[:len(start)], text)

    def test_key_is_its_owners_only(self):
        cluster = ceph.Ceph(self.local.state).cluster()
        for path in (cluster.keyring, cluster.directory / 'keyring'):
            self.assertEqual(0o600, path.stat().st_mode & 0o777)
        self.assertNotIn('client.admin', cluster.keyring.read_text())


class FileVolumesTest(cloud_cases.CloudCase):
    """The driver's other way: copies of volumes that are no RBD images."""

    def test_recovered_and_gone(self):
        need_ceph()
        local = fixture.LocalCloud('ceph', volumes='files')
        with local:
            code, text = cloud_cases.recover(local, _FULL, _CHAIN)
            processes = daemons.all_of(local.state)
            ports = set(local.state.record['ports'].values())
            for process in processes:
                ports |= {c.laddr.port for c in
                          process.net_connections('inet')
                          if c.status == psutil.CONN_LISTEN}
            self.directory = local.state.root
        self.assertEqual(0, code, text)
        # Of these volumes the driver makes no incremental backups.
        self.assertIn('.s', text)
        self.assertEqual([], [p for p in processes if p.is_running() and
                              p.status() != psutil.STATUS_ZOMBIE])
        self.assert_nothing_left(ports)


class KilledTest(cloud_cases.CloudCase):

    def test_up_killed_while_the_cluster_is_made(self):
        need_ceph()
        for name in ('data/ceph/monmap', 'logs/ceph-osd.out'):
            process = self.start('--state-dir', self.directory, 'up',
                                 '--backup', 'ceph')
            path = self.directory / name
            cloud_cases.until(
                lambda path=path, process=process:
                path.exists() or process.poll() is not None, name)
            process.kill()
            self.assertEqual(-signal.SIGKILL, process.wait(), self.output)
            done = self.on('down')
            self.assertEqual(0, done.returncode, done.stderr)
            self.assert_nothing_left()
