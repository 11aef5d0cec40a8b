# SPDX-License-Identifier: Apache-2.0

"""The plugin of DevStack, through all of its phases."""

import re

from cinder import objects
from cinder.backup import chunkeddriver
from cinder.backup import driver as backup_driver
from cinder.backup.drivers import ceph
from cinder.backup.drivers import nfs
from cinder.backup.drivers import posix
from cinder.backup.drivers import swift
import ddt
from oslo_config import cfg
from oslo_utils import importutils
import testtools

from cinder_backup_recovery_tests import config as recovery_config
from cinder_backup_recovery_tests import known_defects
from cinder_backup_recovery_tests.certification.profile import profiles
from local_cloud import backups
from reference_drivers import options as driver_options
from tests import devstack_sandbox

# The manager cannot be imported before.
objects.register_all()
manager = importutils.import_module('cinder.backup.manager')

_CEPH = {'DEVSTACK_PLUGINS':
         'devstack-plugin-ceph,cinder-backup-recovery-tests'}
_ON_RBD = {**_CEPH, 'CINDER_ENABLED_BACKENDS': 'ceph:ceph'}

#: What local.conf has for each driver.
_DRIVERS = {
    'default': {},
    'swift': {'BACKUP_RECOVERY_DRIVER': 'swift'},
    'nfs': {'BACKUP_RECOVERY_DRIVER': 'nfs'},
    'ceph': {'BACKUP_RECOVERY_DRIVER': 'ceph', **_ON_RBD},
}
_ALL = {
    **_DRIVERS,
    'in-tree swift': {'BACKUP_RECOVERY_DRIVER': 'in-tree'},
    'in-tree ceph': {'BACKUP_RECOVERY_DRIVER': 'in-tree', **_ON_RBD},
    'second region': {'BACKUP_RECOVERY_SECOND_REGION': 'RegionTwo'},
}

_GROUP = 'cinder_backup_recovery'
_FEATURES = 'cinder_backup_recovery_feature_enabled'


#: What Cinder and the reference drivers register. Cinder's own list of all
#: wants the libraries of drivers that are not here.
_KNOWN = {
    'DEFAULT': {option.dest: option for options in (
        backup_driver.backup_opts, ceph.service_opts,
        chunkeddriver.backup_opts, manager.backup_manager_opts,
        nfs.nfsbackup_service_opts, posix.posixbackup_service_opts,
        swift.swiftbackup_service_opts) for option in options},
    **{group: {option.dest: option for option in options}
       for group, options in driver_options.list_opts()},
}


def unknown_options(sections):
    """Options of the backup in a configuration that nothing registers.

    The options of the backup only: the rest is DevStack's.
    """
    return sorted(
        f'[{section}] {name}' for section, options in sections.items()
        for name in options
        if (name.startswith('backup_') or section.startswith('backup_'))
        and name not in _KNOWN.get(section, {}))


_once = {}


def tearDownModule():
    while _once:
        _once.popitem()[1].cleanUp()


class _PluginTest(testtools.TestCase):

    def sandbox(self, name='default', **local_conf):
        return self.useFixture(devstack_sandbox.Sandbox(
            **_ALL[name], **local_conf))

    def stacked(self, name='default', **local_conf):
        """One to look at; those without settings are made once for all."""
        if local_conf:
            sandbox = self.sandbox(name, **local_conf)
            sandbox.done('stack')
            return sandbox
        if name not in _once:
            sandbox = devstack_sandbox.Sandbox(**_ALL[name])
            sandbox.setUp()
            _once[name] = sandbox
            sandbox.done('stack')
        return _once[name]


