# SPDX-License-Identifier: Apache-2.0
"""Faulty drivers and clouds, each with one defect: who tests the tests."""
