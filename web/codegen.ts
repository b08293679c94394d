import type { CodegenConfig } from "@graphql-codegen/cli";

/** `npm run codegen` generates the page's types from the committed schema. `make check` tests that they are current. */
const config: CodegenConfig = {
  schema: "schema/schema.graphql",
  documents: "web/app/src/operations.graphql",
  generates: {
    "web/app/src/operations.ts": {
      plugins: ["typescript-operations", "typed-document-node"],
      config: {
        onlyOperationTypes: true,
        preResolveTypes: true,
        enumsAsTypes: true,
        useTypeImports: true,
        immutableTypes: true,
        avoidOptionals: { field: true },
        strictScalars: true,
        scalars: { Date: "string", DateTime: "string", Decimal: "string", JSON: "unknown" },
        documentMode: "graphQLTag",
        gqlImport: "urql#gql",
        dedupeFragments: true,
        disableDescriptions: true,
      },
    },
  },
};

export default config;
