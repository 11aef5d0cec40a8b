# SPDX-License-Identifier: Apache-2.0

"""The profile of a certification, and what is wrong with it."""

import pathlib

import ddt
import fixtures
import testtools

from backup_model import known
from cinder_backup_recovery_tests import capabilities
from cinder_backup_recovery_tests import connecting
from cinder_backup_recovery_tests.certification.profile import profiles
from cinder_backup_recovery_tests.certification.run import tempest_settings
from cinder_backup_recovery_tests.certification.run import ways
from cinder_backup_recovery_tests.certification.verdict import tiers


class ProfileTestCase(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path)

    def file(self, text, name='acme.yaml'):
        path = self.directory / name
        path.write_text(text)
        return str(path)

    def load(self, text, settings=(), environment=()):
        return profiles.load(self.file(text), settings, dict(environment))

    def refused(self, text, settings=(), environment=()):
        """The one line that is said of a profile."""
        error = self.assertRaises(profiles.ProfileError, self.load, text,
                                  settings, environment)
        self.assertNotIn('\n', str(error))
        self.assertNotIn('hunter2', str(error))
        return str(error).replace(str(self.directory) + '/', '')


class HistoriesTest(ProfileTestCase):
    """More tests, by a profile of whichever cloud."""

    def setUp(self):
        super().setUp()
        self.history = str(known.CORPUS / 'answered-import-id.json')

    def test_options(self):
        profile = self.load(
            'run: {}', ['connect.history_seed=7',
                        f'connect.history_files=[{self.history}]'])
        self.assertEqual(
            {'cinder_backup_recovery': {'history_files': [self.history],
                                        'history_seed': ['7']}},
            tempest_settings.of_histories(profile))
        # They choose tests of the local cloud, too, whose connection is not
        # that of a profile.
        profile.refuse_unused('local', ways.Local.unused,
                              used=ways.Local.used)
        error = self.assertRaises(
            profiles.ProfileError, self.load(
                'run: {}', ['connect.ledger_dir=x']).refuse_unused,
            'local', ways.Local.unused, used=ways.Local.used)
        self.assertIn('connect.ledger_dir is set, and', str(error))

    def test_file_without_a_history(self):
        profile = self.load('run: {}', [
            f'connect.history_files=[{self.file("{}", "x.json")}]'])
        error = self.assertRaises(profiles.ProfileError,
                                  tempest_settings.of_histories, profile)
        self.assertIn('connect.history_files: ', str(error))
        self.assertIn('is no history', str(error))

    def test_tests(self):
        """They are required as those of the suite are, and of no tier."""
        conf = self.file('[cinder_backup_recovery]\nhistory_count = 1\n',
                         'tempest.conf')
        way = ways.Cloud(self.load('run: {}', [
            f'connect.tempest_conf={conf}',
            f'connect.history_files=[{self.history}]']))
        self.addCleanup(way.discard)
        more = [tiers.plain(one) for one in way.required()
                if 'test_history_files' in one]
        self.assertEqual(
            ['HistoryFileTest', 'RandomHistoryTest'],
            sorted(one.split('.')[2] for one in more))


class TenantTest(ProfileTestCase):

    def test_encrypted_volumes(self):
        """Not required, and named as not tested, unless they are wanted."""
        for text, denied in (('{}', {'encrypted_volumes'}),
                             ('{encrypted_volumes: true}', set()),
                             ('{encrypted_volumes: false, reimage: false}',
                              {'encrypted_volumes', 'reimage'})):
            way = ways.Tenant(self.load(f'can: {text}'))
            self.addCleanup(way.discard)
            self.assertEqual(denied, way.denied)


