import type { CodegenConfig } from "@graphql-codegen/cli";

const types = {
  onlyOperationTypes: true,
  preResolveTypes: true,
  enumsAsTypes: true,
  useTypeImports: true,
  immutableTypes: true,
  avoidOptionals: { field: true },
  strictScalars: true,
  scalars: { Date: "string", DateTime: "string", Decimal: "string", JSON: "unknown" },
  disableDescriptions: true,
};

/** `npm run codegen` generates the types of the page and of `@tertulia/react` from the committed schema. `make check` tests that they are current. */
const config: CodegenConfig = {
  schema: "schema/schema.graphql",
  generates: {
    "web/app/src/operations.ts": {
      documents: "web/app/src/operations.graphql",
      plugins: ["typescript-operations", "typed-document-node"],
      config: { ...types, documentMode: "graphQLTag", gqlImport: "urql#gql", dedupeFragments: true },
    },
    "web/packages/react/src/operations.ts": {
      documents: "web/packages/react/src/documents.ts",
      plugins: ["typescript-operations"],
      config: types,
    },
  },
};

export default config;
