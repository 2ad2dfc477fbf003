# Built in two stages: what compiles, and what runs. The second has node, its C libraries, certificates and
# time zones, and neither a shell nor a package manager.
FROM node:24-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
COPY packages/verifier/package.json ./packages/verifier/
RUN npm ci --ignore-scripts
COPY LICENSE ./
COPY deploy ./deploy
COPY gen ./gen
COPY migrations ./migrations
COPY src ./src
# Most libraries are in the bundle; of node_modules only the few files remain that it reads (43 MB, not 144).
RUN node deploy/bundle.ts && node deploy/image.ts /app && \
  mkdir /data /app/dist/compile-cache && chown 65532 /data /app/dist/compile-cache
# Fills the cache of compiled code, which counts for this user, this node and this path.
USER 65532
RUN ["node", "--max-semi-space-size=16", "/app/dist/src/main.js", "config", "--example"]

FROM gcr.io/distroless/cc-debian12:nonroot
ENV NODE_ENV=production \
    COUNTERSIGN_GRPC_ADDR=0.0.0.0:50051 \
    COUNTERSIGN_HTTP_ADDR=0.0.0.0:8080 \
    COUNTERSIGN_DATA_DIR=/data \
    COUNTERSIGN_DEV_MAILBOX=off
COPY --from=build /usr/local/bin/node /usr/local/bin/node
# Nobody who runs the program may write it, or the cache of its compiled code.
COPY --from=build --chown=0:0 /app /app
COPY --from=build --chown=0:0 /usr/local/LICENSE /app/LICENSE.node
COPY --from=build --chown=65532:65532 /data /data
WORKDIR /app
# By number, since Kubernetes can't tell whether a name is root's.
USER 65532:65532
# A library that node lacks here is found while the image is built.
RUN ["node", "dist/src/main.js", "config", "--example"]
VOLUME /data
EXPOSE 50051 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s \
  CMD ["node", "dist/src/health-check.js"]
# Node would let short-lived objects take 128 MB before it looks for those that are over.
ENTRYPOINT ["node", "--max-semi-space-size=16", "dist/src/main.js"]
CMD ["serve"]
