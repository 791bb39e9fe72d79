"""Recordings judged: a training seen from outside held against the reference, or against another one."""
