# The images of fantail.
#
#   docker build --target coordinator   -t fantail-coordinator .
#   docker build --target worker        -t fantail-worker .         exec, stream and native tasks; no Linux distribution
#   docker build --target worker-python -t fantail-worker-python .  the same and Python tasks; Debian, with apt
#   docker build --target worker-python-call -t fantail-worker-python-call .  worker-python with the task python-call, which
#                                                                   runs any code that a client sends
#   docker build --target haproxy       -t fantail-haproxy .        the load balancer of deploy/compose.yaml
#
# Your own tasks:  FROM fantail-worker
#                     COPY tasks /tasks
#
# The services listen on every address. So they need tokens (--token-file, or FANTAIL_TOKEN_FILE with a mounted secret) or
# FANTAIL_INSECURE=true.
#
# --build-arg BASE=debian:trixie-slim@sha256:... pins the base image. BuildKit and the older builder both work.
ARG BASE=debian:trixie-slim

FROM ${BASE} AS build
ARG DEBIAN_FRONTEND=noninteractive
WORKDIR /src
COPY scripts/install-packages scripts/
# deploy/image/sbom.py needs python3. The worker image gets the static busybox, as the shell for exec tasks.
RUN apt-get update -q && apt-get install -q -y --no-install-recommends make busybox-static ca-certificates python3-minimal \
 && scripts/install-packages build && rm -rf /var/lib/apt/lists/*
COPY . .
ARG VERSION=0.1.0
RUN make -j1 CFLAGS= BUILD=/build all && strip /build/bin/fantail-coordinator /build/bin/fantail-worker \
    /build/bin/fantail-host-exec /build/bin/fantail-host-native \
 && for p in coordinator worker; do /build/bin/fantail-$p --version | grep -qx "fantail-$p $VERSION" || { \
        echo "build argument VERSION is $VERSION, but: $(/build/bin/fantail-$p --version)" >&2; exit 1; }; done
# If SOURCE_DATE_EPOCH is set, the bill of materials (SBOM) has this time instead of the time of the build.
ARG SOURCE_DATE_EPOCH
RUN B=/build/bin && export VERSION \
 && deploy/image/rootfs /roots/coordinator $B/fantail-coordinator \
 && deploy/image/rootfs /roots/worker $B/fantail-worker $B/fantail-host-exec $B/fantail-host-native busybox \
 && deploy/image/sbom.py --root /roots/coordinator fantail-coordinator "$VERSION" \
 && deploy/image/sbom.py --root /roots/worker fantail-worker "$VERSION"

# ---- coordinator --------------------------------------------------------------------------------------------------
FROM scratch AS coordinator
COPY --from=build /roots/coordinator /
ENV FANTAIL_HOST=0.0.0.0 FANTAIL_ADMIN_HOST=0.0.0.0
# /tmp is writable even if the root is read-only. On Fargate, user 65532 can write to /tmp because it is a VOLUME.
VOLUME ["/tmp"]
EXPOSE 8080 9080
USER 65532:65532
RUN ["/usr/bin/fantail-coordinator", "--version"]
HEALTHCHECK --interval=5s --timeout=3s --start-period=5s CMD ["/usr/bin/fantail-coordinator", "healthcheck"]
ENTRYPOINT ["/usr/bin/fantail-coordinator"]
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="fantail-coordinator" \
      org.opencontainers.image.description="Splits jobs into chunks, sends them to workers and streams the answers back" \
      org.opencontainers.image.version="${VERSION}" org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="scratch"

# ---- worker -------------------------------------------------------------------------------------------------------
FROM scratch AS worker
COPY --from=build /roots/worker /
ENV FANTAIL_HOST=0.0.0.0 FANTAIL_ADMIN_HOST=0.0.0.0 FANTAIL_TASKS=/tasks PATH=/usr/bin:/bin
VOLUME ["/tmp"]
EXPOSE 8081 9081
USER 65532:65532
RUN ["/usr/bin/fantail-worker", "--version"]
HEALTHCHECK --interval=5s --timeout=3s --start-period=5s CMD ["/usr/bin/fantail-worker", "healthcheck"]
ENTRYPOINT ["/usr/bin/fantail-worker"]
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="fantail-worker" \
      org.opencontainers.image.description="Runs chunks of items in processes of its tasks" \
      org.opencontainers.image.version="${VERSION}" org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="scratch"

# ---- worker-python ------------------------------------------------------------------------------------------------
FROM ${BASE} AS worker-python
ARG DEBIAN_FRONTEND=noninteractive
RUN apt-get update -q \
 && apt-get install -q -y --no-install-recommends python3 libmicrohttpd12t64 libcurl4t64 libuv1t64 libcjson1 ca-certificates \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/*.log /var/log/apt \
 && echo 'fantail:x:65532:65532:fantail:/tmp:/usr/sbin/nologin' >> /etc/passwd && echo 'fantail:x:65532:' >> /etc/group \
 && mkdir /tasks
COPY --from=build /build/bin/fantail-worker /build/bin/fantail-host-exec /build/bin/fantail-host-native \
                  /build/bin/fantail-host-python /usr/bin/
COPY --from=build /src/deploy/image/sbom.py /tmp/sbom.py
COPY --from=build /src/LICENSE /usr/share/doc/fantail/LICENSE
ARG VERSION=0.1.0
ARG SOURCE_DATE_EPOCH
RUN /tmp/sbom.py --all fantail-worker-python "$VERSION" && rm /tmp/sbom.py
# Python writes no .pyc files, because the root may be read-only.
ENV FANTAIL_HOST=0.0.0.0 FANTAIL_ADMIN_HOST=0.0.0.0 FANTAIL_TASKS=/tasks PYTHONDONTWRITEBYTECODE=1
VOLUME ["/tmp"]
EXPOSE 8081 9081
USER 65532:65532
RUN ["/usr/bin/fantail-worker", "--version"]
HEALTHCHECK --interval=5s --timeout=3s --start-period=5s CMD ["/usr/bin/fantail-worker", "healthcheck"]
ENTRYPOINT ["/usr/bin/fantail-worker"]
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
ARG BASE
LABEL org.opencontainers.image.title="fantail-worker-python" \
      org.opencontainers.image.description="fantail-worker with Python tasks" \
      org.opencontainers.image.version="${VERSION}" org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${BASE}"

# ---- worker-examples: the Python worker with the example tasks, for tests and walk-throughs -------------------------
FROM worker-python AS worker-examples
COPY --from=build /build/tasks /tasks

# ---- worker-python-call: runs Python functions that clients send, so whoever may submit a job can run any code ---------
FROM worker-python AS worker-python-call
USER root
RUN apt-get update -q && apt-get install -q -y --no-install-recommends python3-cloudpickle \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/*.log /var/log/apt
COPY --from=build /src/clients/python/fantail /usr/lib/python3/dist-packages/fantail
COPY --from=build /src/deploy/python-call /tasks/python-call
COPY --from=build /src/deploy/image/sbom.py /tmp/sbom.py
ARG VERSION=0.1.0
ARG SOURCE_DATE_EPOCH
RUN rm /usr/share/sbom/*.json && /tmp/sbom.py --all fantail-worker-python-call "$VERSION" && rm /tmp/sbom.py
USER 65532:65532
RUN ["python3", "-c", "import fantail._serve_calls, cloudpickle"]
LABEL org.opencontainers.image.title="fantail-worker-python-call" \
      org.opencontainers.image.description="fantail-worker that runs Python functions that clients send"

# ---- haproxy ------------------------------------------------------------------------------------------------------
FROM ${BASE} AS haproxy
ARG DEBIAN_FRONTEND=noninteractive
RUN apt-get update -q && apt-get install -q -y --no-install-recommends haproxy && rm -rf /var/lib/apt/lists/*
COPY deploy/haproxy.cfg /etc/haproxy/haproxy.cfg
USER 65532:65532
EXPOSE 8080 8081 8404
STOPSIGNAL SIGUSR1
ENTRYPOINT ["/usr/sbin/haproxy", "-W", "-db", "-f", "/etc/haproxy/haproxy.cfg"]