@ddt.ddt
class WrongProfileTest(ProfileTestCase):
    @ddt.data(
        ('can:\n  import_verfy: true',
         'can.import_verfy is not known; do you mean can.import_verify?'),
        ('cann: {}', 'cann is not known; do you mean can?'),
        ('connect:\n  databse_url: x',
         'connect.databse_url is not known; do you mean '
         'connect.database_url?'),
        ('import_verify: true',
         'import_verify is not known; do you mean can.import_verify?'),
        ('connect:\n  import_verify: true',
         'connect.import_verify is not known; do you mean '
         'can.import_verify?'),
        ('moon: 1', 'moon is not known; the sections are driver, connect, '
                    'can, run'),
        ('can:\n  import_verify: "yes"',
         'can.import_verify must be true or false'),
        ('run:\n  concurrency: many',
         'run.concurrency must be a whole number'),
        ('run:\n  concurrency: 0',
         'run.concurrency: 0 is less than the minimum of 1'),
        ('run:\n  mode: fast',
         "run.mode is 'fast', and must be one of certified, quick"),
        ('- 1', 'the profile must be a mapping'),
        ('can: 5', 'can must be a mapping'),
    )
    @ddt.unpack
    def test_mistake(self, text, said):
        """The key is named, and the nearest right one."""
        self.assertEqual(f'acme.yaml: {said}', self.refused(text))

    def test_yaml(self):
        self.assertIn('acme.yaml, line 3: duplicate key mode',
                      self.refused('run:\n  mode: quick\n  mode: certified'))
        self.assertIn('acme.yaml, line 1: ', self.refused('a: ['))
        self.assertIn('the key 1 is not text', self.refused('1: 2'))
        self.assertIn('acme.yaml', self.refused('a: !!python/object:x.Y {}'))

    @ddt.data('hunter2', '{env: hunter2, file: hunter2}', '{env: 5}',
              '[hunter2]', '{plain: hunter2}', '5')
    def test_secret_in_a_profile(self, value):
        for name in ('database_password', 'backup_store_s3_secret_key'):
            said = self.refused(f'connect:\n  {name}: {value}')
            self.assertIn('{env: NAME} or {file: PATH}', said)
            self.assertNotIn('hunter2', said)

    def test_secret_in_a_url(self):
        self.assertIn('connect.database_password as {env: NAME}',
                      self.refused('connect:\n  database_url: '
                                   'mysql+pymysql://cinder:hunter2@db/c'))
        self.assertIn('has a password in it', self.refused(
            '', ['connect.database_url=mysql+pymysql://cinder:hunter2@db/c']))

    def test_no_file(self):
        for name, said in (
                ('/nonexistent.yaml',
                 'the profile /nonexistent.yaml cannot be read: No such file '
                 'or directory'),
                ('swfit', 'unknown profile swfit; give a file name or one of '
                          'ceph, default, nfs, s3, s3-in-tree, swift')):
            error = self.assertRaises(profiles.ProfileError, profiles.load,
                                      name, (), {})
            self.assertEqual(said, str(error))

    @ddt.data(
        ((), {'BACKUP_CERTIFY_RUN_MOD': 'quick'},
         'the variable BACKUP_CERTIFY_RUN_MOD sets no key; do you mean '
         'BACKUP_CERTIFY_RUN_MODE?'),
        ((), {'BACKUP_CERTIFY_RUN_MODE': 'fast'},
         "the environment: run.mode is 'fast', and must be one of certified, "
         "quick"),
        ((), {'BACKUP_CERTIFY_MOON': 'fast'},
         'the variable BACKUP_CERTIFY_MOON sets no key'),
        (['run.mod=quick'], {},
         'the command line: run.mod is not known; do you mean run.mode?'),
        (['run.mode'], {}, '--set run.mode: section.key=value is expected'),
        (['mode=quick'], {},
         '--set mode: mode is not a key with its section, such as run.mode'),
    )
    @ddt.unpack
    def test_elsewhere(self, settings, environment, said):
        self.assertEqual(said, self.refused('', settings, environment))


