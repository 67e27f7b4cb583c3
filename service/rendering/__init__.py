"""Answers as tables on a terminal and as pictures. Enter at `display`; every picture is drawn on `figure`."""
