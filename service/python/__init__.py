"""The door for notebooks and programs in Python: `varlake.open` and `varlake.connect`. Enter at `in_process` and `remote`.

Both kinds of lake have a method for each entry of QUESTIONS (`questions`), and for each kind of work that stores something
(`works`). What a method takes comes from the model of its question, so no door has parameters of its own.
"""
