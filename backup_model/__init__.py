# SPDX-License-Identifier: Apache-2.0

"""The backup path of Cinder as its users may rely on it.

A history is a list of steps of several projects: they make volumes and
backups, lose rows, import records, restore and delete. The model follows what
was accepted, and after each step and at the end it asks whether each promise
of :mod:`.promises` was kept. It knows no defect.

An engine carries the steps out: :class:`.engine.Engine` is what it has to do.
"""
