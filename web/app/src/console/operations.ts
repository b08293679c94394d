/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type { TypedDocumentNode as DocumentNode } from '@graphql-typed-document-node/core';
import { gql } from 'urql';
export type AdminSignInMethod =
  | 'GUEST'
  | 'NONE'
  | 'PASSWORD'
  | 'PROVIDER';

export type AdminUserFilter = {
  readonly disabled?: boolean | null | undefined;
  readonly guests?: boolean | null | undefined;
  readonly plan?: string | null | undefined;
  readonly role?: string | null | undefined;
  readonly search?: string | null | undefined;
};

export type CostFragment = { readonly inputTokens: number, readonly outputTokens: number, readonly cacheReadTokens: number, readonly cacheWriteTokens: number, readonly costUsd: string | null };

export type PersonFragment = { readonly id: string, readonly name: string, readonly createdAt: string, readonly disabledAt: string | null, readonly role: string | null, readonly plan: string | null, readonly signInMethod: AdminSignInMethod, readonly lastActiveAt: string | null, readonly conversationCount: number, readonly usage: { readonly inputTokens: number, readonly outputTokens: number, readonly cacheReadTokens: number, readonly cacheWriteTokens: number, readonly costUsd: string | null } };

export type OperatorQueryVariables = Exact<{ [key: string]: never; }>;


export type OperatorQuery = { readonly viewer: { readonly id: string, readonly name: string, readonly roles: ReadonlyArray<string> } };

export type UsersQueryVariables = Exact<{
  first: number;
  after?: string | null | undefined;
  filter?: AdminUserFilter | null | undefined;
}>;


export type UsersQuery = { readonly admin: { readonly users: { readonly edges: ReadonlyArray<{ readonly node: { readonly id: string, readonly name: string, readonly createdAt: string, readonly disabledAt: string | null, readonly role: string | null, readonly plan: string | null, readonly signInMethod: AdminSignInMethod, readonly lastActiveAt: string | null, readonly conversationCount: number, readonly usage: { readonly inputTokens: number, readonly outputTokens: number, readonly cacheReadTokens: number, readonly cacheWriteTokens: number, readonly costUsd: string | null } } }>, readonly pageInfo: { readonly hasNextPage: boolean, readonly endCursor: string | null } } } | null };

export type UserQueryVariables = Exact<{
  id: string | number;
}>;


export type UserQuery = { readonly admin: { readonly user: { readonly issuer: string | null, readonly subject: string | null, readonly isViewer: boolean, readonly id: string, readonly name: string, readonly createdAt: string, readonly disabledAt: string | null, readonly role: string | null, readonly plan: string | null, readonly signInMethod: AdminSignInMethod, readonly lastActiveAt: string | null, readonly conversationCount: number, readonly budget: { readonly limitUsd: string, readonly spentUsd: string, readonly reservedUsd: string, readonly resetsAt: string } | null, readonly signIns: ReadonlyArray<{ readonly id: string, readonly userAgent: string | null, readonly createdAt: string, readonly lastUsedAt: string }>, readonly personalTokens: ReadonlyArray<{ readonly id: string, readonly label: string, readonly createdAt: string, readonly lastUsedAt: string | null, readonly expiresAt: string | null }>, readonly usage: { readonly inputTokens: number, readonly outputTokens: number, readonly cacheReadTokens: number, readonly cacheWriteTokens: number, readonly costUsd: string | null } } | null } | null };

export const CostFragmentDoc = gql`
    fragment Cost on Usage {
  inputTokens
  outputTokens
  cacheReadTokens
  cacheWriteTokens
  costUsd
}
    ` as unknown as DocumentNode<CostFragment, unknown>;
export const PersonFragmentDoc = gql`
    fragment Person on AdminUser {
  id
  name
  createdAt
  disabledAt
  role
  plan
  signInMethod
  lastActiveAt
  conversationCount
  usage {
    ...Cost
  }
}
    ` as unknown as DocumentNode<PersonFragment, unknown>;
export const OperatorDocument = gql`
    query Operator {
  viewer {
    id
    name
    roles
  }
}
    ` as unknown as DocumentNode<OperatorQuery, OperatorQueryVariables>;
export const UsersDocument = gql`
    query Users($first: Int!, $after: String, $filter: AdminUserFilter) {
  admin {
    users(first: $first, after: $after, filter: $filter) {
      edges {
        node {
          ...Person
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
}
    ${PersonFragmentDoc}
${CostFragmentDoc}` as unknown as DocumentNode<UsersQuery, UsersQueryVariables>;
export const UserDocument = gql`
    query User($id: ID!) {
  admin {
    user(id: $id) {
      ...Person
      issuer
      subject
      isViewer
      budget {
        limitUsd
        spentUsd
        reservedUsd
        resetsAt
      }
      signIns {
        id
        userAgent
        createdAt
        lastUsedAt
      }
      personalTokens {
        id
        label
        createdAt
        lastUsedAt
        expiresAt
      }
    }
  }
}
    ${PersonFragmentDoc}
${CostFragmentDoc}` as unknown as DocumentNode<UserQuery, UserQueryVariables>;