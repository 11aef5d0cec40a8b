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

"""What can go wrong in a test, for the test of what runs such ones."""

import os

import testtools


class BrokenTests(testtools.TestCase):
    """For the test of what runs these."""

    def test_ends_the_process(self):
        os._exit(0)

    def test_a_fails(self):
        self.fail('what was wrong inside')

    def test_a_is_skipped(self):
        self.skipTest('a reason to skip')


class NoTests(testtools.TestCase):
    """Has none."""