@ddt.ddt
class PhasesTest(_PluginTest):

    @ddt.data(*_ALL)
    def test_each_script_twice(self, name):
        sandbox = self.sandbox(name)
        sandbox.done('stack')
        files = [path for path in (
            sandbox.cinder_conf, sandbox.tempest_conf, sandbox.exports,
            sandbox.data / 'profile.yaml') if path.exists()]
        first = {path: path.read_text() for path in files}
        happened = sandbox.actions()
        sandbox.done('stack')
        self.assertEqual(first, {path: path.read_text() for path in files})
        self.assertEqual(happened, sandbox.actions())
        for script in ('unstack', 'unstack', 'clean', 'clean'):
            self.assertNotIn('rror', sandbox.done(script))
        self.assertFalse(sandbox.data.exists())
        self.assertFalse(sandbox.exports.exists())
        sandbox.done('stack')
        self.assertEqual(first, {path: path.read_text() for path in files})
        self.assertEqual(happened, sandbox.actions())

    @ddt.data(*_ALL)
    def test_unstack_and_clean_of_nothing(self, name):
        sandbox = self.sandbox(name)
        for script in ('unstack', 'clean'):
            self.assertNotIn('rror', sandbox.done(script))
        self.assertEqual([], sandbox.actions())

    def test_backups_outlive_unstack(self):
        sandbox = self.sandbox()
        sandbox.done('stack')
        kept = sandbox.data / 'backups' / 'one'
        kept.write_text('data')
        sandbox.done('unstack')
        self.assertEqual('data', kept.read_text())

    def test_directory_of_the_user_stays_as_it_is(self):
        sandbox = self.sandbox()
        mine = sandbox.root / 'mine'
        mine.mkdir(mode=0o700)
        setting = {'BACKUP_RECOVERY_POSIX_PATH': str(mine)}
        sandbox.done('stack', **setting)
        (mine / 'one').write_text('data')
        sandbox.done('clean', **setting)
        self.assertEqual('data', (mine / 'one').read_text())
        self.assertEqual(0o40700, mine.stat().st_mode)

    def test_data_directory_that_it_has_not_made(self):
        """A directory of the user's is not removed by clean."""
        sandbox = self.sandbox()
        mine = sandbox.root / 'mine'
        mine.mkdir(mode=0o700)
        (mine / 'one').write_text('data')
        setting = {'BACKUP_RECOVERY_DATA_DIR': str(mine)}
        self.assertIn('not made by this plugin',
                      sandbox.run('stack', **setting).stderr)
        sandbox.done('clean', **setting)
        self.assertEqual('data', (mine / 'one').read_text())
        self.assertEqual(0o40700, mine.stat().st_mode)

    def test_nothing_of_cinder_without_cinder_backup(self):
        sandbox = self.sandbox(
            'nfs', ENABLED_SERVICES='c-api,c-sch,c-vol,s-proxy')
        sandbox.done('stack')
        self.assertEqual([], [action for action in sandbox.actions()
                              if not action.startswith('tempest plugins')])
        self.assertNotIn('backup_', sandbox.cinder_conf.read_text())

    def test_nothing_of_tempest_without_tempest(self):
        sandbox = self.sandbox(ENABLED_SERVICES='c-vol,c-bak')
        sandbox.done('stack')
        self.assertEqual(
            {'volume'}, devstack_sandbox.read(sandbox.tempest_conf).keys())


