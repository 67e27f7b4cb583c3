"""The HTTP API, one module a resource: a view parses, calls the package that knows, and returns."""
