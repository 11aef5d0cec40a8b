# SPDX-License-Identifier: Apache-2.0

"""A site of the reports of many drivers."""
