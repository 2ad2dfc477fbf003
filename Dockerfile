# Built in two stages: what compiles, and what runs. The second has no shell tools beyond Node's image.
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
COPY packages/verifier/package.json ./packages/verifier/
RUN npm ci --ignore-scripts
COPY deploy/bundle.ts ./deploy/
COPY gen ./gen
COPY migrations ./migrations
COPY src ./src
RUN node deploy/bundle.ts && npm prune --omit=dev --ignore-scripts

FROM node:24-bookworm-slim
ENV NODE_ENV=production \
    COUNTERSIGN_GRPC_ADDR=0.0.0.0:50051 \
    COUNTERSIGN_HTTP_ADDR=0.0.0.0:8080 \
    COUNTERSIGN_DATA_DIR=/data \
    COUNTERSIGN_DEV_MAILBOX=off
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
RUN mkdir /data dist/compile-cache && chown node:node /data dist/compile-cache
USER node
# Fills the cache of compiled code, which counts for one user, and which nobody may write afterwards.
RUN ["node", "--max-semi-space-size=16", "dist/src/main.js", "config", "--example"]
USER root
RUN chown -R root:root dist/compile-cache
USER node
VOLUME /data
EXPOSE 50051 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s \
  CMD ["node", "dist/src/health-check.js"]
# Node would let short-lived objects take 128 MB before it looks for those that are over.
ENTRYPOINT ["node", "--max-semi-space-size=16", "dist/src/main.js"]
CMD ["serve"]
