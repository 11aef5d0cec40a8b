# SPDX-License-Identifier: Apache-2.0

"""The program ``cinder-backup-records``."""

from collections.abc import Sequence
import logging
import os
import sys

from backup_recovery import arguments as arguments_
from backup_recovery import exceptions
from backup_recovery.commands import common
from backup_recovery.commands import records
from backup_recovery.commands import recovery
from backup_recovery.commands import storages

FAILED = arguments_.FAILED


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns the exit code."""
    arguments = arguments_.parse({
        'export': records.export, 'scan': storages.scan,
        'plan': recovery.plan, 'apply': recovery.apply,
        'rewrap': records.rewrap, 'decrypt': records.decrypt,
        'restore': recovery.restore, 'prove': recovery.prove,
        'salvage': storages.salvage, 'drill': storages.drill,
        'report': recovery.report}, argv)
    # What libraries log, without a handler, goes to stderr.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        return arguments.function(arguments)
    except exceptions.RecoveryError as error:
        print(f'error: {error}', file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return common.INTERRUPTED
    except BrokenPipeError:
        # The reader has gone; what is still buffered has none.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


if __name__ == '__main__':
    sys.exit(main())