class ProfileTest(ProfileTestCase):
    def test_name_without_a_file(self):
        """The name in the report of a driver without a profile."""
        for settings, name in (
                ([], 'the profile'), (['driver.class=acme.Driver'],
                                      'acme.Driver'),
                (['driver.class=acme.Driver', 'driver.name=Acme'], 'Acme')):
            self.assertEqual(name, profiles.load(None, settings, {}).name)

    def test_precedence(self):
        """Command line, environment, profile, what holds otherwise."""
        text = 'run:\n  concurrency: 5\n  mode: quick\ncan:\n'
        variables = {'BACKUP_CERTIFY_RUN_MODE': 'certified',
                     'BACKUP_CERTIFY_CAN_IMPORT_VERIFY': 'false'}
        for settings, environment, mode, denied in (
                ((), {}, 'quick', set()),
                ((), variables, 'certified', {'import_verify'}),
                (['run.mode=quick', 'can.import_verify=true'], variables,
                 'quick', set())):
            found = self.load(text, settings, environment)
            self.assertEqual(
                (mode, 5, 'certify-report', denied),
                (found.get('run.mode'), found.get('run.concurrency'),
                 found.get('run.report_dir'), found.denied))
            self.assertEqual('acme', found.name)

    def test_secrets(self):
        url = 'connect:\n  database_url: mysql://cinder@db/c?x=y\n'
        self.useFixture(fixtures.EnvironmentVariable('PASS_', 'h/@:u'))
        path = self.file('h/@:u\n', 'password')
        for reference in ('{env: PASS_}', f'{{file: {path}}}'):
            found = self.load(f'{url}  database_password: {reference}')
            self.assertEqual('mysql://cinder:h%2F%40%3Au@db/c?x=y',
                             found.database_url())
            self.assertNotIn('h/@:u', str(found.document))
        self.assertIsNone(self.load('').database_url())
        self.assertEqual('sqlite:///x', self.load(
            'connect:\n  database_url: sqlite:///x').database_url())

    def test_secret_options(self):
        """They are read for Tempest's configuration, and not before."""
        self.useFixture(fixtures.EnvironmentVariable('KEY_', 'hunter2'))
        found = self.load('connect:\n'
                          '  backup_store_s3_secret_key: {env: KEY_}')
        self.assertEqual(['hunter2'], tempest_settings.of_profile(found)[
            'cinder_backup_recovery']['backup_store_s3_secret_key'])
        self.assertNotIn('hunter2', str(found.document))

    def test_secrets_that_are_not_there(self):
        url = 'connect:\n  database_url: mysql://cinder@db/c\n'
        for reference, said in (
                ('{env: NOT_SET_}', 'the variable NOT_SET_ is not set'),
                ('{file: /nonexistent}', '/nonexistent cannot be read: No'),
                (f'{{file: {self.file("", "empty")}}}', 'is empty')):
            found = self.load(f'{url}  database_password: {reference}')
            error = self.assertRaises(profiles.ProfileError,
                                      found.database_url)
            self.assertIn('connect.database_password: ', str(error))
            self.assertIn(said, str(error))
        found = self.load('connect:\n  database_url: mysql://db/c\n'
                          '  database_password: {env: HOME}')
        self.assertIn('names no user', str(self.assertRaises(
            profiles.ProfileError, found.database_url)))

    def test_shipped(self):
        names = {}
        for name in profiles.shipped():
            found = profiles.load(name, (), {})
            names[found.name] = found.get('driver.class')
            self.assertIn('import_verify', found.document['can'])
        self.assertEqual({
            'default': 'reference_drivers.default.DefaultBackupDriver',
            'swift': 'reference_drivers.swift.SwiftBackupDriver',
            'ceph': 'reference_drivers.ceph.CephBackupDriver',
            'nfs': 'reference_drivers.nfs.NFSBackupDriver',
            's3': 'reference_drivers.s3.S3BackupDriver',
            's3-in-tree': 'cinder.backup.drivers.s3.S3BackupDriver'}, names)

    def test_a_dictionary(self):
        """As Tempest's configuration has it."""
        made = self.load('connect:\n  backup_store_options: {a: b, c: d}')
        self.assertEqual(['a:b,c:d'], tempest_settings.of_profile(made)[
            'cinder_backup_recovery']['backup_store_options'])

    def test_every_option_of_the_plugin(self):
        """One that is new can be set at once."""
        for section, options, left_out in (
                ('can', capabilities.OPTIONS, set()),
                ('connect', connecting.OPTIONS,
                 {'database_connection', 'backup_driver'})):
            for option in options:
                if option.name in left_out or option.default is None:
                    continue
                text = f'{section}:\n  {option.name}: {option.default!r}'
                if isinstance(option.default, bool):
                    text = text.lower()
                self.assertEqual(option.default, self.load(text).get(
                    f'{section}.{option.name}'))
