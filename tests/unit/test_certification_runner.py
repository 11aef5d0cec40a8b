# SPDX-License-Identifier: Apache-2.0

"""Runs of suites that are made for the test."""

import os
import signal

import ddt
import fixtures
import testtools

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests.certification.run import runner
from cinder_backup_recovery_tests.certification.verdict import results
from tests.unit import suite_cases

PASS, KNOWN, SKIP, FAIL, ERROR = results.Status


@ddt.ddt
class RunnerTest(suite_cases.SuiteTestCase):
    def test_every_status(self):
        self.write('''
            class A(Told):
                def test_pass(self):
                    for name in 'first', 'second':
                        with self.story.step(name):
                            pass

                def test_fail(self):
                    self.fail('not equal')

                def test_skip(self):
                    self.skipTest('lacks it')

                def test_error(self):
                    raise RuntimeError('out of it')

                @testtools.testcase.unittest.expectedFailure
                def test_surprise(self):
                    pass

                @testtools.testcase.unittest.expectedFailure
                def test_excuse(self):
                    self.fail('not equal')

                def known(self, declared, shows):
                    with known_defects.expected(
                            self, self.story.facts, declared,
                            'import-negative-size'):
                        self.assertFalse(shows)

                def test_declared(self):
                    self.known(['import-negative-size'], True)

                def test_not_declared(self):
                    self.known([], True)

                def test_gone(self):
                    self.known(['import-negative-size'], False)

                def test_cured(self):
                    self.known([], False)
            ''')
        found = self.run_suite()
        self.assertEqual(
            {'A.test_pass': PASS, 'A.test_fail': FAIL, 'A.test_skip': SKIP,
             'A.test_error': FAIL, 'A.test_surprise': FAIL,
             'A.test_excuse': FAIL, 'A.test_declared': KNOWN,
             'A.test_not_declared': FAIL, 'A.test_gone': FAIL,
             'A.test_cured': PASS},
            {name: r.status for name, r in found.items()})
        defect = found['A.test_declared'].facts.defect
        self.assertEqual(('import-negative-size', False),
                         (defect.name, defect.driver))
        # How it looked is in the report, and not in the stream only.
        self.assertIn('True is not false', defect.seen)
        self.assertIn('add import-negative-size to [cinder_backup_recovery] '
                      'known_defects',
                      found['A.test_not_declared'].reason)
        self.assertIn('remove it from [cinder_backup_recovery] known_defects',
                      found['A.test_gone'].reason)
        self.assertEqual(
            ['first', 'second'],
            [step.what for step in found['A.test_pass'].facts.steps])
        self.assertEqual('lacks it', found['A.test_skip'].reason)
        self.assertThat(found['A.test_fail'].reason.strip(),
                        testtools.matchers.EndsWith('not equal'))
        self.assertIn('RuntimeError: out of it', found['A.test_error'].reason)
        self.assertEqual(sorted(self.required), sorted(self.begun))
        self.assertEqual(1, results.judge(self.required, self.seen).code)

    def test_those_that_need_a_nova_are_left_out(self):
        """A local cloud has none: neither run nor asked for."""
        self.write('''
            from tempest.lib import decorators

            class A(testtools.testcase.WithAttributes,
                    testtools.TestCase):
                @decorators.attr(type=['nova'])
                def test_1(self):
                    pass

                @decorators.attr(type=['nova', 'serial'])
                def test_2(self):
                    pass

                @decorators.attr(type=['serial', 'supernova'])
                def test_3(self):
                    pass

                def test_nova(self):
                    pass
            ''')
        self.assertEqual({'A.test_3', 'A.test_nova'}, set(self.run_suite()))
        self.assertEqual(2, len(self.required))

    def test_those_that_want_the_cloud_alone_are_last(self):
        self.write('''
            from tempest.lib import decorators

            class A(testtools.testcase.WithAttributes,
                    testtools.TestCase):
                @decorators.attr(type=['serial', 'slow'])
                def test_alone(self):
                    pass

                def test_serial(self):
                    pass

            class B(testtools.testcase.WithAttributes,
                    testtools.TestCase):
                @decorators.attr(type=['slow'])
                def test_2(self):
                    pass
            ''')
        found = self.run_suite(concurrency=2)
        self.assertEqual({PASS}, {one.status for one in found.values()})
        self.assertEqual(3, len(found))
        self.assertEqual('A.test_alone', self.seen[-1].name)
        self.assertEqual(['A.test_alone'],
                         list(self.run_suite(pattern=f'^{suite_cases.PACKAGE}.*test_al')))
        self.assertEqual(['B.test_2'],
                         list(self.run_suite(pattern='test_2|test_none')))

    @ddt.data(('os._exit(0)', ''),
              ('os.kill(os.getpid(), 9)', 'a worker was killed by SIGKILL'),
              ('os.kill(os.getpid(), 11)', 'Fatal Python error'))
    @ddt.unpack
    def test_a_crash(self, crash, said):
        self.write(f'''
            class A(testtools.TestCase):
                def test_1(self):
                    pass

                def test_2(self):
                    {crash}

                def test_3(self):
                    pass
            ''')
        found = self.run_suite()
        self.assertEqual({'A.test_1': PASS, 'A.test_2': ERROR},
                         {name: r.status for name, r in found.items()})
        # An operator cannot see the processes of a run in a gate.
        self.assertIn(said, found['A.test_2'].reason)
        verdict = results.judge(self.required, self.seen)
        self.assertEqual((3, ('A.test_2: error: its worker ended before the '
                              'test did',)),
                         (verdict.code, verdict.reasons))

    def test_a_crash_between_tests(self):
        self.write('''
            class A(testtools.TestCase):
                def test_1(self):
                    pass

            class B(testtools.TestCase):
                @classmethod
                def setUpClass(cls):
                    os._exit(0)

                def test_2(self):
                    pass
            ''')
        self.run_suite()
        self.assertNotEqual(0, results.judge(self.required, self.seen).code)

    def test_a_failing_set_up(self):
        self.write('''
            class A(testtools.TestCase):
                @classmethod
                def setUpClass(cls):
                    super().setUpClass()
                    raise RuntimeError('out of quota')

                def test_1(self):
                    pass

                def test_2(self):
                    pass
            ''')
        found = self.run_suite()
        self.assertEqual({'A (setUpClass)': FAIL},
                         {name: r.status for name, r in found.items()})
        verdict = results.judge(self.required, self.seen)
        self.assertEqual(
            (1, ('A (setUpClass) failed: RuntimeError: out of quota',)),
            (verdict.code, verdict.reasons))

    def test_a_failing_tear_down(self):
        self.write('''
            class A(testtools.TestCase):
                @classmethod
                def tearDownClass(cls):
                    super().tearDownClass()
                    raise RuntimeError('left something')

                def test_1(self):
                    pass
            ''')
        self.run_suite()
        verdict = results.judge(self.required, self.seen)
        self.assertEqual(
            (1, ('A (tearDownClass) failed: RuntimeError: left something',)),
            (verdict.code, verdict.reasons))

    def test_wrong_configurations(self):
        self.write(''.join(f'''
            class {error}Test(testtools.TestCase):
                @classmethod
                def setUpClass(cls):
                    super().setUpClass()
                    try:
                        1 / 0
                    except ZeroDivisionError as error:
                        raise exceptions.{error}('{error} says so') from error

                def test_1(self):
                    pass
            ''' for error in ('InvalidConfiguration', 'DatabaseUnreachable',
                              'NotCinderDatabase')))
        found = self.run_suite()
        self.assertEqual({ERROR}, {r.status for r in found.values()})
        verdict = results.judge(self.required, self.seen)
        self.assertEqual(3, verdict.code)
        self.assertEqual(
            ['DatabaseUnreachable says so', 'InvalidConfiguration says so',
             'NotCinderDatabase says so'], sorted(verdict.reasons))

    def test_refusals_of_the_kit(self):
        """They say nothing of the driver, wherever they come from."""
        names = sorted(
            name for name, kind in vars(exceptions).items()
            if isinstance(kind, type) and
            issubclass(kind, exceptions.KitError) and not kind.configuration)
        self.assertIn('NotInLedger', names)
        self.write('''
            class A(Told):
                @classmethod
                def tearDownClass(cls):
                    super().tearDownClass()
                    raise exceptions.StoreFailed('torn\\nin two')

                def test_clean_up(self):
                    self.addCleanup(self.refuse, 'StoreRefused')

                def test_driver(self):
                    raise exceptions.ResourceFailed('the driver')

                def refuse(self, name):
                    raise getattr(exceptions, name)(f'{name} x\\nand y')
            ''' + ''.join(f'''
                def test_{name}(self):
                    self.refuse('{name}')
            ''' for name in names))
        found = self.run_suite()
        self.assertEqual(
            {'A.test_driver': FAIL, 'A.test_clean_up': ERROR,
             'A (tearDownClass)': ERROR,
             **{f'A.test_{name}': ERROR for name in names}},
            {name: r.status for name, r in found.items()})
        verdict = results.judge(self.required, self.seen)
        self.assertEqual(3, verdict.code)
        for line in ('A.test_NotInLedger: error: NotInLedger x and y',
                     'A.test_clean_up: error: StoreRefused x and y',
                     'A.test_driver failed: cinder_backup_recovery_tests.'
                     'exceptions.ResourceFailed: the driver'):
            self.assertIn(line, verdict.reasons)

    def test_a_configuration_of_two_lines(self):
        self.write('''
            class A(Told):
                def test_1(self):
                    raise exceptions.InvalidConfiguration('no\\nledger')

                def test_2(self):
                    raise exceptions.InvalidConfiguration('no\\nledger')
            ''')
        self.run_suite()
        verdict = results.judge(self.required, self.seen)
        self.assertEqual((3, ('no ledger',)),
                         (verdict.code, verdict.reasons))

    def test_pattern(self):
        self.write('''
            class A(testtools.TestCase):
                def test_1(self):
                    pass

                def test_2(self):
                    pass
            ''')
        self.assertEqual(['A.test_2'], list(self.run_suite('test_2')))
        self.assertEqual(2, results.judge(self.required, self.seen).code)

    def test_pattern_without_a_match(self):
        self.write('''
            class A(testtools.TestCase):
                def test_1(self):
                    pass
            ''')
        self.assertRaises(runner.RunError, self.run_suite, 'nothing')

    def test_an_import_that_fails(self):
        self.write('import no_such_module\n')
        error = self.assertRaises(runner.RunError, self.run_suite)
        self.assertIn("No module named 'no_such_module'", str(error))

    def test_no_tests(self):
        self.write('')
        self.assertRaises(runner.RunError, self.run_suite)

    def test_output_beside_the_stream(self):
        self.write('''
            class A(testtools.TestCase):
                def test_1(self):
                    print('said', flush=True)
                    os.write(1, b'raw ' * 10000)
                    os.write(2, b'raw ' * 100000)
            ''')
        self.assertEqual(['A.test_1'], list(self.run_suite()))

    def test_interrupted(self):
        """Workers end with it, and what was cut off is no result."""
        pid, seen = self.temporary / 'pid', self.temporary / 'seen'
        self.write(f'''
            class A(testtools.TestCase):
                def test_1(self):
                    pass

                def test_2(self):
                    with open('{pid}', 'w') as file:
                        file.write(str(os.getpid()))
                    while not os.path.exists('{seen}'):
                        time.sleep(0.01)
                    os.kill({os.getpid()}, signal.SIGUSR1)
                    time.sleep(600)
            ''')

        def interrupt(number, frame):
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGUSR1, interrupt)
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        self.assertRaises(KeyboardInterrupt, self.run_suite)
        self.assertEqual(['A.test_1'], [r.name for r in self.seen])
        self.assertRaises(ProcessLookupError, self._until_gone,
                          int(pid.read_text()))

    @staticmethod
    def _until_gone(pid):
        with fixtures.Timeout(600, gentle=True):
            while True:
                os.kill(pid, 0)
