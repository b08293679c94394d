import { defineConfig } from "vite";

// Serve the page and the API from one origin, as behind a reverse proxy. No `ws`: there is no WebSocket.
const tertulia = { target: process.env.TERTULIA_URL ?? "http://127.0.0.1:8000", changeOrigin: true };
const proxy = { "/graphql": tertulia, "/auth": tertulia };

export default defineConfig({ server: { proxy }, preview: { proxy } });
