import type { CodegenConfig } from "@graphql-codegen/cli";

// `npm run codegen` writes src/operations.ts. In your own project `schema` may be the address of a running server.
const config: CodegenConfig = {
  schema: "../../schema/schema.graphql",
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
