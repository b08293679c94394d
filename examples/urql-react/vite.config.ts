import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// Serve the page and the API from one origin, as behind a reverse proxy.
const tertulia = {
  target: process.env.TERTULIA_URL ?? "http://127.0.0.1:8000",
  changeOrigin: true,
  ws: true,
  rewriteWsOrigin: true,
};
const proxy = { "/graphql": tertulia, "/attachments": tertulia };

export default defineConfig({ plugins: [react()], server: { proxy }, preview: { proxy } });
