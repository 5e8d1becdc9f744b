# Two images with the same packages: `silt` (Dagster, API, command line) and `spark` (with Java as well).
FROM python:3.11-slim-bookworm AS packages
COPY requirements.lock .
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock \
    && /opt/venv/bin/python -m compileall -q /opt/venv/lib

FROM python:3.11-slim-bookworm AS silt
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    SILT_HOME=/var/lib/silt \
    DAGSTER_HOME=/var/lib/silt/dagster
# A new volume takes over the owner of the folder it is mounted on.
RUN useradd --create-home --uid 10001 silt \
    && mkdir -p /var/lib/silt/dagster /var/lib/silt/lake \
    && chown -R silt:silt /var/lib/silt
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY contracts contracts
COPY resources resources
COPY platform_assets platform_assets
COPY api api
COPY local_stack local_stack
COPY cli cli
COPY dagster.yaml workspace.yaml ./
RUN python -m compileall -q .
USER silt

FROM silt AS spark
USER root
RUN apt-get update \
    && apt-get install -y --no-install-recommends openjdk-17-jre-headless \
    && rm -rf /var/lib/apt/lists/*
USER silt
