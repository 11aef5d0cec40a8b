# SPDX-License-Identifier: Apache-2.0

"""The engine of histories on a cloud, without a cloud."""

import ddt
import testtools

from backup_model import engine as engines
from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.content import layout
from cinder_backup_recovery_tests.scenario import history_blocks
from cinder_backup_recovery_tests.scenario import history_in_process


@ddt.ddt
class HistoryEngineTest(testtools.TestCase):
    @ddt.data((1, 0, 2, 1, 1, 2), (1, 0, 2, 1, 1, 2, 3, 0, 0, 4, 2, 1))
    def test_content(self, content):
        """Each GiB of a volume reads as it was written."""
        self.assertEqual(content, history_blocks.read(
            history_blocks.layout(content).open()))

    def test_content_at_another_place(self):
        """A block at another place, or between two, is not the model's."""
        written = history_blocks.layout((0,) * 12)
        for start in (written.extents[9].offset,
                      written.extents[9].offset + (1 << 20)):
            other = layout.Layout(
                1, written.size_bytes, (layout.Extent(start, 1 << 16, 1),))
            self.assertIn(engines.GARBAGE,
                          history_blocks.read(other.open())[6:])

    def test_operations_of_one_process(self):
        """A cloud that others use is not asked for them."""
        engine = history_in_process.OnlyInProcess()
        for call in (lambda: engine.lose_database(),
                     lambda: engine.second_site([]),
                     lambda: engine.away(0),
                     lambda: engine.attach('v'),
                     lambda: engine.detach('v'),
                     lambda: engine.transfer('v', '', ''),
                     lambda: engine.set_quota('', '', '', 1)):
            error = self.assertRaises(exceptions.InvalidConfiguration, call)
            self.assertIn('cinder-backup-histories', str(error))
