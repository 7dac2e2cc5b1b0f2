# The image of Runnel. BASE is any image with Node.js 20.19 or later and glibc; it is where the packages' binaries come from.
ARG BASE=node:22-bookworm-slim

FROM ${BASE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.base.json ./
COPY src src
COPY scripts/bundle.mjs scripts/compile-cache.mjs scripts/
RUN npx tsc -b tsconfig.json \
 && node scripts/bundle.mjs \
 && npm prune --omit=dev --no-audit --no-fund

FROM ${BASE}
LABEL org.opencontainers.image.title="Runnel" \
      org.opencontainers.image.description="A Matrix homeserver" \
      org.opencontainers.image.licenses="Apache-2.0"
# As scripts/start.sh has them.
ENV MALLOC_ARENA_MAX=2 \
    MALLOC_MMAP_THRESHOLD_=131072 \
    MALLOC_TRIM_THRESHOLD_=131072
ENV NODE_ENV=production \
    RUNNEL_DATA=/data \
    RUNNEL_LISTEN=0.0.0.0:8008
WORKDIR /app
COPY LICENSE package.json ./
COPY --from=build /src/node_modules node_modules
COPY --from=build /src/dist/main.cjs dist/
COPY --from=build /src/dist/bundle dist/bundle
# Numeric, so that a supervisor can see that it is not root. /data is the only place that is written.
RUN mkdir -m 0700 /data && chown 10001:10001 /data \
 && chmod 0755 dist/main.cjs && ln -s /app/dist/main.cjs /usr/local/bin/runnel
USER 10001:10001
VOLUME /data
EXPOSE 8008
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "const port = process.env.RUNNEL_LISTEN.split(',')[0].split(':').pop(); fetch(`http://127.0.0.1:${port}/health`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--no-memory-reducer", "/app/dist/main.cjs"]
CMD ["serve"]
