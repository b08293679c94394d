import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

// Serve the page and the API from one origin, as behind a reverse proxy.
const tertulia = {
  target: process.env.TERTULIA_URL ?? "http://127.0.0.1:8000",
  changeOrigin: true,
  ws: true,
  rewriteWsOrigin: true,
};
const proxy = { "/graphql": tertulia, "/attachments": tertulia };

export default defineConfig({ plugins: [vue()], server: { proxy }, preview: { proxy } });
