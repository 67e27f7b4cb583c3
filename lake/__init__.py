"""Tables and files of the lake, nothing financial.

Enter at `tables.Lake` to read (every read pins a version) and at `committer.Committer` to write (one a lake).
"""
