import { defineConfig } from "vite";

// The page and the API share an origin, as they do behind one reverse proxy. No `ws`: there is no WebSocket.
const proxy = { "/graphql": { target: process.env.TERTULIA_URL ?? "http://127.0.0.1:8000", changeOrigin: true } };

export default defineConfig({ server: { proxy }, preview: { proxy } });
