# SPDX-License-Identifier: Apache-2.0
"""The workers of a run of all tests have each test once."""

import pathlib
import re

import testtools
import yaml

_TESTS = pathlib.Path(__file__).parents[1]


class WorkersTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.workers = [one['worker'] for one in yaml.safe_load(
            (_TESTS / 'workers.yaml').read_text())]
        self.modules = [f'tests.{path.parent.name}.{path.stem}.A.test_b'
                        for path in _TESTS.glob('*/test_*.py')]

    def test_each_module_has_one(self):
        """A test that no worker runs would not be missed."""
        self.assertGreater(len(self.modules), 50)
        for module in self.modules:
            found = [worker for worker in self.workers
                     if any(re.search(one, module) for one in worker)]
            self.assertEqual(1, len(found), f'{module}: {found}')

    def test_each_name_is_of_a_module(self):
        """A name of no module is a mistake."""
        for worker in self.workers:
            for pattern in worker:
                for name in re.findall(r'[a-z_]{3,}', pattern.partition(
                        'test_')[2]):
                    self.assertTrue(
                        any(name in module for module in self.modules), name)
