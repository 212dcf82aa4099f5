# Every image of Aforo. Targets: app (exporters, resources), worker (+ ffmpeg; also injector and capacity),
# celery-exporter, emulator (AWS on this machine). Needs no BuildKit.
#   docker build --target worker -t aforo-worker .
# PYTHON_IMAGE may be a digest: python:3.11-slim-bookworm@sha256:...
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp MPLCONFIGDIR=/tmp PATH=/opt/venv/bin:$PATH
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin aforo

# Locked with hashes, wheels only: nothing is compiled, and no build stage leaves a tool behind.
FROM base AS app-venv
COPY requirements/app.txt /requirements.txt
RUN python -m venv --without-pip /opt/venv \
 && pip --python /opt/venv/bin/python install -q --no-cache-dir --require-hashes --only-binary :all: -r /requirements.txt

FROM base AS celery-exporter-venv
COPY requirements/celery-exporter.txt /requirements.txt
RUN python -m venv --without-pip /opt/venv \
 && pip --python /opt/venv/bin/python install -q --no-cache-dir --require-hashes --only-binary :all: -r /requirements.txt

FROM base AS emulator-venv
COPY requirements/emulator.txt /requirements.txt
RUN python -m venv --without-pip /opt/venv \
 && pip --python /opt/venv/bin/python install -q --no-cache-dir --require-hashes --only-binary :all: -r /requirements.txt

# The folders belong to the user before a volume is mounted over them: a new volume takes their owner.
FROM base AS runtime
COPY deploy/compose/healthy /usr/local/bin/healthy
RUN install -d -o 10001 -g 10001 -m 2775 /app/results /videos /scratch
WORKDIR /app
USER 10001:10001

FROM runtime AS celery-exporter
COPY --from=celery-exporter-venv /opt/venv /opt/venv
# its package has no entry point of its own
ENTRYPOINT ["python", "-I", "-c", "from src.cli import cli; cli()"]

FROM runtime AS emulator
COPY --from=emulator-venv /opt/venv /opt/venv
CMD ["ministack"]

FROM runtime AS app
COPY --from=app-venv /opt/venv /opt/venv
COPY pipeline/ pipeline/
COPY exporters/ exporters/
COPY local/ local/

FROM base AS ffmpeg
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ffmpeg >/dev/null \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*

FROM ffmpeg AS worker
COPY deploy/compose/healthy /usr/local/bin/healthy
RUN install -d -o 10001 -g 10001 -m 2775 /app/results /videos /scratch
COPY --from=app-venv /opt/venv /opt/venv
WORKDIR /app
COPY pipeline/ pipeline/
COPY worker/ worker/
COPY injector/ injector/
COPY capacity/ capacity/
USER 10001:10001
CMD ["python", "-m", "worker"]
