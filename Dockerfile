# The console, built as on any machine (`make build`), in an image with nothing else.
FROM golang:1.26-bookworm AS build
COPY --from=node:22-bookworm-slim /usr/local/bin /usr/local/bin
COPY --from=node:22-bookworm-slim /usr/local/lib/node_modules /usr/local/lib/node_modules
WORKDIR /src
COPY . .
RUN make build

FROM gcr.io/distroless/base-debian12:nonroot
COPY --from=build /src/bin/console /console
ENV CONSOLE_ADDR=0.0.0.0:8080 CONSOLE_DATA_DIR=/home/nonroot/data
VOLUME /home/nonroot
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=6s CMD ["/console", "health"]
ENTRYPOINT ["/console"]
CMD ["serve"]
