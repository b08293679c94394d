import { existsSync } from "node:fs";
import type { CodegenConfig } from "@graphql-codegen/cli";

// `npm run codegen` writes src/operations.ts. Outside Tertulia's repository, it reads the schema from a running server.
const file = "../../schema/schema.graphql";
const config: CodegenConfig = {
  schema: existsSync(file) ? file : `${process.env.TERTULIA_URL ?? "http://127.0.0.1:8000"}/graphql`,
  documents: "src/operations.graphql",
  generates: {
    "src/operations.ts": {
      plugins: ["typescript-operations", "typed-document-node"],
      config: {
        documentMode: "graphQLTag",
        gqlImport: "@urql/vue#gql",
        documentNodeImport: "@urql/vue#TypedDocumentNode",
        scalars: { ID: "string" },
        useTypeImports: true,
        immutableTypes: true,
        avoidOptionals: { field: true },
        inlineFragmentTypes: "combine",
        dedupeFragments: true,
        disableDescriptions: true,
      },
    },
  },
};

export default config;
