import { defineConfig, loadEnv } from "vite";

// Serve the page and the API from one origin, as behind a reverse proxy.
export default defineConfig(({ mode }) => {
  const { TERTULIA_URL: target = "http://127.0.0.1:8000" } = loadEnv(mode, ".", "TERTULIA_");
  const tertulia = { target, changeOrigin: true, ws: true, rewriteWsOrigin: true, headers: { origin: target } };
  const proxy = { "/graphql": tertulia, "/attachments": tertulia };
  return { server: { proxy }, preview: { proxy } };
});
