# SPDX-License-Identifier: Apache-2.0

"""The jobs by Zuul's own schemas, for the tox environment "zuul".

What a schema cannot tell is in ``tests.unit.test_zuul``. Zuul brings half a
gigabyte of clients of other services, which no other test needs.
"""

import pathlib
import unittest

import re2
import voluptuous
from zuul import configloader
from zuul.lib import yamlutil

_FILE = pathlib.Path(__file__).parents[1] / '.zuul.yaml'


def load():
    """The files that Zuul reads."""
    return yamlutil.safe_load(_FILE.read_text())


def check(item):
    """Hold one item to the schema of its kind.

    :raises voluptuous.Invalid: if it is not what Zuul takes
    """
    (kind, value), = item.items()
    {'job': configloader.JobParser.schema,
     'nodeset': configloader.NodeSetParser(None).schema,
     'project': configloader.ProjectParser(None).schema,
     'project-template': configloader.ProjectTemplateParser(None).schema,
     }[kind](value)


class SchemaTest(unittest.TestCase):

    def setUp(self):
        self.items = load()
        self.job = next(item['job'] for item in self.items
                        if item.get('job', {}).get('abstract'))
        self.project = next(item['project'] for item in self.items
                            if 'project' in item)

    def _refused(self, kind, value, name):
        with self.assertRaises(voluptuous.Invalid) as caught:
            check({kind: value})
        self.assertIn(name, str(caught.exception))

    def test_every_item_is_zuuls(self):
        self.assertGreater(len(self.items), 10)
        for item in self.items:
            with self.subTest(item=next(iter(item.values())).get('name')):
                check(item)

    def test_misspelt_key(self):
        self.job['requird-projects'] = self.job.pop('required-projects')
        self._refused('job', self.job, 'requird-projects')

    def test_misspelt_key_of_a_pipeline(self):
        self.project['check']['job'] = self.project['check'].pop('jobs')
        self._refused('project', self.project, 'check')

    def test_job_without_a_name(self):
        del self.job['name']
        self._refused('job', self.job, 'name')

    def test_value_of_another_type(self):
        self.job['timeout'] = '3 h'
        self._refused('job', self.job, 'timeout')

    def test_expressions_are_those_of_re2(self):
        """Zuul's, which is not Python's."""
        options = re2.Options()
        options.log_errors = False
        for item in self.items:
            for pattern in item.get('job', {}).get('irrelevant-files', ()):
                re2.compile(pattern, options)
        with self.assertRaises(re2.error):
            re2.compile('^(?!doc)/.*$', options)


if __name__ == '__main__':
    unittest.main()
