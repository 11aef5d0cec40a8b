# SPDX-License-Identifier: Apache-2.0

"""Processes, ports, signals, state directories and User-Mode Linux."""
