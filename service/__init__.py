"""The ways in: command line (`cli`), web application (`api.app`) and the engine process (`processes.engine`)."""
