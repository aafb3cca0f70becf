# SPDX-License-Identifier: GPL-2.0 OR MIT
"""The lab: a virtual machine, made from Debian packages, in which everything here is built and run.

cli reads the command line; sandbox makes the private namespaces that all work happens in; root makes
the root file system from packages that kernel and mirror choose; build fills /build; qemu and guest
boot it and run commands; tests runs the test programs and counts. docs/lab.md is the manual.
"""
