# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""How Sphinx builds the documentation."""

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
    'oslo_config.sphinxext',
    'recovery_reference',
]

html_theme = 'openstackdocs'
openstackdocs_repo_name = f'openstack/{project}'
openstackdocs_auto_name = False
openstackdocs_bug_project = 'cinder'
openstackdocs_bug_tag = 'backup'
pygments_style = 'native'

# Each reference has to lead somewhere.
nitpicky = True
