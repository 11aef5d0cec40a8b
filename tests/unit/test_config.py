# SPDX-License-Identifier: Apache-2.0

import copy
import os
import pathlib
import tempfile
from unittest import mock

from oslo_config import cfg
from oslo_config import generator
from tempest import config as tempest_config
from tempest.test_discover import plugins as tempest_plugins
import testtools

from backup_model import history
from backup_model import known
import cinder_backup_recovery_tests
from cinder_backup_recovery_tests import config
from cinder_backup_recovery_tests import connecting
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import features
from cinder_backup_recovery_tests import plugin
from cinder_backup_recovery_tests.cloud import services


def make_conf(**overrides):
    """Options of Tempest that matter here, and ours with good values."""
    # Copies: all that register the same group share its values.
    conf = cfg.ConfigOpts()
    conf.register_opts(tempest_config.ServiceAvailableGroup,
                       group='service_available')
    conf.register_opts(tempest_config.VolumeGroup, group='volume')
    conf.register_opts(tempest_config.VolumeFeaturesGroup,
                       group='volume_feature_enabled')
    for group, options in config.list_opts():
        conf.register_opts(copy.deepcopy(options), group=group)
    conf([], default_config_files=[])
    values = {
        'cinder_backup_recovery.database_connection': 'sqlite:///x',
        'cinder_backup_recovery.ledger_dir': 'some/where',
        'volume.max_microversion': 'latest',
        **overrides}
    for key, value in values.items():
        group, name = key.split('.')
        conf.set_override(name, value, group)
    return conf


