# SPDX-License-Identifier: Apache-2.0

"""Requests that a storage never answers, as cinder-backup makes them."""

import os
import subprocess
import sys
import textwrap
import threading
import time
import weakref

import ddt
from eventlet import patcher
import fixtures
import testtools

# Decides whether this process is on eventlet.
from reference_drivers import contract  # noqa: F401
from reference_drivers.verification import errors
from reference_drivers.verification import running
from reference_drivers.verification import threads

# How a program begins that runs on eventlet, whose pool Cinder uses too, or
# on native threads.
KINDS = {
    'eventlet': """
import eventlet; eventlet.monkey_patch()
from eventlet import tpool; tpool.execute(int)
""",
    'native': ''}

_native = patcher.original('threading')


@ddt.ddt
class ProgramTest(testtools.TestCase):
    """In a process of its own, since its end is part of it."""

    def run_program(self, kind, program):
        """Run a program beside a pipe without a writer.

        Opening it for reading does not return and cannot be interrupted
        from Python, as with a file on a share whose server is gone.

        :returns: the lines that the program has printed
        """
        directory = self.useFixture(fixtures.TempDir()).path
        os.mkfifo(os.path.join(directory, 'share'))
        path = os.path.join(directory, 'program.py')
        with open(path, 'w') as stream:
            stream.write(KINDS[kind] + textwrap.dedent(program))
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', path], cwd=directory,
            env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
            capture_output=True, text=True, timeout=600)
        self.assertEqual('', done.stderr)
        self.assertEqual(0, done.returncode)
        return done.stdout.splitlines()

    @ddt.data(*KINDS)
    def test_nothing_waits_for_what_hangs(self, kind):
        """Neither the other threads nor the end of the process."""
        said, ticks, late = self.run_program(kind, """
            import threading
            import time

            from reference_drivers.verification import errors
            from reference_drivers.verification import running

            def tick():
                while True:
                    ticks.append(time.monotonic())
                    time.sleep(0.01)

            ticks = []
            threading.Thread(target=tick, daemon=True).start()
            threading.Thread(target=running.native, daemon=True,
                             args=(open, 'share')).start()
            begin = time.monotonic()
            try:
                running.within(0.5, 'a share', open, 'share')
            except errors.TimedOut as err:
                print(err)
            print(len(ticks))
            print(time.monotonic() - begin)
            """)
        self.assertIn('did not answer within 0.5 s: a share', said)
        # 50 on a quiet machine, 1 or 2 where it stands still.
        self.assertGreater(int(ticks), 5)
        self.assertLess(float(late), 10)

    @ddt.data(*KINDS)
    def test_tls_beside_a_native_thread(self, kind):
        """A context is made while no other thread wraps a socket.

        If it fails, its attributes may recurse without an end.
        """
        said = self.run_program(kind, """
            import ssl
            import sys

            from eventlet.green import ssl as green_ssl
            from reference_drivers.verification import running
            from reference_drivers.verification import threads

            threading = threads.native('threading')
            begun, leave, left = (threading.Event() for _ in range(3))

            def wrap():
                with green_ssl._original_ssl_context():
                    begun.set()
                    leave.wait(0.5)
                left.set()

            def trace(frame, *args):
                if frame.f_code.co_name == 'create_default_context':
                    if 'context' in frame.f_locals:
                        # It was made, and has no attributes yet.
                        leave.set()
                        left.wait(60)
                    return trace

            # The first request sets this up.
            running.native(int)
            threading.Thread(target=wrap).start()
            begun.wait(60)
            sys.settrace(trace)
            context = ssl.create_default_context()
            sys.settrace(None)
            print(context.verify_mode.name, leave.is_set())
            """)
        self.assertEqual(['CERT_REQUIRED True'], said)

    @ddt.data(*KINDS)
    def test_process_that_was_suspended(self, kind):
        """It has had no time to take an answer that was there in time."""
        for call in ('within(1, "x", take)',
                     'waiting(1, "x", running.native, take)',
                     'watched(1, "x", asking)'):
            said = self.run_program(kind, f"""
                import subprocess

                from reference_drivers.verification import running

                def take():
                    with open('share') as share:
                        return share.read()

                def asking(watch):
                    watch.begin()
                    answer = take()
                    watch.end()
                    return answer

                # The pipe is open as soon as both want it to be.
                with subprocess.Popen([
                        'sh', '-c', 'exec 3> share; kill -STOP $PPID; '
                        'sleep 0.2; printf "the answer" >&3; sleep 2; '
                        'kill -CONT $PPID']):
                    print(running.{call})
                """)
            self.assertEqual(['the answer'], said, call)

    @ddt.data(*KINDS)
    def test_what_hangs_takes_no_place(self, kind):
        """Not in a pool, and no open file; its thread ends with it."""
        answer, files, left = self.run_program(kind, """
            import os
            import time

            from reference_drivers.verification import errors
            from reference_drivers.verification import running
            from reference_drivers.verification import threads

            def files():
                return len(os.listdir('/proc/self/fd'))

            def others():
                return len(os.listdir('/proc/self/task')) - own

            own = len(os.listdir('/proc/self/task'))
            print(running.within(60, 'the first', str.upper, 'good'))
            before = files()
            for number in range(70):
                try:
                    running.within(0.01, 'a share', open, 'share')
                except errors.TimedOut:
                    pass
            print(running.within(60, 'the next', files) - before)
            end = time.monotonic() + 60
            with open('share', 'w'):
                while time.monotonic() < end and others() > threads.KEPT:
                    time.sleep(0.01)
            print(others())
            """)
        self.assertEqual('GOOD', answer)
        self.assertLess(int(files), 10)
        self.assertLessEqual(int(left), threads.KEPT)

    def test_what_hands_its_calls_to_the_pool_of_eventlet(self):
        """As Cinder's volume files do, and it must not be another thread.

        A native thread that waits for the pool is woken in that of the green
        threads, where that is an error that no caller gets.
        """
        self.assertEqual(['1', '1', '[0, 1, 2]'], self.run_program(
            'eventlet', """
            from eventlet import tpool
            from reference_drivers.verification import running

            numbers = tpool.Proxy([0, 1, 2])
            print(numbers.index(1))
            print(running.within(60, 'x', numbers.index, 1))
            print(running.native(str, numbers))
            """))

    def test_what_logs(self):
        """A store's client may, while a green thread has the handler's lock.

        A native thread that waits for it is never woken.
        """
        self.assertEqual(['answered', 'green'], self.run_program(
            'eventlet', """
            import logging
            import threading
            import time

            from reference_drivers.verification import running

            class Slow(logging.Handler):
                def emit(self, record):
                    time.sleep(1)
                    print(record.getMessage())

            def ask():
                logging.getLogger('client').error('native')
                return 'answered'

            logging.getLogger().addHandler(Slow())
            thread = threading.Thread(target=logging.error, args=('green',))
            thread.start()
            time.sleep(0)
            print(running.within(5, 'x', ask))
            thread.join()
            """))

    def test_who_uses_the_pool_of_eventlet_first(self):
        """A request may, and the pool must answer green threads after it."""
        self.assertEqual(['1', '1'], self.run_program(
            'native', """
            import eventlet
            eventlet.monkey_patch()
            from eventlet import tpool
            from reference_drivers.verification import running

            numbers = tpool.Proxy([0, 1, 2])
            print(running.within(60, 'x', numbers.index, 1))
            with eventlet.Timeout(30):
                print(numbers.index(1))
            """))


