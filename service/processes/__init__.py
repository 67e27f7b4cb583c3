"""The processes: web server, engine, and both together. Enter at `serve`."""