@ddt.ddt
class CinderTest(_PluginTest):

    def _configured(self, name, **local_conf):
        sandbox = self.stacked(name, **local_conf)
        return devstack_sandbox.read(sandbox.cinder_conf)

    @ddt.data(*_ALL)
    def test_every_option_is_known(self, name):
        self.assertEqual(
            [], unknown_options(self._configured(name)))

    def test_unknown_options_are_found(self):
        self.assertEqual(
            ['[DEFAULT] backup_posix_pth', '[backup_import_verify] levle'],
            unknown_options(
                {'DEFAULT': {'backup_posix_pth': '/b', 'debug': 'no'},
                 'backup_import_verify': {'levle': 'content'}}))

    @ddt.data(*_DRIVERS)
    def test_values_are_valid(self, name):
        sandbox = self.stacked(name)
        conf = cfg.ConfigOpts()
        for group, options in _KNOWN.items():
            conf.register_opts(
                options.values(), None if group == 'DEFAULT' else group)
        conf(['--config-file', str(sandbox.cinder_conf)])
        for section, options in devstack_sandbox.read(
                sandbox.cinder_conf).items():
            for option in options:
                if option in _KNOWN.get(section, {}):
                    where = conf if section == 'DEFAULT' else conf[section]
                    # It raises where the option does not allow the value.
                    where[option]
        self.assertEqual('content', conf.backup_import_verify.level)

    @ddt.data(*_DRIVERS)
    def test_driver_is_the_local_clouds(self, name):
        found = self._configured(name)['DEFAULT']['backup_driver']
        self.assertEqual(backups.BACKENDS[name].driver, found)
        self.assertTrue(issubclass(
            importutils.import_class(found), backup_driver.BackupDriver))

    @ddt.data(*_DRIVERS)
    def test_driver_is_installed_without_tempest(self, name):
        sandbox = self.stacked(name)
        self.assertIn(
            f'pip_install --no-deps -e {devstack_sandbox.ROOT} into the '
            f'global one', sandbox.actions())

    def test_in_tree_is_left_alone(self):
        sandbox = self.stacked('in-tree swift')
        self.assertEqual([], [action for action in sandbox.actions()
                              if 'pip_install' in action])
        self.assertNotIn('reference_drivers', sandbox.cinder_conf.read_text())

    def test_options_of_the_verification(self):
        found = self._configured(
            'swift', BACKUP_RECOVERY_VERIFY_LEVEL='presence',
            BACKUP_RECOVERY_VERIFY_TIMEOUT='7')
        self.assertEqual({'level': 'presence', 'timeout': '7'},
                         found['backup_import_verify'])

    def test_share_of_another_host(self):
        sandbox = self.stacked(
            'nfs', BACKUP_RECOVERY_NFS_SHARE='store.example.com:/backups')
        found = devstack_sandbox.read(sandbox.cinder_conf)['DEFAULT']
        self.assertEqual('store.example.com:/backups', found['backup_share'])
        self.assertFalse(sandbox.exports.exists())
        self.assertEqual(
            ['install_package nfs-common'],
            [one for one in sandbox.actions()
             if not one.startswith(('pip_install', 'tempest plugins'))])
        self.assertNotIn('backup_store', devstack_sandbox.read(
            sandbox.tempest_conf)[_GROUP])


class NFSTest(_PluginTest):

    def test_export_is_for_the_clients_only(self):
        sandbox = self.sandbox(
            'nfs', BACKUP_RECOVERY_NFS_CLIENTS='192.0.2.1,192.0.2.2')
        sandbox.done('stack')
        directory, *clients = sandbox.exports.read_text().split()
        self.assertEqual(str(sandbox.data / 'export'), directory)
        self.assertEqual(['192.0.2.1', '192.0.2.2'],
                         [one.partition('(')[0] for one in clients])
        self.assertEqual(
            ['install_package nfs-common',
             'install_package nfs-kernel-server',
             'start_service nfs-kernel-server', 'exportfs -ra'],
            sandbox.actions()[:4])

    def test_other_distributions(self):
        sandbox = self.sandbox('nfs', DISTRIBUTION='fedora')
        sandbox.done('stack')
        self.assertEqual(['install_package nfs-utils',
                          'start_service nfs-server'], sandbox.actions()[:2])

    def test_unstack_unmounts_only_what_cinder_mounted(self):
        sandbox = self.sandbox('nfs')
        sandbox.done('stack')
        ours = [sandbox.data / 'mounts' / 'f00', sandbox.data / 'mounts/ba r']
        others = [sandbox.root / 'data' / 'nova', sandbox.data / 'mounts2/x']
        sandbox.mount(*ours, *others)
        sandbox.done('unstack')
        self.assertEqual([*map(str, others)], sandbox.mounted())
        self.assertEqual([*(f'umount {path}' for path in ours),
                          'exportfs -ra'], sandbox.actions())
        sandbox.done('unstack')
        self.assertEqual([], sandbox.actions())


