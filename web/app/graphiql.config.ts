import { separateBuild } from "./separateBuild.ts";

// `npm run build` writes the files that src/tertulia/server/http/pages.py serves at /graphql.
export default separateBuild("graphiql", { worker: { format: "es" } });
