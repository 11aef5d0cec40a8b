# SPDX-License-Identifier: Apache-2.0

"""A base class for tests that compare restored volumes with their backups."""

import io
import json
import pathlib

import testtools

from reference_drivers import default
from reference_drivers import verify
from reference_drivers.contract import base


class ProveCase(base.Contract, testtools.TestCase):
    driver = 'reference_drivers.default.DefaultBackupDriver'

    def make_objects(self):
        return None

    def prove(self, backup, content, *words, status=0):
        """Run the program on a volume of this content.

        :returns: what it prints as JSON
        """
        path = pathlib.Path(self.cinder.directory, 'restored')
        path.write_bytes(content)
        self.log, out = io.StringIO(), io.StringIO()
        arguments = verify.parser().parse_args(
            ['--json', '--restored', str(path), *map(str, words), backup.id])
        # Not the driver that restored it: that may be a mutant.
        found = verify.Command(
            arguments, default.DefaultBackupDriver(self.cinder.context),
            self.cinder.context, out, self.log).run()
        if status is not None:
            self.assertEqual(status, found, out.getvalue())
        return json.loads(out.getvalue())
