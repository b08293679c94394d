import { readFileSync } from "node:fs";
import type { Plugin } from "vite";
import { pngIcon } from "./icons.ts";

const SVG = new URL("../../src/tertulia/web/icon.svg", import.meta.url);
/** The inner 80 % of a maskable icon are always visible, so its picture is smaller. */
const SIZES = [["icon-192.png", 192, 0.9, "any"], ["icon-512.png", 512, 0.9, "any"], ["icon-maskable.png", 512, 0.6, "maskable"]] as const;

/**
 * Write the web manifest, with which browsers install the page as an app, and its icons. Its addresses are relative to itself,
 * so that they work under any prefix: the page is two folders above `assets/app/`.
 *
 * There is no service worker: browsers no longer ask for one to install a page, and the conversations are on the server.
 */
export const manifest: Plugin = {
  name: "manifest",
  apply: "build",
  transformIndexHtml: {
    order: "post",
    handler(_html, { bundle = {}, path }) {
      // The console is not part of the app.
      if (path !== "/index.html") return [];
      const named = (name: string) => Object.values(bundle).find((file) => file.type === "asset" && file.names.includes(name))?.fileName ?? "";
      const link = (rel: string, name: string) => ({ tag: "link", attrs: { rel, href: `assets/app/${named(name)}` }, injectTo: "head" as const });
      return [link("manifest", "app.webmanifest"), link("apple-touch-icon", "icon-192.png")];
    },
  },
  buildStart() {
    const emit = (name: string, source: string | Uint8Array) => this.emitFile({ type: "asset", name, source });
    const icons = SIZES.map(([name, size, scale, purpose]) => ({
      reference: emit(name, pngIcon(size, scale)), sizes: `${size}x${size}`, type: "image/png", purpose,
    }));
    const vector = { reference: emit("icon.svg", readFileSync(SVG)), sizes: "any", type: "image/svg+xml", purpose: "any" };
    emit("app.webmanifest", JSON.stringify({
      name: "Tertulia",
      short_name: "Tertulia",
      description: "Conversations with Claude",
      start_url: "../../",
      scope: "../../",
      display: "standalone",
      background_color: "#faf9f6",
      theme_color: "#faf9f6",
      icons: [...icons, vector].map(({ reference, ...icon }) => ({ src: this.getFileName(reference), ...icon })),
    }));
  },
};
