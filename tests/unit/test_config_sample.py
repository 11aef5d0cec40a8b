# SPDX-License-Identifier: Apache-2.0

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
