# SPDX-License-Identifier: Apache-2.0
"""Faulty clouds: a Cinder with one defect, that only Tempest can see.

The cloud loads its backup driver by name; with ours, :mod:`driver`, the
defects come into the process of all its services. None of them does anything
until a file, which :mod:`switch` reads at each call, has its name.
"""
