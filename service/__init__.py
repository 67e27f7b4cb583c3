"""The ways in: command line (`cli`), web application (`app.create_app`) and the engine process (`engine`)."""