class RunningTest(testtools.TestCase):
    """In this process, which is on eventlet or not."""

    def setUp(self):
        super().setUp()
        self.calls = {
            'native': running.native,
            'within': lambda *args: running.within(60, 'x', *args),
            'without limit': lambda *args: running.within(None, 'x', *args),
            'waiting': lambda *args: running.waiting(60, 'x', *args),
            'watched': lambda function, *args: running.watched(
                60, 'x', lambda watch: function(*args))}

    def test_what_is_returned_and_raised(self):
        def wrong(what):
            raise what

        for how, call in self.calls.items():
            for value in (None, 'x', (ValueError, ValueError('x'), None)):
                self.assertEqual((value,), call(lambda *args: args, value),
                                 how)
            for err in (errors.Missing('x', 'y', 'z'), OSError(5, 'x'),
                        SystemExit(3), KeyboardInterrupt()):
                seen = self.assertRaises(type(err), call, wrong, err)
                self.assertIs(err, seen)
            self.assertEqual('good', call(lambda: 'good'))

    def test_one_thread_for_many(self):
        """A thread for each would cost more than the request."""
        seen = {running.within(60, 'x', _native.get_ident)
                for _ in range(100)}
        self.assertEqual(1, len(seen))
        self.assertNotIn(_native.get_ident(), seen)

    def test_request_within_a_request(self):
        def ask():
            return (running.native(_native.get_ident),
                    running.within(60, 'y', str.upper, 'y'),
                    _native.get_ident())

        for how in ('within', 'watched'):
            inner, nested, outer = self.calls[how](ask)
            self.assertEqual((outer, 'Y'), (inner, nested))

    def test_answer_after_the_limit_is_undone(self):
        gate, undone = threading.Event(), threading.Event()
        self.addCleanup(gate.set)
        late = []

        def undo(value):
            late.append(value)
            undone.set()

        def ask():
            gate.wait(60)
            return 'made'

        err = self.assertRaises(
            errors.TimedOut, running.waiting, 0.2, 'x', ask, who='it',
            late=undo)
        self.assertIn('it did not answer within 0.2 s: x', str(err))
        self.assertEqual([], late)
        gate.set()
        self.assertTrue(undone.wait(60))
        self.assertEqual(['made'], late)
        self.assertEqual('made', running.waiting(60, 'x', ask, late=undo))
        self.assertEqual(['made'], late)

    def test_answer_that_comes_too_late(self):
        gate, late = _native.Event(), _native.Event()
        self.addCleanup(gate.set)

        def ask(watch):
            watch.begin()
            gate.wait(60)
            try:
                watch.end()
            except errors.Stopped:
                late.set()

        self.assertRaises(errors.TimedOut, running.watched, 0.1, 'x', ask)
        gate.set()
        self.assertTrue(running.within(60, 'x', late.wait, 60))

    def test_slow_between_answers(self):
        """Time between requests does not count as a store's delay."""
        def ask(watch):
            watch.begin()
            watch.end()
            time.sleep(0.5)
            return 'good'

        self.assertEqual('good', running.watched(0.1, 'x', ask))

    def test_nothing_is_kept_of_an_answer(self):
        """Or each thread would hold as much as it has last read."""
        class Answer:
            pass

        kept = weakref.ref(running.within(60, 'x', Answer))
        # The thread lets go of it after it has woken us.
        end = time.monotonic() + 60
        while kept() is not None and time.monotonic() < end:
            time.sleep(0.01)
        self.assertIsNone(kept())

    def test_process_that_forks(self):
        """As Cinder's launcher does: the child has none of the threads."""
        running.within(60, 'x', str.upper, 'x')
        self.assertTrue(threads._idle)
        child = os.fork()
        if not child:
            try:
                os._exit(running.within(60, 'x', int, '7'))
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        self.assertEqual(7, os.waitstatus_to_exitcode(status))
