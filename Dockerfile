# The SDK's native core is built against glibc, so no Alpine.
FROM node:20-bookworm-slim AS base
WORKDIR /app
COPY package.json package-lock.json ./

FROM base AS build
RUN --mount=type=cache,target=/root/.npm npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src src
COPY workflows workflows
COPY activities activities
RUN npm run build

FROM base AS dependencies
# Optional are the binaries of Postgres, which is for `forgeflow dev`, and of swc and esbuild, which only sources need.
# The SDK's core comes for every platform.
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund \
  && cd node_modules/@temporalio/core-bridge/releases \
  && rm -rf ./*-apple-darwin ./*-pc-windows-msvc

FROM node:20-bookworm-slim
# The SDK's core trusts the system's certificates, not Node's, and the slim image has none.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates git \
  && rm -rf /var/lib/apt/lists/*
ENV NODE_ENV=production
WORKDIR /app
# All of it belongs to root: the worker writes nothing here, but its clones into the volume that is mounted there.
RUN install --directory --owner=node --group=node --mode=0700 /var/lib/forgeflow
COPY --from=dependencies /app/node_modules node_modules
COPY package.json ./
COPY bin bin
COPY --from=build /app/dist dist
USER node
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "/app/bin/forgeflow.js"]
CMD ["worker"]