@ddt.ddt
class TempestTest(_PluginTest):

    def _configured(self, name='default', **local_conf):
        sandbox = self.stacked(name, **local_conf)
        return sandbox, devstack_sandbox.read(sandbox.tempest_conf)

    def _parsed(self, sandbox):
        conf = cfg.ConfigOpts()
        for group, options in recovery_config.list_opts():
            conf.register_opts(options, group=group)
        conf.register_opts([cfg.StrOpt('max_microversion')], group='volume')
        conf.register_opts([cfg.BoolOpt('cinder', default=True),
                            cfg.BoolOpt('glance', default=True)],
                           group='service_available')
        conf(['--config-file', str(sandbox.tempest_conf)])
        return conf

    @ddt.data(*_ALL)
    def test_every_option_is_the_plugins(self, name):
        _, found = self._configured(name)
        known = {group: {option.name for option in options}
                 for group, options in recovery_config.list_opts()}
        for group in (_GROUP, _FEATURES):
            self.assertEqual(set(), found[group].keys() - known[group])

    @ddt.data(*_ALL)
    def test_a_run_could_begin(self, name):
        sandbox, found = self._configured(name)
        conf = self._parsed(sandbox)
        self.assertEqual([], [*recovery_config.problems(conf)])
        for group in (_GROUP, _FEATURES):
            for option in found[group]:
                conf[group][option]

    @ddt.data(*_ALL)
    def test_profile_says_the_same(self, name):
        sandbox, found = self._configured(name)
        profile = profiles.load(str(sandbox.data / 'profile.yaml'), [])
        self.assertEqual(
            found[_FEATURES],
            {key: str(value).lower() if isinstance(value, bool) else value
             for key, value in profile.document['can'].items()})
        self.assertEqual(found[_GROUP]['backup_driver'],
                         profile.get('driver.class'))
        self.assertEqual(str(sandbox.tempest_conf),
                         profile.get('connect.tempest_conf'))

    @ddt.data(*_DRIVERS)
    def test_driver_is_that_of_cinder(self, name):
        sandbox, found = self._configured(name)
        cinder = devstack_sandbox.read(sandbox.cinder_conf)['DEFAULT']
        self.assertEqual(cinder['backup_driver'],
                         found[_GROUP]['backup_driver'])

    @ddt.data(('default', 'backup_posix_path'), ('nfs', 'backup_share'))
    @ddt.unpack
    def test_store_is_where_cinder_writes(self, name, option):
        sandbox, found = self._configured(name)
        cinder = devstack_sandbox.read(sandbox.cinder_conf)['DEFAULT']
        store = found[_GROUP]['backup_store_path']
        self.assertEqual(store, cinder[option].rpartition(':')[2])
        self.assertTrue((sandbox.root / store).is_dir())

    def test_keyrings_are_readable_to_the_group(self):
        sandbox, found = self._configured('ceph')
        for option in ('backup_store_ceph_keyring', 'rbd_keyring'):
            path = sandbox.root / found[_GROUP][option]
            self.assertEqual(0o640, path.stat().st_mode & 0o777)
            self.assertEqual('a key\n', path.read_text())

    def test_only_two_modules_come_from_the_distribution(self):
        sandbox, _ = self._configured('ceph')
        path = sandbox.root / 'site-packages' / 'backup-recovery-ceph.pth'
        bindings = sandbox.root / path.read_text().strip()
        self.assertEqual({'rados.so', 'rbd.so'},
                         {link.name for link in bindings.iterdir()})

    def test_the_version_is_that_of_the_installed_cinder(self):
        _, found = self._configured('default')
        self.assertEqual('30.0.0.0b2.dev7', found[_GROUP]['cinder_version'])

    def test_volumes_that_are_files_are_known_by_their_protocol(self):
        for backend, protocol in (('nfs:nfs', 'nfs'), ('lvm:lvm', None)):
            _, found = self._configured(CINDER_ENABLED_BACKENDS=backend)
            self.assertEqual(protocol,
                             found['volume'].get('storage_protocol'))

    def test_known_defects(self):
        """Those of the release that is stacked, from the kit's own table."""
        for branch, release in (('master', 'master'),
                                ('stable/2026.1', '2026.1'),
                                ('unmaintained/2025.1', '2025.1')):
            _, found = self._configured(CINDER_BRANCH=branch)
            found = found[_GROUP]
            self.assertEqual(('all', release), (
                found['known_defects'], found['cinder_release']))
            self.assertEqual([], [*known_defects.problems(['all'], release)])
        _, found = self._configured(BACKUP_RECOVERY_KNOWN_DEFECTS='x,y')
        self.assertEqual('x,y', found[_GROUP]['known_defects'])

    def test_database_without_what_only_devstack_has(self):
        sandbox, found = self._configured()
        self.assertIn('dbcounter', sandbox.cinder_conf.read_text())
        self.assertEqual(
            'mysql+pymysql://root:secret@127.0.0.1/cinder?charset=utf8',
            found[_GROUP]['database_connection'])

    def test_database_of_the_user(self):
        url = 'postgresql+psycopg2://cinder:a&b@db/cinder'
        _, found = self._configured(BACKUP_RECOVERY_DATABASE_URL=url)
        self.assertEqual(url, found[_GROUP]['database_connection'])

    @ddt.data(
        ('', 'default', '{0}[mysql]'),
        ('0', 'default', '{0}[mysql]'),
        ('/opt/stack/other {0} /opt/x', 'default',
         '/opt/stack/other /opt/x {0}[mysql]'),
        ('/opt/stack/cinder-backup-recovery-tests', 'default', '{0}[mysql]'),
        ('{0}[mysql]', 'default', '{0}[mysql]'),
        ('', 'ceph', '{0}[mysql,attachment]'))
    @ddt.unpack
    def test_plugins_of_tempest(self, before, name, after):
        # The directory has that name in DevStack, and any in a test.
        root = str(devstack_sandbox.ROOT)
        named = '/opt/stack/cinder-backup-recovery-tests'
        sandbox, _ = self._configured(
            name, TEMPEST_PLUGINS=before.format(named))
        self.assertIn(f'tempest plugins {after.format(root)}',
                      sandbox.actions())

    @ddt.data(({}, 'qcow2'),
              ({'BACKUP_RECOVERY_IMAGE_FORMAT': 'raw'}, 'raw'))
    @ddt.unpack
    def test_images_without_holes(self, local_conf, wanted):
        _, found = self._configured('default', **local_conf)
        self.assertEqual(('image', wanted), (
            found[_GROUP]['content_access'], found[_GROUP]['image_format']))

    def test_volumes_on_rbd_are_read_by_images(self):
        _, found = self._configured(
            'ceph', BACKUP_RECOVERY_CONTENT_ACCESS='image')
        self.assertEqual('false', found[_FEATURES]['reimage'])


