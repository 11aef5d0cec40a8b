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

"""The sample configurations are what the options generate."""

import io
import pathlib

import ddt
from oslo_config import cfg
from oslo_config import generator
import testtools

_ETC = pathlib.Path(__file__).parents[2] / 'etc'


@ddt.ddt
class ConfigSampleTest(testtools.TestCase):

    @ddt.data(
        ('cinder_backup_recovery_tests',
         'cinder-backup-recovery-tests.conf.sample'),
        ('reference_drivers', 'reference-drivers.conf.sample'))
    @ddt.unpack
    def test_sample_is_up_to_date(self, namespace, name):
        conf = cfg.ConfigOpts()
        generator.register_cli_opts(conf)
        conf(['--namespace', namespace])
        generated = io.StringIO()
        generator.generate(conf, generated)
        self.assertEqual(
            (_ETC / name).read_text(), generated.getvalue(),
            'run tox -e genconfig and commit what it writes')
