# SPDX-License-Identifier: Apache-2.0

"""The template of a cloud, and the packages that one needs."""

import json
import os
import pathlib
import sys
from unittest import mock

import fixtures

from local_cloud import exceptions
from local_cloud import template
from local_cloud.machine import cloud_state
from local_cloud.services import base
from tests.unit import local_cloud_cases


class TemplateTest(local_cloud_cases.LocalCloudTestCase):
    def test_place(self):
        prefix = self.temporary / 'venv'
        cache = self.temporary / 'cache'
        self.useFixture(fixtures.EnvironmentVariable('XDG_CACHE_HOME',
                                                     str(cache)))
        self.useFixture(fixtures.MonkeyPatch('sys.prefix', str(prefix)))
        self.assertEqual(prefix / 'var' / 'local-cloud', template.home())
        self.useFixture(fixtures.MonkeyPatch('sys.prefix', sys.base_prefix))
        self.assertEqual(cache / 'cinder-backup-local-cloud',
                         template.home())
        self.useFixture(fixtures.MonkeyPatch('sys.prefix', '/proc/venv'))
        self.assertEqual(cache / 'cinder-backup-local-cloud',
                         template.home())
        self.useFixture(fixtures.EnvironmentVariable('XDG_CACHE_HOME',
                                                     '/proc/cache'))
        self.assertIsNone(template.home())

    def test_key_depends_on_versions(self):
        state = cloud_state.State(self.directory)
        key = template.key(state)
        self.assertEqual(key, template.key(state))
        with mock.patch('importlib.metadata.version', return_value='0'):
            self.assertNotEqual(key, template.key(state))

    def test_key_depends_on_the_release_of_cinder(self):
        state = cloud_state.State(self.directory)
        keys = {template.key(state)}
        for version in '26.3.0', '28.0.0':
            state.record['cinder'] = {
                'version': sys.version, 'packages': {'cinder': version}}
            keys.add(template.key(state))
        self.assertEqual(3, len(keys))

    def test_old_ones_go(self):
        for number in range(8):
            place = self.temporary / str(number)
            place.mkdir()
            (place / 'record.json').touch()
            os.utime(place, (number, number))
        template._prune(self.temporary)
        self.assertEqual(['2', '3', '4', '5', '6', '7'],
                         sorted(os.listdir(self.temporary)))

    def test_killed_while_it_was_made(self):
        """The leftover of another build does no harm."""
        state = self.make()
        target = self.temporary / 'key'
        pathlib.Path(f'{target}.new').mkdir()
        (pathlib.Path(f'{target}.new') / 'half').touch()
        target.mkdir()
        (target / 'half').touch()

        def bootstrap(services):
            inner = services[0].state
            for service in services:
                inner.database(service.name).touch()
            (inner.data / 'keystone-keys').mkdir(exist_ok=True)

        with mock.patch.object(template, 'bootstrap', bootstrap):
            template._make(target, state)
        self.assertFalse(pathlib.Path(f'{target}.new').exists())
        self.assertEqual(['cinder.sqlite', 'glance.sqlite', 'keystone-keys',
                          'keystone.sqlite', 'python-entrypoints',
                          'record.json'],
                         sorted(os.listdir(target)))
        self.assertEqual([], os.listdir(state.tmp))
        self.assertEqual(
            {'admin', 'cinder', 'glance'},
            set(json.loads((target / 'record.json').read_text())[
                'passwords']))

    def test_a_service_that_cannot_make_its_schema(self):
        state = self.make(debug=False, backup='default')

        class Broken(base.Bootstrapped):
            name = 'glance'

            def bootstrap_command(self):
                return [sys.executable, '-c',
                        'print("no such table"); exit(1)']

        with mock.patch.object(template, '_SERVICES', (Broken,)):
            error = self.assertRaises(
                exceptions.ServiceFailed, template._make,
                self.temporary / 'key', state)
        self.assertIn('glance could not make its database (it exited with 1)',
                      str(error))
        self.assertIn('no such table', str(error))
        self.assertFalse((self.temporary / 'key').exists())


class PackagesTest(local_cloud_cases.LocalCloudTestCase):
    def test_missing(self):
        with mock.patch('importlib.util.find_spec', return_value=None):
            self.assert_error('not installed here: keystone, glance',
                              self.on('up'))
        self.assertFalse(self.directory.exists())
