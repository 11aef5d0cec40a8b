# SPDX-License-Identifier: Apache-2.0

"""The local.conf of each job, and the plugin stacked with it.

With ``CBRT_DEVSTACK_DIR``, the directory of a DevStack, what its own role
writes is compared.
"""

import importlib.util
import os
import pathlib
import subprocess

import ddt
import fixtures
import testtools

from tests import devstack_sandbox
from tests import zuul_configuration

_ITEMS = zuul_configuration.load()
_PREFIX = f'{zuul_configuration.NAME}-'
_NODES = [(name, group)
          for name in zuul_configuration.devstack_jobs(_ITEMS)
          for group in (None, 'subnode')
          if group is None or name == f'{_PREFIX}multinode']
_DRIVERS = {
    'default': 'reference_drivers.default.DefaultBackupDriver',
    'swift': 'reference_drivers.swift.SwiftBackupDriver',
    'ceph': 'reference_drivers.ceph.CephBackupDriver',
    'nfs': 'reference_drivers.nfs.NFSBackupDriver',
    'in-tree': 'cinder.backup.drivers.swift.SwiftBackupDriver',
}
# As DevStack does it, without what changes a machine.
_BASH = '''
set -eu
function disable_all_services { ENABLED_SERVICES=; }
function enable_service { ENABLED_SERVICES+=,$1; }
function disable_service {
    ENABLED_SERVICES=,$ENABLED_SERVICES,
    ENABLED_SERVICES=${ENABLED_SERVICES//,$1,/,}
}
function enable_plugin { DEVSTACK_PLUGINS=${DEVSTACK_PLUGINS:-},$1; }
set -a
ENABLED_SERVICES=
source "$1"
env -0
'''


def _named(nodes):
    for name, group in nodes:
        case = (name, group)
        made = type('Node', (tuple,), {})(case)
        made.__name__ = f'{name.removeprefix(_PREFIX)}_{group or "first"}'
        yield made


@ddt.ddt
class LocalConfTest(testtools.TestCase):

    def _local_conf(self, name, group=None):
        return zuul_configuration.local_conf(
            zuul_configuration.variables(_ITEMS, name, group),
            zuul_configuration.required(_ITEMS, name))

    def _settings(self, text):
        """The variables of a shell after it."""
        path = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path) / 'localrc'
        head, _, rest = text.partition('\n')
        self.assertEqual('[[local|localrc]]', head)
        path.write_text(rest)
        done = subprocess.run(
            ['bash', '-c', _BASH, 'bash', str(path)], check=True,
            capture_output=True, text=True, timeout=60, env={})
        return dict(line.split('=', 1)
                    for line in done.stdout.split('\0') if line)

    @ddt.data(*_named(_NODES))
    @ddt.unpack
    def test_the_plugin_stacks_with_it(self, name, group):
        found = self._settings(self._local_conf(name, group))
        driver = found['BACKUP_RECOVERY_DRIVER']
        services = {one for one in found['ENABLED_SERVICES'].split(',') if one}
        self.assertIn('c-bak', services)
        self.assertNotIn('horizon', services)
        if group is None:
            self.assertEqual(driver in ('swift', 'in-tree'),
                             's-proxy' in services)
            self.assertIn('tempest', services)
            # DevStack's default keeps a copy of each image as a volume.
            self.assertEqual('False', found['CINDER_IMG_CACHE_ENABLED'])
        self.assertEqual(driver == 'ceph', 'devstack-plugin-ceph' in
                         found['DEVSTACK_PLUGINS'].split(','))
        wanted = {
            key: value for key, value in found.items()
            if key in zuul_configuration.LOCALRC or
            key.startswith('BACKUP_RECOVERY_')}
        if driver == 'ceph':
            # The other plugin sets it in its override-defaults.
            wanted['CINDER_ENABLED_BACKENDS'] = 'ceph'
        sandbox = self.useFixture(devstack_sandbox.Sandbox(
            **wanted, ENABLED_SERVICES=','.join(sorted(services)),
            DEVSTACK_PLUGINS=found['DEVSTACK_PLUGINS'].strip(',')))
        sandbox.done('stack')
        cinder = devstack_sandbox.read(sandbox.cinder_conf)
        self.assertEqual(_DRIVERS[driver],
                         cinder['DEFAULT']['backup_driver'])

    @ddt.data(*_named(_NODES))
    @ddt.unpack
    def test_as_devstack_writes_it(self, name, group):
        place = os.environ.get('CBRT_DEVSTACK_DIR')
        if not place:
            self.skipTest('CBRT_DEVSTACK_DIR is not set')
        spec = importlib.util.spec_from_file_location(
            'devstack_local_conf', pathlib.Path(
                place, 'roles', 'write-devstack-local-conf', 'library',
                'devstack_local_conf.py'))
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        merged = zuul_configuration.variables(_ITEMS, name, group)
        projects = zuul_configuration.required(_ITEMS, name)
        made = module.LocalConf(
            merged['devstack_localrc'], None, None,
            dict(merged['devstack_services']), merged['devstack_plugins'],
            None, {one: {'required': True, 'short_name': one}
                   for one in projects}, None, None)
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).path, 'made')
        made.write(path)
        self.assertEqual(path.read_text(), self._local_conf(name, group))

    def test_plugins_come_last(self):
        lines = self._local_conf(f'{_PREFIX}ceph').rstrip().splitlines()
        self.assertEqual(
            ['enable_plugin cinder-backup-recovery-tests '
             'https://opendev.org/openstack/cinder-backup-recovery-tests',
             'enable_plugin devstack-plugin-ceph '
             'https://opendev.org/openstack/devstack-plugin-ceph'],
            lines[-2:])

    def test_a_variable_follows_what_it_refers_to(self):
        text = zuul_configuration.local_conf(
            {'devstack_localrc': {'A': '$Z/a', 'B': '${A}-$HOME', 'Z': 1}},
            ['devstack'])
        self.assertEqual(['Z="1"', 'A="$Z/a"', 'B="${A}-$HOME"'],
                         text.splitlines()[2:5])

    def test_what_a_child_says_is_merged(self):
        merged = zuul_configuration.variables(_ITEMS, f'{_PREFIX}in-tree')
        self.assertEqual(
            ('in-tree', 'secretdatabase'),
            (merged['devstack_localrc']['BACKUP_RECOVERY_DRIVER'],
             merged['devstack_localrc']['DATABASE_PASSWORD']))
        self.assertEqual((True, False, True), tuple(
            merged['devstack_services'][name]
            for name in ('s-proxy', 'horizon', 'tempest')))
