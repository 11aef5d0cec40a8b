# SPDX-License-Identifier: Apache-2.0

"""Keep the manifest of tiers up to date with the suite.

::

    python -m cinder_backup_recovery_tests.certification.verdict.manifest
"""

from collections.abc import Sequence
import pathlib
import sys
import tempfile

from cinder_backup_recovery_tests.certification.report import compact
from cinder_backup_recovery_tests.certification.run import runner
from cinder_backup_recovery_tests.certification.verdict import tiers
from cinder_backup_recovery_tests.cmd import programs

_DESCRIPTION = """\
Say which tests of the suite are in no tier of a certification, and which
ones a tier asks for that the suite does not have.
"""


def suite() -> list[str]:
    """The ids of all tests that the installed suite has.

    :raises RunError: if they cannot be listed
    """
    with tempfile.TemporaryDirectory() as name:
        temporary = pathlib.Path(name)
        # The configuration of an existing cloud must not affect this.
        return runner.list_tests(temporary / 'stestr', runner.environment(
            {'TEMPEST_CONFIG_DIR': name}, temporary))


def differences(manifest: tiers.Manifest, tests: Sequence[str]
                ) -> list[str]:
    """List the differences from the suite, one line each."""
    return [
        *(f'{tier.name} asks for {name}, which the suite does not have'
          for tier, name in manifest.gone(tests)),
        *(f'{tiers.plain(test)} is in no tier'
          for test in manifest.unknown(tests))]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    :returns: the exit status: 0 if all is in order, 1 if not, 3 if that
        cannot be found out
    """
    parser = programs.Parser(
        prog='python -m '
             'cinder_backup_recovery_tests.certification.verdict.manifest',
        description=_DESCRIPTION)
    parser.add_argument('--write', action='store_true',
                        help='put it right where there is no choice')
    arguments = parser.parse_args(argv)
    try:
        tests = suite()
        manifest = tiers.load()
        if arguments.write:
            manifest, _ = tiers.refresh(manifest, tests)
            # Down to a test's id.
            tiers.PATH.write_text(
                compact.dumps(manifest.as_document(), depth=4))
    except (runner.RunError, tiers.ManifestError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 3
    found = differences(manifest, tests)
    for line in found:
        print(line)
    if found:
        print(f'{tiers.PATH} is out of date; edit it or run with --write')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
