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

const ofUrql = {
  plugins: ["typescript-operations", "typed-document-node"],
  config: { ...types, documentMode: "graphQLTag", gqlImport: "urql#gql", dedupeFragments: true } as const,
};

/**
 * `npm run codegen` generates the types of the page, of the console and of `@tertulia/react` from the committed schema.
 * `make check` tests that they are current.
 */
const config: CodegenConfig = {
  schema: "schema/schema.graphql",
  generates: {
    "web/app/src/operations.ts": {
      documents: "web/app/src/operations.graphql",
      ...ofUrql,
    },
    "web/app/src/console/operations.ts": {
      documents: "web/app/src/console/operations.graphql",
      ...ofUrql,
    },
    "web/packages/react/src/operations.ts": {
      documents: "web/packages/react/src/documents.ts",
      plugins: ["typescript-operations"],
      config: types,
    },
  },
};

export default config;