@ddt.ddt
class WrongSettingsTest(_PluginTest):

    @ddt.data(
        ({'BACKUP_RECOVERY_DRIVER': 'swfit'},
         'BACKUP_RECOVERY_DRIVER is "swfit", and must be default, swift, '
         'ceph, nfs or in-tree'),
        ({'BACKUP_RECOVERY_VERIFY_LEVEL': 'restore'},
         'BACKUP_RECOVERY_VERIFY_LEVEL is "restore", and must be presence '
         'or content'),
        ({'BACKUP_RECOVERY_VERIFY_TIMEOUT': '1m'},
         'BACKUP_RECOVERY_VERIFY_TIMEOUT is "1m", and must be a number of '
         'seconds'),
        ({'BACKUP_RECOVERY_CONTENT_ACCESS': 'ssh'},
         'BACKUP_RECOVERY_CONTENT_ACCESS is "ssh", and must be image or '
         'attachment'),
        ({'BACKUP_RECOVERY_IMAGE_FORMAT': 'vmdk'},
         'BACKUP_RECOVERY_IMAGE_FORMAT is "vmdk", and must be qcow2 or raw'),
        ({'BACKUP_RECOVERY_POSIX_PATH': 'backups'},
         'BACKUP_RECOVERY_POSIX_PATH is "backups", and must be an absolute '
         'path'),
        ({'BACKUP_RECOVERY_DATA_DIR': '/'},
         'BACKUP_RECOVERY_DATA_DIR is "/", and must be an absolute path'),
        ({'BACKUP_RECOVERY_DATA_DIR': '/usr/..'},
         'BACKUP_RECOVERY_DATA_DIR is "/usr/..", which is there and was not '
         'made by this plugin: name a directory that it may make, and '
         'remove'),
        ({'BACKUP_RECOVERY_DRIVER': 'nfs',
          'BACKUP_RECOVERY_NFS_SHARE': '/srv/backups'},
         'BACKUP_RECOVERY_NFS_SHARE is "/srv/backups", and must be '
         'HOST:/PATH'),
        ({'BACKUP_RECOVERY_SECOND_REGION': 'RegionOne'},
         'BACKUP_RECOVERY_SECOND_REGION is "RegionOne", which is this '
         'region: name another one, or none'),
        ({'BACKUP_RECOVERY_DRIVER': 'ceph'},
         'BACKUP_RECOVERY_DRIVER is ceph, and there is no cluster: '
         'enable_plugin devstack-plugin-ceph'),
        ({'BACKUP_RECOVERY_DRIVER': 'swift',
          'ENABLED_SERVICES': 'c-api,c-bak'},
         'BACKUP_RECOVERY_DRIVER is swift, and there is none: '
         'enable_service s-proxy s-object s-container s-account'))
    @ddt.unpack
    def test_one_line_and_nothing_done(self, local_conf, line):
        sandbox = self.useFixture(devstack_sandbox.Sandbox(**local_conf))
        result = sandbox.run('stack')
        self.assertNotEqual(0, result.returncode)
        errors = [one for one in result.stderr.splitlines()
                  if '[ERROR]' in one]
        self.assertEqual(1, len(errors), result.stderr)
        self.assertTrue(re.fullmatch(
            r'\[ERROR\] \S+:\d+:? ?' + re.escape(line), errors[0]), errors)
        self.assertEqual([], sandbox.actions())
        self.assertFalse(sandbox.cinder_conf.exists())

    def _error(self, sandbox):
        result = sandbox.run('stack')
        self.assertNotEqual(0, result.returncode)
        line, = (one for one in result.stderr.splitlines()
                 if '[ERROR]' in one)
        return line

    def test_keyring_that_is_not_there(self):
        sandbox = self.sandbox('ceph')
        missing = sandbox.root / 'ceph' / 'ceph.client.cinder-bak.keyring'
        missing.unlink()
        self.assertTrue(self._error(sandbox).endswith(
            f'{missing} cannot be read: is devstack-plugin-ceph enabled for '
            f'cinder and c-bak?'))

    def test_bindings_that_are_not_there(self):
        self.assertTrue(self._error(self.sandbox(
            'ceph', BACKUP_RECOVERY_SYSTEM_PYTHON='/bin/false')).endswith(
            '/bin/false has no module rados: install the package '
            'python3-rados'))

    def test_subnode_need_not_know_of_swift(self):
        self.sandbox('swift', ENABLED_SERVICES='c-vol,c-bak').done('stack')
