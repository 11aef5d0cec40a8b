# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

import pathlib
import re

import fixtures
import testtools

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import facts
from cinder_backup_recovery_tests import known_defects
from local_cloud import backups
from local_cloud import cinder_defects
from local_cloud import releases
from local_cloud import state

_PAGE = (pathlib.Path(__file__).parents[2] / 'doc' / 'source' /
         'reference' / 'known-defects.rst')


class KnownDefectsTest(testtools.TestCase):
    def test_documented(self):
        """What the names mean, with number and releases, in the manual."""
        parts = re.split(r'^``(\S+)``$', _PAGE.read_text(),
                         flags=re.MULTILINE)[1:]
        page = dict(zip(parts[::2], parts[1::2], strict=True))
        self.assertEqual(sorted(known_defects.DEFECTS), sorted(page))
        for name, defect in known_defects.DEFECTS.items():
            text = ' '.join(page[name].split()).lower()
            self.assertIn(defect.number.lower(), text, name)
            for release in defect.releases.split(', '):
                self.assertIn(release, text, name)
            for driver in defect.drivers:
                self.assertIn(driver.rstrip('.').rpartition('.')[2], text,
                              name)

    def test_local_cloud(self):
        """It declares what was seen in the release and driver that it runs."""
        clients = set(cinder_defects.OF_CLIENTS)
        self.assertEqual(set(), clients - set(known_defects.DEFECTS))
        cloud = state.State(self.useFixture(fixtures.TempDir()).path)
        for release, number in releases.NUMBERS.items():
            cloud.record['cinder'] = {
                'packages': {'cinder': f'{number}.0.0'}}
            for profile, made in backups.PROFILES.items():
                cloud.record['backup'] = profile
                has = {name for name, defect in known_defects.DEFECTS.items()
                       if release in defect.releases.split(', ') and
                       made.driver.startswith(defect.drivers or ('',))}
                self.assertEqual(
                    has | clients, set(cinder_defects.names(cloud)),
                    (release, profile))

    def outcome(self, failure, declared):
        """What a test that meets a failure ends as."""
        class Inner(testtools.TestCase):
            def test(self):
                with known_defects.expected(
                        self, facts.Facts(), declared, 'zeros-of-incremental',
                        looks=lambda exc: 'zeros' in str(exc)):
                    raise failure

        result = testtools.TestResult()
        Inner('test').run(result)
        return (len(result.expectedFailures),
                len(result.failures) + len(result.errors))

    def test_only_what_looks_like_it_is_excused(self):
        zeros = exceptions.ContentMismatch('no zeros')
        garbage = exceptions.ContentMismatch('garbage')
        declared = ['zeros-of-incremental']
        self.assertEqual((1, 0), self.outcome(zeros, declared))
        self.assertEqual((0, 1), self.outcome(zeros, []))
        self.assertEqual((0, 1), self.outcome(garbage, declared))
        self.assertEqual((0, 1), self.outcome(garbage, []))

    def test_a_name_that_is_none(self):
        self.assertRaises(
            KeyError,
            known_defects.expected(
                self, facts.Facts(), [], 'no-such').__enter__)
