import { fileURLToPath } from "node:url";

/** The pages are built from the source of the hooks, so that a change needs no build of the package. */
export const hooks = { "@tertulia/react": fileURLToPath(new URL("../packages/react/src/index.ts", import.meta.url)) };
