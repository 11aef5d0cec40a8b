# SPDX-License-Identifier: Apache-2.0

"""The promises of histories to ask of drivers that verify."""

import dataclasses
from unittest import mock

import ddt
import testtools

from backup_model import engine as engines
from backup_model import history
from backup_model import operations
from backup_model import promises
from backup_model import running
from backup_model import verifying
from backup_model import world as worlds
from tests.unit import test_histories_rights as rights

_BOTH = (engines.CHANGED, engines.GONE)


def _engine(finds=_BOTH, content=(0,) * 6):
    return mock.Mock(finds=finds, apart=False,
                     **{'read.return_value': content})


def _moment(operation='export', kinds=(engines.GONE,), needed=False,
            **arguments):
    """Something of a damaged backup is accepted."""
    one = rights.moment(operation, **arguments)
    one.world.backups['b1'].content = (0,) * 6
    if kinds:
        one.world.damaged['b1'] = {worlds.Damage(kind, needed)
                                   for kind in kinds}
    return one


def _accepted(operation='export', engine=None, **arguments):
    one = _moment(operation, **arguments)
    assert not list(verifying.wrong_is_refused(one, engine or _engine()))
    return one


def _restored(one, engine=None, status='available', together=''):
    restore = dataclasses.replace(
        rights.moment('restore', after=rights.view(status), backup='b1'),
        world=one.world, together=together)
    return [key for key, _ in verifying.wrong_is_refused(
        restore, engine or _engine())]


@ddt.ddt
class VerifyingTest(testtools.TestCase):
    @ddt.data(('available', (0,) * 6, []),
              ('available', (1,) * 6, ['export of damage']),
              ('error_restoring', (0,) * 6, ['export of damage']))
    @ddt.unpack
    def test_restore_of_what_was_accepted(self, status, content, found):
        self.assertEqual(found, _restored(
            _accepted(), _engine(content=content), status))

    @ddt.data('killed', 'away', 'at once')
    def test_restore_that_ends_for_another_reason(self, together):
        self.assertEqual([], _restored(
            _accepted(), status='error_restoring', together=together))

    def test_operation_that_has_accepted_it(self):
        one = _accepted('import', kinds=_BOTH, before=dataclasses.replace(
            rights.view(), backups={}), after=rights.view(), record='r1')
        self.assertEqual(['import of damage'], _restored(
            one, status='error_restoring'))

    @ddt.data((_BOTH, True), ((engines.CHANGED,), False), ((), False))
    @ddt.unpack
    def test_damage_that_a_driver_does_not_find(self, finds, trusted):
        one = _accepted(engine=_engine(finds))
        self.assertEqual(trusted, 'b1' in one.world.trusted)

    @ddt.data((_BOTH, ['export of damage']), ((engines.CHANGED,), []),
              ((), []))
    @ddt.unpack
    def test_damage_to_what_a_restore_needs(self, finds, found):
        self.assertEqual(found, [key for key, _ in verifying.wrong_is_refused(
            _moment(needed=True), _engine(finds))])

    @ddt.data(('import', True), ('export', False))
    @ddt.unpack
    def test_only_an_import_reads_all(self, operation, trusted):
        one = _accepted(
            operation, kinds=(engines.CHANGED,), before=rights.view()
            if operation == 'export' else dataclasses.replace(
                rights.view(), backups={}), after=rights.view(), record='r1')
        self.assertEqual(trusted, 'b1' in one.world.trusted)

    def test_backup_on_a_damaged_parent(self):
        one = _moment('create backup', needed=True, before=dataclasses.replace(
            rights.view(), backups={}), after=rights.view(), backup='b1')
        one.world.backups['b0'] = worlds.Backup('B0', 'project-1', 'v1')
        one.world.backups['b1'].parent = 'b0'
        one.world.damaged['b0'] = one.world.damaged.pop('b1')
        self.assertEqual(['create backup of damage'], [
            key for key, _ in verifying.wrong_is_refused(one, _engine())])

    def test_record_of_a_damaged_backup(self):
        """It need not be imported when the damage is undone."""
        one = rights.moment('import', 400, record='r1', before=(
            dataclasses.replace(rights.view(), backups={})))
        one.world.backups['b1'].complete = True
        for whole, found in ((True, ['import']), (False, [])):
            one.world.records['r1'].whole = whole
            self.assertEqual(found, [
                key for key, _ in promises.accepted(one, _engine())])

    def test_nothing_is_damaged(self):
        self.assertEqual({}, _accepted(kinds=()).world.trusted)

    def test_rows_of_the_chain_are_lost(self):
        one = _accepted()
        one.world.backups['b1'].lost = True
        self.assertEqual([], _restored(one, status='error_restoring'))

    def test_false_record(self):
        one = rights.moment('import', before=dataclasses.replace(
            rights.view(), backups={}), after=rights.view(), record='r1',
            field='size', value=7)
        self.assertEqual(['import with size'], [
            key for key, _ in verifying.wrong_is_refused(one, _engine())])


@ddt.ddt
class DamageTest(testtools.TestCase):
    """Which objects are hit, and what a history remembers of it."""

    def setUp(self):
        super().setUp()
        self.world = worlds.World()
        for name, parent in (('b1', ''), ('b2', 'b1'), ('b3', '')):
            self.world.backups[name] = worlds.Backup(
                name.upper(), 'project-1', parent=parent, complete=True,
                keys=frozenset({f'{name}-1', f'{name}-2', f'{name}_m'}))
            self.world.trusted[name] = 'export'

    def _done(self, operation, **arguments):
        engine = mock.Mock()
        operations.ALL[operation].ask(self.world, engine, history.Step(
            operation, '', {'backup': 'b1', **arguments}))
        return engine.damage.mock_calls

    @ddt.data(('damage', {}, ['b1-1', 'b1-2', 'b1_m'], False),
              ('damage', {'object': 1}, ['b1-2'], False),
              ('damage', {'object': 5}, ['b1_m'], False),
              ('remove', {}, ['b1-1'], True),
              ('remove', {'object': 2}, ['b1_m'], True))
    @ddt.unpack
    def test_objects(self, operation, arguments, objects, gone):
        self.assertEqual([mock.call(objects, gone=gone)],
                         self._done(operation, **arguments))

    def test_what_is_based_on_it_is_not_trusted_any_more(self):
        self._done('damage')
        self.assertEqual({'b3': 'export'}, self.world.trusted)

    def test_both_kinds(self):
        self._done('damage')
        self._done('remove', object=1)
        self.assertEqual({'b1': {worlds.Damage(engines.CHANGED, True),
                                 worlds.Damage(engines.GONE, False)}},
                         self.world.damaged)

    def test_audit_restores_before_the_repair(self):
        steps = running._with_audit(self.world, [])
        self.assertEqual([('restore', 'b1'), ('restore', 'b2'),
                          ('restore', 'b3'), ('repair', None)], [
            (one.operation, one.arguments.get('backup'))
            for one in (next(steps) for _ in range(4))])