class CheckTest(testtools.TestCase):
    def _problem(self, **overrides):
        exc = self.assertRaises(exceptions.InvalidConfiguration,
                                config.check, make_conf(**overrides))
        self.assertNotIn('\n', str(exc))
        return str(exc)

    def test_good(self):
        config.check(make_conf())

    def test_an_unknown_defect(self):
        self.assertIn('known_defects has import-slow, but', self._problem(
            **{'cinder_backup_recovery.known_defects': [
                'import-slow', 'import-negative-size']}))

    def test_defects_of_a_release(self):
        def problem(*entries, release='2026.1'):
            return self._problem(**{
                'cinder_backup_recovery.known_defects': list(entries),
                'cinder_backup_recovery.cinder_release': release})

        for entries, release, said in (
                (('all',), '', 'set [cinder_backup_recovery] cinder_release'),
                (('import-deep-json@2026.1',), '', 'cinder_release to the'),
                (('import-deep-json@2027.9',), '2026.1', 'known releases'),
                (('zeros-of-incremental@2026.2',), '2026.1',
                 'was seen in 2025.1, 2025.2, 2026.1 only'),
                ((), '2027.9', 'cinder_release is 2027.9; known: 2025.1')):
            self.assertIn(said, problem(*entries, release=release))
        conf = make_conf(**{
            'cinder_backup_recovery.cinder_release': '2026.1',
            'cinder_backup_recovery.backup_driver':
                'cinder.backup.drivers.posix',
            'cinder_backup_recovery.known_defects': [
                'all@2026.1', 'import-deep-json@2026.2']})
        config.check(conf)
        self.assertIn('zeros-of-incremental', config.declared_defects(conf))

    def test_no_ledger(self):
        self.assertIn('ledger_dir is not set', self._problem(
            **{'cinder_backup_recovery.ledger_dir': None}))

    def test_no_way_to_the_rows(self):
        self.assertIn('neither database_connection nor', self._problem(
            **{'cinder_backup_recovery.database_connection': None}))

    def test_two_ways_to_the_rows(self):
        self.assertIn('are set: keep one', self._problem(
            **{'cinder_backup_recovery.row_removal_command': 'a',
               'cinder_backup_recovery.row_exists_command': 'b'}))

    def test_a_command_for_backups_only(self):
        by_command = {
            'cinder_backup_recovery.database_connection': None,
            'cinder_backup_recovery.row_removal_command': 'a',
            'cinder_backup_recovery.row_exists_command': 'b'}
        self.assertIn('source_row_command is not set', self._problem(
            **by_command))
        config.check(make_conf(**by_command, **{
            'cinder_backup_recovery_feature_enabled.source_row_loss':
                False}))

    def test_a_storage_that_cannot_be_stopped(self):
        feature = {'cinder_backup_recovery_feature_enabled.store_stop': True}
        self.assertIn('store_start_command is not set', self._problem(
            **feature, **{'cinder_backup_recovery.store_stop_command': 'a'}))

    def test_key_manager_that_cannot_be_stopped(self):
        feature = 'cinder_backup_recovery_feature_enabled.key_manager_stop'
        self.assertIn('key_manager_stop_command and '
                      'key_manager_start_command is not set',
                      self._problem(**{feature: True}))

    def test_files_without_a_history(self):
        name = 'cinder_backup_recovery.history_files'
        temporary = self.enterContext(tempfile.TemporaryDirectory())
        path = pathlib.Path(temporary, 'history.json')
        history.write(path, [history.Step('create volume', 'admin-1'),
                             history.Step('killed', arguments={
                                 'steps': [{'operation': 'eat'}]})])
        self.assertIn(f"history_files: {path} has an unknown operation 'eat'",
                      self._problem(**{name: [str(path)]}))
        self.assertIn(f'{temporary}/none.json cannot be read',
                      self._problem(**{name: [f'{temporary}/none.json']}))
        path.write_text('{}')
        self.assertIn(f'{path} is no history of version 1',
                      self._problem(**{name: [str(path)]}))
        config.check(make_conf(**{name: list(map(
            str, known.CORPUS.glob('*.json')))}))

    def test_holds_without_a_program(self):
        feature = {'cinder_backup_recovery_feature_enabled.request_hold': True}
        self.assertIn('request_hold is true, but', self._problem(**feature))
        config.check(make_conf(**feature, **{
            'cinder_backup_recovery.request_hold_command':
            'hold {action} {point} {id}'}))

    def test_hold_that_would_hold_everything(self):
        name = 'cinder_backup_recovery.request_hold_command'
        self.assertIn('request_hold_command lacks {point}, {id}: ',
                      self._problem(**{name: 'hold {action}'}))
        config.check(make_conf(**{name: 'hold {action} {point} {id}'}))

    def test_storage_that_hangs(self):
        feature = {'cinder_backup_recovery_feature_enabled.store_pause': True}
        commands = {'cinder_backup_recovery.store_pause_command': 'a',
                    'cinder_backup_recovery.store_resume_command': 'b'}
        for name in commands:
            one = {key: value for key, value in commands.items()
                   if key != name}
            self.assertIn(f'{name.split(".")[1]} is not set', self._problem(
                **feature, **one))
        config.check(make_conf(**feature, **commands))

    def test_programs_of_what_the_storage_does(self):
        conf = make_conf(**{
            f'cinder_backup_recovery.store_{name}_command': f'{name} it'
            for name in ('stop', 'start', 'pause', 'resume')})
        ledger = mock.Mock()
        for state, words in ((services.AWAY, ['stop', 'start']),
                             (services.HANGS, ['pause', 'resume'])):
            storage = services.BackupStorage.from_config(conf, ledger, state)
            with mock.patch('cinder_backup_recovery_tests.commands.run'
                            ) as run:
                storage.stop()
                ledger.changes.return_value = ['away']
                storage.start()
                # It runs: the program takes seconds to say so.
                ledger.changes.return_value = []
                storage.start()
            self.assertEqual(words, [call.args[0][0]
                                     for call in run.mock_calls])
            self.assertEqual(state, ledger.note.mock_calls[-1].args[-1])

    def test_a_second_driver_that_is_nowhere(self):
        self.assertIn('second_backup_zone is not set', self._problem(**{
            'cinder_backup_recovery_feature_enabled.second_backup_service':
                True}))

    def test_a_command_that_nothing_proves(self):
        self.assertIn('row_exists_command is not set', self._problem(
            **{'cinder_backup_recovery.database_connection': None,
               'cinder_backup_recovery.row_removal_command': 'a'}))

    def test_second_store_that_nothing_reaches(self):
        feature = 'cinder_backup_recovery_feature_enabled.'
        text = self._problem(**{feature + 'second_store': True})
        self.assertIn('second_store is true, but second_region is false',
                      text)
        self.assertIn('backup_store is not set', text)
        config.check(make_conf(**{
            feature + 'second_store': True, feature + 'second_region': True,
            'cinder_backup_recovery.second_region': 'RegionTwo',
            'cinder_backup_recovery.backup_store': 'swift'}))

    def test_second_key_manager_that_nothing_reaches(self):
        feature = 'cinder_backup_recovery_feature_enabled.'
        here = {feature + 'second_key_manager': True}
        for more, lacking in (({}, 'second_region'),
                              ({feature + 'separate_keys': False},
                               'second_region and separate_keys')):
            self.assertIn(f'second_key_manager is true, but {lacking} is '
                          f'false', self._problem(**here, **more))
        config.check(make_conf(**here, **{
            feature + 'second_region': True,
            'cinder_backup_recovery.second_region': 'RegionTwo'}))

    def test_encrypted_volumes_by_attachments_only(self):
        feature = {'cinder_backup_recovery_feature_enabled.'
                   'encrypted_volumes': True}
        self.assertIn('encrypted_volume_type is not set',
                      self._problem(**feature))
        feature['cinder_backup_recovery.encrypted_volume_type'] = 'luks'
        self.assertIn('content_access is image', self._problem(**feature))
        config.check(make_conf(**feature, **{
            'cinder_backup_recovery.content_access': 'attachment'}))

    def test_images_that_cannot_be_read(self):
        self.assertIn('image_upload is false', self._problem(
            **{'cinder_backup_recovery_feature_enabled.image_upload': False}))

    def test_images_without_glance(self):
        self.assertIn('glance is false', self._problem(
            **{'service_available.glance': False}))

    def test_attachments_need_no_glance(self):
        config.check(make_conf(
            **{'service_available.glance': False,
               'cinder_backup_recovery.content_access': 'attachment'}))

    def test_no_cinder(self):
        self.assertIn('cinder is false', self._problem(
            **{'service_available.cinder': False}))

    def test_microversion_unset(self):
        self.assertIn('not set', self._problem(
            **{'volume.max_microversion': None}))

    def test_microversion_as_numbers(self):
        # As text 3.9 would be more than 3.68.
        self.assertIn('3.9', self._problem(
            **{'volume.max_microversion': '3.9'}))
        config.check(make_conf(**{'volume.max_microversion': '3.100'}))

    def test_microversion_nonsense(self):
        self.assertIn('nonsense', self._problem(
            **{'volume.max_microversion': 'nonsense'}))

    def test_all_mistakes_in_one_line(self):
        text = self._problem(
            **{'cinder_backup_recovery.ledger_dir': None,
               'cinder_backup_recovery.database_connection': None})
        self.assertIn('ledger_dir', text)
        self.assertIn('database_connection', text)

    def test_secret_is_not_told(self):
        text = self._problem(**{
            'cinder_backup_recovery.database_connection': 'x://u:hush@h/d',
            'cinder_backup_recovery.row_removal_command': 'a'})
        self.assertNotIn('hush', text)


