# SPDX-License-Identifier: Apache-2.0

"""Sphinx's configuration for the release notes."""

project = 'cinder-backup-recovery-tests Release Notes'
copyright = '2026, OpenStack contributors'
# Each note says in which release it is.
version = release = ''

extensions = [
    'openstackdocstheme',
    'reno.sphinxext',
]

html_theme = 'openstackdocs'
openstackdocs_repo_name = 'openstack/cinder-backup-recovery-tests'
openstackdocs_auto_name = False
openstackdocs_bug_project = 'cinder'
openstackdocs_bug_tag = 'backup'
pygments_style = 'native'
