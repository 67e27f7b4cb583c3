"""The web pages: TypeScript in `src`, made by `make web` into `built`, which the wheel holds and `service.api.web_pages` serves."""
