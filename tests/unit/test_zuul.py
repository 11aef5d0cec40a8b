# SPDX-License-Identifier: Apache-2.0

"""The jobs of the gate, as far as no Zuul is needed to look at them.

Its schemas are for the tox environment "zuul"; see ``tests.zuul_cases``.
"""

import copy

import ddt
import testtools
import yaml

from tests import zuul_configuration

_NAME = zuul_configuration.NAME


@ddt.ddt
class ConfigurationTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.items = copy.deepcopy(zuul_configuration.load())
        self.jobs = {item['job']['name'].removeprefix(f'{_NAME}-'):
                     item['job'] for item in self.items if 'job' in item}
        self.project, = (item['project'] for item in self.items
                         if 'project' in item)

    def _found(self):
        return zuul_configuration.problems(self.items)

    def test_nothing_is_wrong(self):
        self.assertEqual([], self._found())

    def test_a_job_for_each(self):
        self.assertLessEqual(
            {'base', 'default', 'swift', 'ceph', 'nfs', 'in-tree',
             '2025-1', '2025-2', '2026-1', 'multinode', 'certify', 'unit',
             'lint', 'docs'}, self.jobs.keys())
        self.assertTrue(self.jobs['base']['abstract'])
        self.assertFalse(self.jobs['in-tree']['voting'])
        for release in ('2025.1', '2025.2', '2026.1'):
            self.assertEqual(
                f'stable/{release}',
                self.jobs[release.replace('.', '-')]['override-checkout'])

    def test_each_leaf_has_its_driver(self):
        for driver in ('default', 'swift', 'ceph', 'nfs', 'in-tree'):
            self.assertEqual(
                driver, self.jobs[driver]['vars']['devstack_localrc'][
                    'BACKUP_RECOVERY_DRIVER'])

    def test_unknown_parent(self):
        self.jobs['swift']['parent'] = 'devstack-tempst'
        self.assertIn(
            f'job {_NAME}-swift: its parent devstack-tempst is not known',
            self._found())

    def test_unknown_nodeset(self):
        self.jobs['ceph']['nodeset'] = 'openstack-single-node-trusty'
        self.assertEqual(
            [f'job {_NAME}-ceph: its nodeset openstack-single-node-trusty is '
             f'not known'], self._found())

    def test_missing_playbook(self):
        self.jobs['certify']['run'] = 'playbooks/certfy.yaml'
        self.assertEqual(
            [f'job {_NAME}-certify: its run playbooks/certfy.yaml does not '
             f'exist'], self._found())

    def test_missing_playbook_of_several(self):
        self.jobs['certify']['pre-run'] = [
            'playbooks/certify.yaml', 'playbooks/none.yaml']
        self.assertEqual(
            [f'job {_NAME}-certify: its pre-run playbooks/none.yaml does not '
             f'exist'], self._found())

    @ddt.data(('multinode', 'backup_recovery_regex', r'\.test_row_los\.'),
              ('default', 'tempest_test_regex', '^tempest_api'))
    @ddt.unpack
    def test_regex_that_selects_nothing(self, job, key, pattern):
        self.jobs[job]['vars'][key] = pattern
        self.assertTrue(any(
            line.startswith(f'job {_NAME}-{job}: its {key} {pattern} selects '
                            f'none of ') for line in self._found()))

    def test_regex_of_unit_tests_that_selects_nothing(self):
        self.jobs['unit']['vars']['tox_extra_args'] = '-- ^test.unit'
        self.assertTrue(any('its tox_extra_args ^test.unit selects none of '
                            in line for line in self._found()))

    @ddt.data(('multinode', 'backup_recovery_regex'),)
    @ddt.unpack
    def test_regex_that_does_not_compile(self, job, key):
        self.jobs[job]['vars'][key] = '(test_row_loss'
        found, = self._found()
        self.assertIn('(test_row_loss is no regular expression', found)

    def test_files_that_do_not_compile(self):
        self.jobs['certify']['irrelevant-files'] = ['*.rst']
        found, = self._found()
        self.assertIn('*.rst is no regular expression', found)

    def test_plugin_that_is_not_required(self):
        self.jobs['ceph']['required-projects'] = []
        self.assertEqual(
            [f'job {_NAME}-ceph: its required-projects lack the plugin '
             f'devstack-plugin-ceph'], self._found())

    def test_plugin_of_some_nodes(self):
        self.jobs['multinode']['group-vars']['subnode'][
            'devstack_plugins'] = {'barbican': 'https://example.com/b'}
        self.assertEqual(
            [f'job {_NAME}-multinode: its required-projects lack the plugin '
             f'barbican'], self._found())

    def test_variable_that_nothing_reads(self):
        self.jobs['nfs']['vars']['devstack_localrc'][
            'BACKUP_RECOVERY_LEVEL'] = 'content'
        self.assertEqual(
            [f'job {_NAME}-nfs: its variable BACKUP_RECOVERY_LEVEL of '
             f'local.conf is read by nothing'], self._found())

    def test_variable_of_some_nodes_that_nothing_reads(self):
        self.jobs['multinode']['group-vars']['subnode']['devstack_localrc'][
            'CINDER_BACKUPDRIVER'] = 'swift'
        self.assertEqual(
            [f'job {_NAME}-multinode: its variable CINDER_BACKUPDRIVER of '
             f'local.conf is read by nothing'], self._found())

    def test_variable_of_playbooks_that_nothing_reads(self):
        self.jobs['base']['vars']['backup_recovery_regexp'] = 'x'
        self.assertEqual(
            [f'job {_NAME}-base: its variable backup_recovery_regexp is read '
             f'by nothing'], self._found())

    def test_report_that_is_not_published(self):
        del self.jobs['certify']['post-run']
        self.assertEqual(
            [f'job {_NAME}-certify: it publishes no report.html'],
            self._found())

    def test_job_in_no_pipeline(self):
        self.project['check']['jobs'].remove(f'{_NAME}-nfs')
        self.project['gate']['jobs'].remove(f'{_NAME}-nfs')
        self.assertEqual([f'job {_NAME}-nfs is in no pipeline'],
                         self._found())

    def test_job_that_is_not_there(self):
        self.project['check']['jobs'].append({f'{_NAME}-lvm': {}})
        self.assertEqual([f'check: job {_NAME}-lvm is not known'],
                         self._found())

    def test_abstract_job_in_a_pipeline(self):
        self.project['check']['jobs'].append(f'{_NAME}-base')
        self.assertEqual([f'job {_NAME}-base is abstract, and in a pipeline'],
                         self._found())

    def test_job_of_the_gate_votes(self):
        self.project['gate']['jobs'].append(f'{_NAME}-in-tree')
        self.assertEqual([f'gate: job {_NAME}-in-tree does not vote, and '
                          f'only costs time'], self._found())

    def test_playbooks_are_plays(self):
        for path in (zuul_configuration.ROOT / 'playbooks').glob('*.yaml'):
            for play in yaml.safe_load(path.read_text()):
                self.assertIn('hosts', play)
                self.assertTrue(play.get('tasks') or play.get('roles'))
