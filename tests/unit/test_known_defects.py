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

import testtools

from cinder_backup_recovery_tests import known_defects
from local_cloud import cinder_defects
from local_cloud import releases

_PAGE = (pathlib.Path(__file__).parents[2] / 'doc' / 'source' /
         'known-defects.rst')


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

    def test_local_cloud(self):
        """It declares what was seen in the release that it runs."""
        clients = set(cinder_defects.OF_CLIENTS)
        self.assertEqual(set(), clients - set(known_defects.DEFECTS))
        for release, number in releases.NUMBERS.items():
            self.assertEqual(
                {name for name, defect in known_defects.DEFECTS.items()
                 if release in defect.releases.split(', ')} - clients,
                set(cinder_defects.OF_RELEASE.get(number, ())), release)

    def test_a_name_that_is_none(self):
        self.assertRaises(
            KeyError,
            known_defects.expected(self, [], 'no-such').__enter__)
