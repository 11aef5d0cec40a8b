# SPDX-License-Identifier: Apache-2.0

"""Run the contract of a driver.

For example, in Cinder's virtualenv::

    python -m reference_drivers.contract --driver acme.backup.AcmeDriver \\
        --config-file /etc/cinder/cinder.conf --store acme.tests.objects \\
        > acme.subunit

The results are a subunit stream, version 2, on stdout. Exit codes: 0 all
tests have run, whatever their results; 2 it was stopped by a signal, and has
removed its backups; 3 the driver or its configuration is wrong: the stream
has the reason in an attachment ``error`` of no test. Nothing of cinder.conf
is used but the options of the driver.
"""

import argparse
from collections.abc import Callable
from importlib import metadata
import json
import os
import sys
from typing import Any
from typing import NoReturn
import unittest

import subunit
import testtools

from reference_drivers.contract import base
from reference_drivers.contract import binding
from reference_drivers.contract import stopping

DONE, STOPPED, WRONG = 0, 2, 3


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise binding.BindingError(f'{message}; see {self.prog} --help')


def parser(prog: str = 'python -m reference_drivers.contract'
           ) -> argparse.ArgumentParser:
    """The command line.

    :param prog: the program, for its help
    """
    made = _Parser(
        prog=prog,
        description='Test a backup driver in this process, as a subunit '
                    'stream.',
        # One name for each, by which an error knows its reader.
        allow_abbrev=False)
    made.add_argument('--driver', required=True, metavar='CLASS',
                      help='the driver, as backup_driver in cinder.conf')
    made.add_argument('--config-file', action='append', default=[],
                      metavar='FILE',
                      help="Cinder's configuration, for the driver's options")
    made.add_argument('--store', metavar='CALLABLE',
                      help="a class of backup_stores, made by from_cinder "
                           "with Cinder's configuration, or a callable that "
                           "gets it and returns a store; without one, the "
                           "tests that look into the store are skipped")
    made.add_argument('--chunk-option', metavar='OPTION',
                      help="the driver's option for the size of a chunk")
    made.add_argument('--block-option', metavar='OPTION',
                      help="the driver's option for the size of a block")
    made.add_argument('--lacks', action='append', default=[],
                      metavar='CAPABILITY',
                      help='skip the tests of this capability, which the '
                           'driver does not have; may be repeated')
    made.add_argument('--verify-level', choices=base.Contract.levels[1:],
                      default=base.Contract.levels[-1],
                      help='how far an import verifies at most '
                           '(%(default)s)')
    made.add_argument('--only', action='append', default=[], metavar='TEST',
                      help='run only this test; may be repeated')
    made.add_argument('--describe', action='store_true',
                      help='print the tests and the capabilities of the '
                           'driver as JSON, and run no test')
    made.add_argument('--check', action='store_true',
                      help='set the driver up, and create nothing')
    return made


class _Output(subunit.StreamResultToBytes):
    """Leaves out a test that was stopped by a signal."""

    def status(self, *args: Any, **kwargs: Any) -> None:
        if not stopping.told():
            super().status(*args, **kwargs)


def _selected(tests: unittest.TestSuite, only: list[str]
              ) -> unittest.TestSuite:
    cases: list[Any] = list(testtools.iterate_tests(tests))
    unknown = set(only) - {one.id() for one in cases}
    if unknown:
        raise binding.BindingError(
            f'unknown test {", ".join(sorted(unknown))}; --describe lists '
            f'all')
    return unittest.TestSuite(
        one for one in cases if not only or one.id() in only)


def _contract(bound: binding.Binding, arguments: argparse.Namespace
              ) -> unittest.TestSuite:
    return bound.tests()


def main(argv: list[str] | None = None,
         parse: argparse.ArgumentParser | None = None,
         made: Callable[[binding.Binding, argparse.Namespace],
                        unittest.TestSuite] = _contract) -> int:
    """Run the program and return its exit code.

    :param parse: the command line, for other tests with more options
    :param made: makes the tests
    """
    words = sys.argv[1:] if argv is None else argv
    # A driver that prints must not break the stream.
    stdout = os.dup(1)
    # Not by os.fdopen, which is patched on eventlet, where a pipe would hang.
    stream = open(os.dup(1), 'wb', 0)  # noqa: SIM115
    try:
        arguments = (parse or parser()).parse_args(words)
        os.dup2(2, 1)
        bound = binding.Binding(
            arguments.driver, arguments.config_file, arguments.store,
            arguments.chunk_option, arguments.block_option,
            arguments.lacks, arguments.verify_level)
        tests = _selected(made(bound, arguments), arguments.only)
        if arguments.describe:
            stream.write(json.dumps({
                'tests': [one.id() for one in testtools.iterate_tests(tests)],
                'capabilities': bound.capabilities,
                'inapplicable': bound.inapplicable,
                'versions': {'cinder': metadata.version('cinder')},
            }).encode())
            return DONE
        bound.check(look=not arguments.check)
        if arguments.check:
            return DONE
        result = testtools.ExtendedToStreamDecorator(
            _Output(stream))
        result.startTestRun()
        with stopping.held():
            tests.run(result)
        result.stopTestRun()
    except binding.BindingError as error:
        sys.stderr.write(f'error: {error}\n')
        if {'--describe', '--check'} & set(words):
            # Where no stream of results is expected.
            stream.write(json.dumps({'error': str(error)}).encode())
        elif not os.isatty(stdout):
            subunit.StreamResultToBytes(stream).status(
                file_name='error', file_bytes=str(error).encode(),
                mime_type='text/plain; charset="utf8"', eof=True)
        return WRONG
    except KeyboardInterrupt:
        return STOPPED
    except BrokenPipeError:
        # The reader has ended.
        return WRONG
    finally:
        stream.close()
        os.dup2(stdout, 1)
        os.close(stdout)
    return DONE


if __name__ == '__main__':
    # The backups of the test that is running are removed.
    stopping.listen()
    sys.exit(main())
