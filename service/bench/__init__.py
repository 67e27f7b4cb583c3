"""Benchmarks, each beside a limit or a peer. Enter at `harness`."""
