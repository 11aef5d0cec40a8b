# SPDX-License-Identifier: Apache-2.0

"""Run random histories on a Cinder without its known defects.

The program is ``cinder-backup-histories``, and each broken promise is unknown
here: a false alarm, or a defect that no patch is for::

    python -m tests.patched_histories --histories 10000
"""

import sys
from unittest import mock

from backup_model import known
from reference_drivers.histories import __main__ as histories
from reference_drivers.histories import workers
from tests import patched_cinder


class _Patched(workers._Engine):
    def _setUp(self):
        super()._setUp()
        patches = patched_cinder.patched(self, *patched_cinder.PATCHES)
        patches.__enter__()
        self.addCleanup(patches.__exit__, None, None, None)


def main(argv=None):
    """Run the program and return its exit code."""
    # The processes are forks of this one.
    with (mock.patch.object(workers, '_Engine', _Patched),
          mock.patch.object(known, 'causes', dict)):
        return histories.main(argv)


if __name__ == '__main__':
    sys.exit(main())
