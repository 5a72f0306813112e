# One image for every process: `orders worker`, `orders beat`, `orders api`, `orders migrate`.

# Wheels of exactly what requirements.lock names, each checked against its hash, and of the project.
FROM python:3.13-slim AS wheels
WORKDIR /build
COPY requirements.lock ./
RUN pip wheel --no-cache-dir --require-hashes --wheel-dir /wheels -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY events events
COPY domain domain
COPY settings settings
COPY providers providers
COPY storage storage
COPY queries queries
COPY journal journal
COPY outbound outbound
COPY operations operations
COPY workers workers
COPY api api
COPY cli cli
COPY demo demo
COPY bench bench
COPY embedded embedded
COPY telemetry telemetry
RUN pip install --no-cache-dir --no-index --find-links /wheels setuptools \
 && pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .

# What runs: no embedded servers, no developers' tools.
FROM python:3.13-slim
ENV PYTHONUNBUFFERED=1
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels 'order-lifecycle-workers[tracing]'
RUN useradd --create-home --uid 10001 orders
USER orders
WORKDIR /home/orders
ENTRYPOINT ["orders"]
CMD ["--help"]