class OptionsTest(testtools.TestCase):
    def test_each_has_help_with_a_full_stop(self):
        for group, options in config.list_opts():
            for option in options:
                self.assertTrue((option.help or '').endswith('.'),
                                f'{group}.{option.name}')

    def test_the_connection_is_secret(self):
        option, = (option for option in connecting.OPTIONS
                   if option.name == 'database_connection')
        self.assertTrue(option.secret)

    def test_entry_point_for_the_sample(self):
        found = dict(generator._list_opts(['cinder_backup_recovery_tests']))
        groups = [group for group, _ in
                  found['cinder_backup_recovery_tests']]
        self.assertEqual(['cinder_backup_recovery',
                          'cinder_backup_recovery_feature_enabled'], groups)


class PluginTest(testtools.TestCase):
    def test_entry_point(self):
        manager = tempest_plugins.TempestTestPluginManager()
        test_dir, top_dir = manager.get_plugin_load_tests_tuple()[
            'cinder_backup_recovery_tests']
        package = os.path.dirname(cinder_backup_recovery_tests.__file__)
        self.assertEqual((package, os.path.dirname(package)),
                         (test_dir, top_dir))

    def test_lists_what_it_registers(self):
        ours = plugin.CinderBackupRecoveryTempestPlugin()
        listed = ours.get_opt_lists()
        conf = cfg.ConfigOpts()
        ours.register_opts(conf)
        for group, options in listed:
            for option in options:
                self.assertIn(option.dest, conf[group])


class FeaturesTest(testtools.TestCase):
    def test_all_there(self):
        self.assertIsNone(features.missing(
            make_conf(), ['row_loss_hard', 'incremental'], True))

    def test_the_reason_names_the_option(self):
        conf = make_conf(
            **{'cinder_backup_recovery_feature_enabled.incremental': False})
        self.assertEqual(
            '[cinder_backup_recovery_feature_enabled] incremental is false',
            str(features.missing(conf, ['row_loss_hard', 'incremental'])))

    def test_rewriting_needs_reimage_only_with_images(self):
        off = {'cinder_backup_recovery_feature_enabled.reimage': False}
        self.assertEqual('reimage', features.lacking(
            features.missing(make_conf(**off), [], True)))
        self.assertIsNone(features.missing(make_conf(**off), [], False))
        self.assertIsNone(features.missing(make_conf(
            **off, **{'cinder_backup_recovery.content_access': 'attachment'}),
            [], True))

    def test_no_backup_at_all(self):
        self.assertEqual(
            '[volume_feature_enabled] backup is false',
            str(features.missing(make_conf(
                **{'volume_feature_enabled.backup': False}), [])))
