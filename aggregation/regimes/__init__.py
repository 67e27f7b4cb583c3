"""Regimes: what regulators prescribe, as data, by name and version. Enter at `regimes`."""
