# The engine on Debian 12: built from this tree with Debian's packages only.
FROM debian:12-slim AS build
COPY scripts/bootstrap /src/scripts/bootstrap
RUN /src/scripts/bootstrap build
COPY . /src
RUN cmake --preset release -S /src && cmake --build /src/build/release --target tidemill

FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends librdkafka1 libhiredis0.14 librocksdb7.8 \
    libyaml-0-2 libmicrohttpd12 libcurl4 libzstd1 tzdata && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /var/lib/tidemill tidemill
COPY --from=build /src/build/release/tidemill /usr/local/bin/tidemill
COPY examples /opt/tidemill/examples
USER tidemill
WORKDIR /var/lib/tidemill
EXPOSE 6566
ENTRYPOINT ["tidemill"]
