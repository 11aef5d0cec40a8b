# SPDX-License-Identifier: Apache-2.0

"""Run a Python program, and tell how it died, if it did.

For the workers of a run, which the system may kill for want of memory: stestr
says nothing then.
"""

import signal
import subprocess
import sys


def main() -> int:
    """Run the program of the arguments, and return its exit code."""
    code = subprocess.call([sys.executable, '-X', 'faulthandler',
                            *sys.argv[1:]])
    if code >= 0:
        return code
    sys.stderr.write(f'a worker was killed by '
                     f'{signal.Signals(-code).name}\n')
    return 128 - code


if __name__ == '__main__':
    sys.exit(main())
