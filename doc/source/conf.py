# SPDX-License-Identifier: Apache-2.0

"""Sphinx's configuration for the documentation."""

from importlib import metadata
import pathlib
import sys

# What the reference is written with, and what it is a reference of.
_ROOT = pathlib.Path(__file__).parents[2]
sys.path[:0] = [str(_ROOT / 'doc' / 'ext'), str(_ROOT)]

project = 'cinder-backup-recovery-tests'
copyright = '2026, OpenStack contributors'
version = release = metadata.version(project)

extensions = [
    'openstackdocstheme',
    'oslo_config.sphinxconfiggen',
    'oslo_config.sphinxext',
    'recovery_reference',
]

# Samples of configuration files, which the pages link to.
config_generator_config_file = [
    (str(_ROOT / 'etc/oslo-config-generator' / f'{name}.conf'),
     f'_static/{name}')
    for name in ('cinder-backup-recovery-tests', 'reference-drivers')]

html_theme = 'openstackdocs'
openstackdocs_repo_name = f'openstack/{project}'
openstackdocs_auto_name = False
# The theme would not ask pbr for the version of setup.cfg, and show one that
# is counted from 0.0.1.
openstackdocs_auto_version = False
openstackdocs_bug_project = 'cinder'
openstackdocs_bug_tag = 'backup'
pygments_style = 'native'

# Each reference has to lead somewhere.
nitpicky = True
