# SPDX-License-Identifier: Apache-2.0

"""Lets pbr put all that git has into the archive of sources."""

import setuptools

setuptools.setup(setup_requires=['pbr>=7.0.0'], pbr=True)
