# One image for every process: `orders worker`, `orders beat`, `orders api`, `orders migrate`.

# Wheels of exactly what requirements.lock names, each checked against its hash, and of the project.
FROM python:3.13-slim AS wheels
WORKDIR /build
COPY requirements.lock ./
RUN pip wheel --no-cache-dir --require-hashes --wheel-dir /wheels -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY events events
COPY domain domain
COPY storage storage
COPY journal journal
COPY adapters adapters
COPY embedded embedded
COPY workers workers
COPY api api
COPY bench bench
COPY cli cli
RUN pip install --no-cache-dir --no-index --find-links /wheels setuptools \
 && pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .

# What runs: no embedded servers, no developers' tools.
FROM python:3.13-slim
ENV PYTHONUNBUFFERED=1
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels order-lifecycle-workers
RUN useradd --create-home --uid 10001 orders
USER orders
WORKDIR /home/orders
ENTRYPOINT ["orders"]
CMD ["--help"]
