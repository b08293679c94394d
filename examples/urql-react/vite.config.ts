import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The page and the API share an origin, as they do behind one reverse proxy.
const tertulia = {
  target: process.env.TERTULIA_URL ?? "http://127.0.0.1:8000",
  changeOrigin: true,
  ws: true,
  rewriteWsOrigin: true,
};
const proxy = { "/graphql": tertulia, "/attachments": tertulia };

export default defineConfig({ plugins: [react()], server: { proxy }, preview: { proxy } });
