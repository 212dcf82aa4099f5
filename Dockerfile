# The images of Aforo. Targets: app (exporters, provision), worker (with ffmpeg), console (injector and capacity, with
# ffmpeg, numpy and scipy), celery-exporter, emulator (AWS on this machine). BuildKit is not required.
#   docker build --target worker -t aforo-worker .
# PYTHON_IMAGE may be a digest: python:3.11.14-slim-bookworm@sha256:...
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE} AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp PATH=/opt/venv/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_REQUIRE_HASHES=1 PIP_ONLY_BINARY=:all:
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin aforo

# Packages are locked with hashes and installed from wheels, so nothing is compiled and no build tool remains.
FROM base AS venv
RUN python -m venv --without-pip /opt/venv

FROM venv AS services-venv
COPY requirements/services.txt /requirements.txt
RUN pip --python /opt/venv/bin/python install -q -r /requirements.txt

# The console's lock has the same versions of the services' packages. A test compares the two locks.
FROM services-venv AS console-venv
COPY requirements/app.txt /requirements.txt
RUN pip --python /opt/venv/bin/python install -q -r /requirements.txt

FROM venv AS celery-exporter-venv
COPY requirements/celery-exporter.txt /requirements.txt
RUN pip --python /opt/venv/bin/python install -q -r /requirements.txt

FROM venv AS emulator-venv
COPY requirements/emulator.txt /requirements.txt
RUN pip --python /opt/venv/bin/python install -q -r /requirements.txt

# The user owns the folders before a volume is mounted on them, because a new volume inherits the owner.
FROM base AS runtime
COPY deploy/compose/healthy /usr/local/bin/healthy
RUN install -d -o 10001 -g 10001 -m 2775 /app/results /videos /scratch
WORKDIR /app
USER 10001:10001

FROM runtime AS celery-exporter
COPY --from=celery-exporter-venv /opt/venv /opt/venv
# its package has no entry point
ENTRYPOINT ["python", "-I", "-c", "from src.cli import cli; cli()"]

FROM runtime AS emulator
COPY --from=emulator-venv /opt/venv /opt/venv
CMD ["ministack"]

FROM runtime AS app
COPY --from=services-venv /opt/venv /opt/venv
COPY aforo/ aforo/
COPY core/ core/
COPY exporters/ exporters/
COPY provision/ provision/

# A dependency of ffmpeg installs graphics drivers of 160 MB, which transcoding does not load.
FROM runtime AS ffmpeg
USER root
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ffmpeg >/dev/null \
 && rm -rf /usr/lib/*/dri /usr/lib/*/libLLVM-* /usr/lib/*/libz3.* /var/lib/apt/lists/* /var/cache/apt/*
USER 10001:10001

FROM ffmpeg AS worker
COPY --from=services-venv /opt/venv /opt/venv
COPY aforo/ aforo/
COPY core/ core/
COPY worker/ worker/
CMD ["python", "-m", "worker"]

FROM ffmpeg AS console
COPY --from=console-venv /opt/venv /opt/venv
COPY aforo/ aforo/
COPY core/ core/
COPY injector/ injector/
COPY capacity/ capacity/
