# One image for every process: the command says which one runs (see docker-compose.yml).
ARG PYTHON=3.13-slim-bookworm

FROM node:22-bookworm-slim AS browser
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund

FROM python:${PYTHON} AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
COPY requirements/bootstrap.txt requirements/s3.txt requirements/
RUN /opt/venv/bin/pip install --require-hashes -r requirements/bootstrap.txt \
 && /opt/venv/bin/uv pip install --compile-bytecode --python /opt/venv/bin/python --require-hashes -r requirements/s3.txt \
 && /opt/venv/bin/uv pip uninstall --python /opt/venv/bin/python uv

FROM python:${PYTHON} AS run
RUN apt-get update \
 && apt-get install -y --no-install-recommends libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /data --create-home meridian
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=erp_project.settings.production \
    ERP_DATA_DIR=/data \
    STATIC_ROOT=/app/staticfiles \
    PROMETHEUS_MULTIPROC_DIR=/tmp/metrics
WORKDIR /app
COPY --from=build /opt/venv /opt/venv
COPY manage.py package.json package-lock.json ./
COPY erp_project erp_project
COPY apps apps
COPY templates templates
COPY static static
COPY scripts scripts
COPY deploy/fonts.conf deploy/fonts.conf
COPY --from=browser /src/node_modules node_modules
# The values are for this one command and reach nobody: collecting files opens no connection.
RUN python scripts/vendor.py --copy-only && rm -rf node_modules \
 && SECRET_KEY=only-for-collecting-static-files-at-build-time ALLOWED_HOSTS=build \
    DATABASE_URL=postgresql://build/build REDIS_URL=redis://build/0 ERP_DATA_DIR=/tmp/build \
    python manage.py collectstatic --no-input --verbosity 0 \
 && python -m compileall -q apps erp_project \
 && rm -rf /tmp/build /tmp/metrics && mkdir -p /data/files /tmp/metrics && chown -R meridian:meridian /data /tmp/metrics
USER meridian
VOLUME /data
EXPOSE 8000
CMD ["granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "8000", "--workers", "2", "--blocking-threads", "4", "--no-ws", "--log-level", "warning", "erp_project.wsgi:application"]
