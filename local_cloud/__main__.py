# SPDX-License-Identifier: Apache-2.0
"""Start the program, or say what it lacks."""

import sys


def main() -> int:
    """The program, also where only the plugin is installed.

    :returns: the exit code
    """
    try:
        from local_cloud import main as program
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f'error: {error.name} is not installed; run "pip install '
            f"'.[local-cloud]'\" in a clone of this project\n")
        return 3
    return program.main()


if __name__ == '__main__':
    sys.exit(main())
