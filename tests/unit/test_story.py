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

"""The story of a test."""

import testtools

from cinder_backup_recovery_tests import story


class StoryTest(testtools.TestCase):

    def texts(self, told):
        return [line.split('s  ', 1)[1] for line in told.lines()]

    def test_steps_are_told_in_order(self):
        told = story.Story()
        with told.step('lose'):
            pass
        with told.step('import'):
            pass
        self.assertEqual(['lose', 'import'], self.texts(told))

    def test_failed_step_is_the_last_one(self):
        told = story.Story()
        with testtools.ExpectedException(ValueError), told.step('restore'):
            raise ValueError
        self.assertEqual(['restore: failed'], self.texts(told))

    def test_seconds_are_told(self):
        told = story.Story()
        with told.step('wait'):
            pass
        self.assertRegex(told.lines()[0], r'^ +\d+\.\d s  wait$')

    def test_story_of_the_class_comes_first(self):
        of_class = story.Story()
        with of_class.step('back up'):
            pass
        first, second = story.Story(of_class), story.Story(of_class)
        with first.step('lose'):
            pass
        self.assertEqual(['back up', 'lose'], self.texts(first))
        self.assertEqual(['back up'], self.texts(second))

    def test_content_holds_what_is_told_later(self):
        told = story.Story()
        content = told.as_content()
        with told.step('compare'):
            pass
        self.assertIn('compare', content.as_text())
