# SPDX-License-Identifier: Apache-2.0

"""Histories as data, drawn and told, without a cloud."""

import json
import pathlib
import random
import shutil
import subprocess

import ddt
import fixtures
import testtools

from backup_model import engine as engines
from backup_model import history
from backup_model import operations
from backup_model import promises
from backup_model import running
from backup_model import telling

_VOLUME = history.Step('create volume', 'admin-1',
                       {'volume': 'v1', 'content': [1, 0, 2, 0, 0, 0]})


def drawn(seed, length=40):
    return operations.draw(random.Random(seed), length)


@ddt.ddt
class HistoryTest(testtools.TestCase):
    def path(self, text=None):
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).path) / 'h'
        if text is not None:
            path.write_text(text)
        return path

    def test_file_has_the_same_steps(self):
        path = self.path()
        for seed in range(20):
            history.write(path, drawn(seed), seed=seed)
            self.assertEqual(drawn(seed), history.read(path))
            self.assertEqual(seed, json.loads(path.read_text())['seed'])

    @ddt.data('', '[]', '{"version": 2, "steps": []}', '{"version": 1}',
              '{"version": 1, "steps": [7]}',
              '{"version": 1, "steps": [{"actor": "x"}]}')
    def test_file_with_something_else(self, text):
        path = self.path(text)
        self.assertRaises(history.HistoryError, history.read, path)

    def test_file_that_is_missing(self):
        error = self.assertRaises(history.HistoryError, history.read,
                                  self.path())
        self.assertIn('cannot be read', str(error))

    def test_every_operation_is_drawn(self):
        found = {step.operation for seed in range(30)
                 for step in drawn(seed)}
        self.assertEqual(set(operations.ALL), found)

    def test_every_operation_is_told_and_scripted(self):
        for seed in range(30):
            for step in drawn(seed):
                self.assertNotIn('{', telling.step(step).replace(
                    "{'a'", ''))

    def test_script_is_shell(self):
        for seed in range(5):
            done = subprocess.run(
                [shutil.which('bash'), '-n'], input=telling.script(
                    drawn(seed)), text=True, capture_output=True)
            self.assertEqual(('', 0), (done.stderr, done.returncode))


class _NoEngine:
    """An engine for histories of which every step is wrong in one way.

    :param wrong: the operations that break a promise if both are there
    """

    def __init__(self, *wrong):
        self.wrong = set(wrong)
        self.runs = 0

    def again(self, steps):
        self.runs += 1
        done = []
        for step in steps:
            done.append(step)
            if self.wrong <= {one.operation for one in done}:
                yield running.Failure(
                    promises.Broken('promise', 'key', 'text'), tuple(done))
                return


class ShrinkTest(testtools.TestCase):
    """A failure keeps what it needs, and nothing else."""

    def test_steps_that_are_not_needed(self):
        engine = _NoEngine('export', 'delete')
        for seed in range(20):
            first = next(engine.again(drawn(seed, 120)))
            short = running.shrink(first, engine.again)
            self.assertEqual(['delete', 'export'], sorted(
                one.operation for one in short.steps))
            self.assertEqual({'admin-1'}, {one.actor for one in short.steps})
        self.assertLess(engine.runs, 20 * 200)

    def test_nothing_to_leave_out(self):
        failure = running.Failure(promises.Broken('promise', 'key', 'text'),
                                  (_VOLUME,))
        self.assertEqual(failure, running.shrink(
            failure, _NoEngine('create volume').again))


class AnswerTest(testtools.TestCase):
    def test_reason_of_a_refusal(self):
        answer = engines.Answer(400, {'badRequest': {'message': 'why',
                                                     'code': 400}})
        self.assertEqual((False, 'why'), (answer.accepted, answer.text))
