# SPDX-License-Identifier: Apache-2.0

"""The engine of histories on a cloud, without a cloud."""

from unittest import mock

import ddt
import testtools

from backup_model import engine as engines
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.content import layout
from cinder_backup_recovery_tests.scenario import history_engine


class Contents:
    """Volumes that are their layouts."""

    def __init__(self):
        self.layouts = {}

    def rewrite(self, volume, content):
        self.layouts[volume] = content

    def read(self, volume):
        return self.layouts[volume].open()


@ddt.ddt
class HistoryEngineTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.contents = Contents()
        project = mock.Mock(content=self.contents)
        self.engine = history_engine.CloudEngine(
            {'project-1': project}, {}, mock.Mock(), mock.Mock(),
            mock.Mock(), self.addCleanup)
        self.engine._owners['v'] = project

    @ddt.data((1, 0, 2, 1, 1, 2), (1, 0, 2, 1, 1, 2, 3, 0, 0, 4, 2, 1))
    def test_content(self, content):
        """What is written is read, in each GiB of a volume."""
        self.engine.write('v', content)
        self.assertEqual(content, self.engine.read('v'))

    def test_content_at_another_place(self):
        """A block at another place, or between two, is none of the model."""
        self.engine.write('v', (0,) * 12)
        written = self.contents.layouts['v']
        for start in (written.extents[9].offset,
                      written.extents[9].offset + (1 << 20)):
            self.contents.layouts['v'] = layout.Layout(
                1, written.size_bytes, (layout.Extent(start, 1 << 16, 1),))
            self.assertIn(engines.GARBAGE, self.engine.read('v')[6:])

    def test_operations_of_one_process(self):
        """A cloud that others use is not asked for them."""
        for call in (lambda: self.engine.lose_database(),
                     lambda: self.engine.second_site([]),
                     lambda: self.engine.away(0),
                     lambda: self.engine.attach('v'),
                     lambda: self.engine.detach('v'),
                     lambda: self.engine.transfer('v', '', ''),
                     lambda: self.engine.set_quota('', '', '', 1)):
            error = self.assertRaises(exceptions.InvalidConfiguration, call)
            self.assertIn('cinder-backup-histories', str(error))
