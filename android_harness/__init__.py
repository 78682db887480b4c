"""Devices: they run a model file on inputs and give back outputs, counts and times. Nothing of poses here.

`protocol` is what the host and a runner on a device say to each other, `sysroot` and `emulator` make an
arm64 phone of qemu's user mode, `session` streams a job through it, `counting` counts its instructions, and
`cost` turns those into an estimate. Imports `edgeio` only.
"""
