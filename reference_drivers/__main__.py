# SPDX-License-Identifier: Apache-2.0
"""Start ``cinder-backup-verify``, or say what it lacks."""

import sys


def main() -> int:
    """The program, also where only the plugin is installed.

    :returns: the exit code
    """
    try:
        from reference_drivers import verify
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f'error: {error.name} is not installed; run "pip install '
            f"'.[drivers]'\" in a clone of this project\n")
        return 3
    return verify.main()


if __name__ == '__main__':
    sys.exit(main())
