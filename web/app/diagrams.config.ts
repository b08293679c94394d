import { fileURLToPath } from "node:url";
import { separateBuild } from "./separateBuild.ts";

// `npm run build` writes the files that src/tertulia/server/http/pages.py serves at /diagrams.
export default separateBuild("diagrams", {
  // ELK is an optional layout of 1.5 MB under another license.
  resolve: { alias: { "elkjs/lib/elk.bundled.js": fileURLToPath(new URL("diagrams/elk.ts", import.meta.url)) } },
});
