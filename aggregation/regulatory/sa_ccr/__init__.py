"""SA-CCR: exposure at default of netting sets, CRE52. Enter at `question`; other capital takes `ead.ead_by_netting_set`."""
