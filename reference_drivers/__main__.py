# SPDX-License-Identifier: Apache-2.0
"""Start a program of this package, or say what it lacks."""

import importlib
import sys
import warnings


def main() -> int:
    """Run ``cinder-backup-verify``; returns the exit code."""
    return _start('verify')


def switch() -> int:
    """Run ``cinder-backup-switch-driver``; returns the exit code."""
    return _start('switch')


def histories() -> int:
    """Run ``cinder-backup-histories``; returns the exit code."""
    return _start('histories.__main__')


def _start(module: str) -> int:
    """Run a program also where only the plugin is installed."""
    if not sys.warnoptions:
        # Of the libraries of Cinder, about each other.
        warnings.simplefilter('ignore')
    try:
        program = importlib.import_module(f'reference_drivers.{module}')
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f'error: {error.name} is not installed; run "pip install '
            f"'.[drivers]'\" in a clone of this project\n")
        return 3
    return program.main()


if __name__ == '__main__':
    sys.exit(main())
