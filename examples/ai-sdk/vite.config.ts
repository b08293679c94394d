import react from "@vitejs/plugin-react";
import { defineConfig, loadEnv } from "vite";

// Serve the page and the API from one origin, as behind a reverse proxy.
export default defineConfig(({ mode }) => {
  const { TERTULIA_URL: target = "http://127.0.0.1:8000" } = loadEnv(mode, ".", "TERTULIA_");
  const tertulia = { target, changeOrigin: true, headers: { origin: target } };
  const proxy = { "/ai-sdk": tertulia, "/graphql": tertulia, "/attachments": tertulia };
  return { plugins: [react()], server: { proxy }, preview: { proxy } };
});
