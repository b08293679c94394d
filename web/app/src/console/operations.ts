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

export type BudgetPeriod =
  | 'DAY'
  | 'MONTH';

export type GenerationErrorCode =
  | 'API_ERROR'
  | 'AUTHENTICATION'
  | 'BILLING'
  | 'BUDGET_EXCEEDED'
  | 'CONNECTION'
  | 'INTERRUPTED'
  | 'INVALID_REQUEST'
  | 'NOT_FOUND'
  | 'OVERLOADED'
  | 'PERMISSION'
  | 'RATE_LIMITED'
  | 'REFUSED'
  | 'REQUEST_TOO_LARGE'
  | 'TIMEOUT';

export type GenerationStatus =
  | 'AWAITING_TOOL_RESULTS'
  | 'COMPLETED'
  | 'FAILED'
  | 'QUEUED'
  | 'RUNNING'
  | 'STOPPED';

export type MessageRole =
  | 'ASSISTANT'
  | 'USER';

export type CostFragment = { readonly inputTokens: number, readonly outputTokens: number, readonly cacheReadTokens: number, readonly cacheWriteTokens: number, readonly costUsd: string | null };

export type AmountFragment = { readonly requestCount: number, readonly unpricedRequestCount: number, readonly inputTokens: number, readonly outputTokens: number, readonly cacheReadTokens: number, readonly cacheWriteTokens: number, readonly costUsd: string };

export type PersonFragment = { readonly id: string, readonly name: string, readonly createdAt: string, readonly disabledAt: string | null, readonly role: string | null, readonly plan: string | null, readonly signInMethod: AdminSignInMethod, readonly lastActiveAt: string | null, readonly conversationCount: number, readonly usage: { readonly inputTokens: number, readonly outputTokens: number, readonly cacheReadTokens: number, readonly cacheWriteTokens: number, readonly costUsd: string | null } };

export type AnswerFragment = { readonly id: string, readonly status: GenerationStatus, readonly modelId: string, readonly assistantId: string | null, readonly conversationId: string, readonly createdAt: string, readonly startedAt: string | null, readonly finishedAt: string | null, readonly error: { readonly code: GenerationErrorCode, readonly message: string, readonly requestId: string | null } | null, readonly user: { readonly id: string, readonly name: string }, readonly usage: { readonly inputTokens: number, readonly outputTokens: number, readonly cacheReadTokens: number, readonly cacheWriteTokens: number, readonly costUsd: string | null } | null };

export type AuditLineFragment = { readonly id: string, readonly action: string, readonly createdAt: string, readonly address: string | null, readonly userId: string | null, readonly operatorId: string | null, readonly operatorName: string | null, readonly details: unknown, readonly user: { readonly id: string, readonly name: string } | null };

export type OperatorQueryVariables = Exact<{ [key: string]: never; }>;


export type OperatorQuery = { readonly viewer: { readonly id: string, readonly name: string, readonly roles: ReadonlyArray<string> } };

export type OverviewQueryVariables = Exact<{ [key: string]: never; }>;


export type OverviewQuery = { readonly admin: { readonly overview: { readonly userCount: number, readonly disabledUserCount: number, readonly guestCount: number, readonly runningCount: number, readonly queuedCount: number, readonly waitingCount: number, readonly failureCount: number }, readonly budgets: ReadonlyArray<{ readonly period: BudgetPeriod, readonly limitUsd: string, readonly spentUsd: string, readonly reservedUsd: string, readonly resetsAt: string }>, readonly failures: { readonly edges: ReadonlyArray<{ readonly node: { readonly id: string, readonly status: GenerationStatus, readonly modelId: string, readonly assistantId: string | null, readonly conversationId: string, readonly createdAt: string, readonly startedAt: string | null, readonly finishedAt: string | null, readonly error: { readonly code: GenerationErrorCode, readonly message: string, readonly requestId: string | null } | null, readonly user: { readonly id: string, readonly name: string }, readonly usage: { readonly inputTokens: number, readonly outputTokens: number, readonly cacheReadTokens: number, readonly cacheWriteTokens: number, readonly costUsd: string | null } | null } }> }, readonly webhooks: ReadonlyArray<{ readonly name: string, readonly failedCount: number, readonly disabledAt: string | null }>, readonly toolServers: ReadonlyArray<{ readonly name: string, readonly problem: string | null }> } | null };

export type UsageQueryVariables = Exact<{
  since: string;
  userId?: string | number | null | undefined;
}>;


export type UsageQuery = { readonly admin: { readonly byDay: ReadonlyArray<{ readonly day: string | null, readonly modelId: string | null, readonly requestCount: number, readonly unpricedRequestCount: number, readonly inputTokens: number, readonly outputTokens: number, readonly cacheReadTokens: number, readonly cacheWriteTokens: number, readonly costUsd: string }>, readonly byModel: ReadonlyArray<{ readonly modelId: string | null, readonly requestCount: number, readonly unpricedRequestCount: number, readonly inputTokens: number, readonly outputTokens: number, readonly cacheReadTokens: number, readonly cacheWriteTokens: number, readonly costUsd: string }>, readonly byAssistant: ReadonlyArray<{ readonly assistantId: string | null, readonly ofDeletedConversations: boolean, readonly requestCount: number, readonly unpricedRequestCount: number, readonly inputTokens: number, readonly outputTokens: number, readonly cacheReadTokens: number, readonly cacheWriteTokens: number, readonly costUsd: string }> } | null };

export type SpendersQueryVariables = Exact<{
  since: string;
}>;


export type SpendersQuery = { readonly admin: { readonly byUser: ReadonlyArray<{ readonly userId: string | null, readonly userName: string | null, readonly requestCount: number, readonly unpricedRequestCount: number, readonly inputTokens: number, readonly outputTokens: number, readonly cacheReadTokens: number, readonly cacheWriteTokens: number, readonly costUsd: string }> } | null };

export type LimitHitsQueryVariables = Exact<{
  since: string;
}>;


export type LimitHitsQuery = { readonly admin: { readonly limitHits: ReadonlyArray<{ readonly day: string, readonly limitName: string, readonly userId: string | null, readonly userName: string | null, readonly count: number }> } | null };

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

export type MayReadQueryVariables = Exact<{ [key: string]: never; }>;


export type MayReadQuery = { readonly admin: { readonly mayRead: boolean } | null };

export type PlansQueryVariables = Exact<{ [key: string]: never; }>;


export type PlansQuery = { readonly admin: { readonly plans: ReadonlyArray<string> } | null };

export type UserActivityQueryVariables = Exact<{
  id: string | number;
}>;


export type UserActivityQuery = { readonly admin: { readonly answers: { readonly edges: ReadonlyArray<{ readonly node: { readonly id: string, readonly status: GenerationStatus, readonly modelId: string, readonly assistantId: string | null, readonly conversationId: string, readonly createdAt: string, readonly startedAt: string | null, readonly finishedAt: string | null, readonly error: { readonly code: GenerationErrorCode, readonly message: string, readonly requestId: string | null } | null, readonly user: { readonly id: string, readonly name: string }, readonly usage: { readonly inputTokens: number, readonly outputTokens: number, readonly cacheReadTokens: number, readonly cacheWriteTokens: number, readonly costUsd: string | null } | null } }> }, readonly failures: { readonly edges: ReadonlyArray<{ readonly node: { readonly id: string, readonly status: GenerationStatus, readonly modelId: string, readonly assistantId: string | null, readonly conversationId: string, readonly createdAt: string, readonly startedAt: string | null, readonly finishedAt: string | null, readonly error: { readonly code: GenerationErrorCode, readonly message: string, readonly requestId: string | null } | null, readonly user: { readonly id: string, readonly name: string }, readonly usage: { readonly inputTokens: number, readonly outputTokens: number, readonly cacheReadTokens: number, readonly cacheWriteTokens: number, readonly costUsd: string | null } | null } }> }, readonly auditLog: { readonly edges: ReadonlyArray<{ readonly node: { readonly id: string, readonly action: string, readonly createdAt: string, readonly address: string | null, readonly userId: string | null, readonly operatorId: string | null, readonly operatorName: string | null, readonly details: unknown, readonly user: { readonly id: string, readonly name: string } | null } }> } } | null };

export type AnswersQueryVariables = Exact<{
  first: number;
  after?: string | null | undefined;
}>;


export type AnswersQuery = { readonly admin: { readonly answers: { readonly edges: ReadonlyArray<{ readonly node: { readonly id: string, readonly status: GenerationStatus, readonly modelId: string, readonly assistantId: string | null, readonly conversationId: string, readonly createdAt: string, readonly startedAt: string | null, readonly finishedAt: string | null, readonly error: { readonly code: GenerationErrorCode, readonly message: string, readonly requestId: string | null } | null, readonly user: { readonly id: string, readonly name: string }, readonly usage: { readonly inputTokens: number, readonly outputTokens: number, readonly cacheReadTokens: number, readonly cacheWriteTokens: number, readonly costUsd: string | null } | null } }>, readonly pageInfo: { readonly hasNextPage: boolean, readonly endCursor: string | null } } } | null };

export type FailuresQueryVariables = Exact<{
  first: number;
  after?: string | null | undefined;
}>;


export type FailuresQuery = { readonly admin: { readonly failures: { readonly edges: ReadonlyArray<{ readonly node: { readonly id: string, readonly status: GenerationStatus, readonly modelId: string, readonly assistantId: string | null, readonly conversationId: string, readonly createdAt: string, readonly startedAt: string | null, readonly finishedAt: string | null, readonly error: { readonly code: GenerationErrorCode, readonly message: string, readonly requestId: string | null } | null, readonly user: { readonly id: string, readonly name: string }, readonly usage: { readonly inputTokens: number, readonly outputTokens: number, readonly cacheReadTokens: number, readonly cacheWriteTokens: number, readonly costUsd: string | null } | null } }>, readonly pageInfo: { readonly hasNextPage: boolean, readonly endCursor: string | null } } } | null };

export type WebhooksQueryVariables = Exact<{ [key: string]: never; }>;


export type WebhooksQuery = { readonly admin: { readonly webhooks: ReadonlyArray<{ readonly name: string, readonly events: ReadonlyArray<string>, readonly isConfigured: boolean, readonly pendingCount: number, readonly deliveredCount: number, readonly failedCount: number, readonly oldestPendingAt: string | null, readonly disabledAt: string | null }>, readonly webhookFailures: ReadonlyArray<{ readonly id: string, readonly webhook: string, readonly event: string, readonly attempts: number, readonly error: string | null, readonly createdAt: string, readonly nextAttemptAt: string | null }> } | null };

export type ToolsQueryVariables = Exact<{ [key: string]: never; }>;


export type ToolsQuery = { readonly admin: { readonly toolServers: ReadonlyArray<{ readonly name: string, readonly connected: boolean | null, readonly problem: string | null, readonly toolCount: number, readonly skippedCount: number, readonly ownAccount: boolean, readonly connectedUserCount: number | null }>, readonly toolUsage: ReadonlyArray<{ readonly name: string, readonly calls: number, readonly failed: number }> } | null };

export type AuditQueryVariables = Exact<{
  first: number;
  after?: string | null | undefined;
  userId?: string | number | null | undefined;
  action?: string | null | undefined;
}>;


export type AuditQuery = { readonly admin: { readonly auditDays: number | null, readonly auditLog: { readonly edges: ReadonlyArray<{ readonly node: { readonly id: string, readonly action: string, readonly createdAt: string, readonly address: string | null, readonly userId: string | null, readonly operatorId: string | null, readonly operatorName: string | null, readonly details: unknown, readonly user: { readonly id: string, readonly name: string } | null } }>, readonly pageInfo: { readonly hasNextPage: boolean, readonly endCursor: string | null } } } | null };

export type AssistantsQueryVariables = Exact<{ [key: string]: never; }>;


export type AssistantsQuery = { readonly admin: { readonly assistants: ReadonlyArray<{ readonly id: string, readonly name: string | null, readonly description: string | null, readonly modelId: string | null, readonly tools: ReadonlyArray<string>, readonly memory: boolean, readonly isDefault: boolean, readonly problem: string | null }> } | null };

export type ServerSettingsQueryVariables = Exact<{ [key: string]: never; }>;


export type ServerSettingsQuery = { readonly admin: { readonly settings: ReadonlyArray<{ readonly name: string, readonly value: string | null, readonly isSet: boolean, readonly isSecret: boolean, readonly isDefault: boolean }> } | null };

export type SetPlanMutationVariables = Exact<{
  id: string | number;
  plan?: string | null | undefined;
}>;


export type SetPlanMutation = { readonly adminSetUserPlan:
    | { readonly __typename: 'AdminUserPayload' }
    | { readonly __typename: 'Forbidden', readonly message: string }
    | { readonly __typename: 'InvalidInput', readonly message: string }
    | { readonly __typename: 'NotFound', readonly message: string }
   };

export type DisableUserMutationVariables = Exact<{
  id: string | number;
}>;


export type DisableUserMutation = { readonly adminDisableUser:
    | { readonly __typename: 'AdminUserPayload' }
    | { readonly __typename: 'Forbidden', readonly message: string }
    | { readonly __typename: 'InvalidInput', readonly message: string }
    | { readonly __typename: 'NotFound', readonly message: string }
   };

export type EnableUserMutationVariables = Exact<{
  id: string | number;
}>;


export type EnableUserMutation = { readonly adminEnableUser:
    | { readonly __typename: 'AdminUserPayload' }
    | { readonly __typename: 'Forbidden', readonly message: string }
    | { readonly __typename: 'NotFound', readonly message: string }
   };

export type SignOutUserMutationVariables = Exact<{
  id: string | number;
  tokens: boolean;
}>;


export type SignOutUserMutation = { readonly adminSignOutUser:
    | { readonly __typename: 'AdminSignedOutUser', readonly signInCount: number, readonly tokenCount: number }
    | { readonly __typename: 'Forbidden', readonly message: string }
    | { readonly __typename: 'NotFound', readonly message: string }
   };

export type DeleteUserMutationVariables = Exact<{
  id: string | number;
}>;


export type DeleteUserMutation = { readonly adminDeleteUser:
    | { readonly __typename: 'AdminDeletedUser' }
    | { readonly __typename: 'Forbidden', readonly message: string }
    | { readonly __typename: 'InvalidInput', readonly message: string }
    | { readonly __typename: 'NotFound', readonly message: string }
   };

export type StopAnswerMutationVariables = Exact<{
  id: string | number;
}>;


export type StopAnswerMutation = { readonly adminStopGeneration:
    | { readonly __typename: 'AdminGenerationPayload' }
    | { readonly __typename: 'Forbidden', readonly message: string }
    | { readonly __typename: 'NotFound', readonly message: string }
   };

export type ReadConversationMutationVariables = Exact<{
  id: string | number;
  before?: string | null | undefined;
}>;


export type ReadConversationMutation = { readonly adminReadConversation:
    | { readonly __typename: 'AdminConversation', readonly id: string, readonly title: string | null, readonly user: { readonly id: string, readonly name: string }, readonly messages: { readonly edges: ReadonlyArray<{ readonly node: { readonly role: MessageRole, readonly text: string, readonly createdAt: string } }>, readonly pageInfo: { readonly hasPreviousPage: boolean, readonly startCursor: string | null } } }
    | { readonly __typename: 'Forbidden', readonly message: string }
    | { readonly __typename: 'NotFound', readonly message: string }
   };

export type RetryWebhooksMutationVariables = Exact<{
  webhook?: string | null | undefined;
  eventId?: string | number | null | undefined;
}>;


export type RetryWebhooksMutation = { readonly adminRetryWebhooks:
    | { readonly __typename: 'AdminRetriedWebhooks', readonly count: number }
    | { readonly __typename: 'Forbidden', readonly message: string }
    | { readonly __typename: 'InvalidInput', readonly message: string }
    | { readonly __typename: 'NotFound', readonly message: string }
   };

export const AmountFragmentDoc = gql`
    fragment Amount on AdminUsage {
  requestCount
  unpricedRequestCount
  inputTokens
  outputTokens
  cacheReadTokens
  cacheWriteTokens
  costUsd
}
    ` as unknown as DocumentNode<AmountFragment, unknown>;
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
export const AnswerFragmentDoc = gql`
    fragment Answer on AdminGeneration {
  id
  status
  modelId
  assistantId
  conversationId
  error {
    code
    message
    requestId
  }
  createdAt
  startedAt
  finishedAt
  user {
    id
    name
  }
  usage {
    ...Cost
  }
}
    ` as unknown as DocumentNode<AnswerFragment, unknown>;
export const AuditLineFragmentDoc = gql`
    fragment AuditLine on AdminAuditEntry {
  id
  action
  createdAt
  address
  userId
  user {
    id
    name
  }
  operatorId
  operatorName
  details
}
    ` as unknown as DocumentNode<AuditLineFragment, unknown>;
export const OperatorDocument = gql`
    query Operator {
  viewer {
    id
    name
    roles
  }
}
    ` as unknown as DocumentNode<OperatorQuery, OperatorQueryVariables>;
export const OverviewDocument = gql`
    query Overview {
  admin {
    overview {
      userCount
      disabledUserCount
      guestCount
      runningCount
      queuedCount
      waitingCount
      failureCount
    }
    budgets {
      period
      limitUsd
      spentUsd
      reservedUsd
      resetsAt
    }
    failures(first: 5) {
      edges {
        node {
          ...Answer
        }
      }
    }
    webhooks {
      name
      failedCount
      disabledAt
    }
    toolServers {
      name
      problem
    }
  }
}
    ${AnswerFragmentDoc}
${CostFragmentDoc}` as unknown as DocumentNode<OverviewQuery, OverviewQueryVariables>;
export const UsageDocument = gql`
    query Usage($since: Date!, $userId: ID) {
  admin {
    byDay: usage(by: [DAY, MODEL], since: $since, userId: $userId, maxRows: 1000) {
      day
      modelId
      ...Amount
    }
    byModel: usage(by: [MODEL], since: $since, userId: $userId, maxRows: 20) {
      modelId
      ...Amount
    }
    byAssistant: usage(by: [ASSISTANT], since: $since, userId: $userId, maxRows: 20) {
      assistantId
      ofDeletedConversations
      ...Amount
    }
  }
}
    ${AmountFragmentDoc}` as unknown as DocumentNode<UsageQuery, UsageQueryVariables>;
export const SpendersDocument = gql`
    query Spenders($since: Date!) {
  admin {
    byUser: usage(by: [USER], since: $since, maxRows: 10) {
      userId
      userName
      ...Amount
    }
  }
}
    ${AmountFragmentDoc}` as unknown as DocumentNode<SpendersQuery, SpendersQueryVariables>;
export const LimitHitsDocument = gql`
    query LimitHits($since: Date!) {
  admin {
    limitHits(since: $since, maxRows: 20) {
      day
      limitName
      userId
      userName
      count
    }
  }
}
    ` as unknown as DocumentNode<LimitHitsQuery, LimitHitsQueryVariables>;
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
export const MayReadDocument = gql`
    query MayRead {
  admin {
    mayRead
  }
}
    ` as unknown as DocumentNode<MayReadQuery, MayReadQueryVariables>;
export const PlansDocument = gql`
    query Plans {
  admin {
    plans
  }
}
    ` as unknown as DocumentNode<PlansQuery, PlansQueryVariables>;
export const UserActivityDocument = gql`
    query UserActivity($id: ID!) {
  admin {
    answers(first: 5, userId: $id) {
      edges {
        node {
          ...Answer
        }
      }
    }
    failures(first: 5, userId: $id) {
      edges {
        node {
          ...Answer
        }
      }
    }
    auditLog(first: 10, userId: $id) {
      edges {
        node {
          ...AuditLine
        }
      }
    }
  }
}
    ${AnswerFragmentDoc}
${CostFragmentDoc}
${AuditLineFragmentDoc}` as unknown as DocumentNode<UserActivityQuery, UserActivityQueryVariables>;
export const AnswersDocument = gql`
    query Answers($first: Int!, $after: String) {
  admin {
    answers(first: $first, after: $after) {
      edges {
        node {
          ...Answer
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
}
    ${AnswerFragmentDoc}
${CostFragmentDoc}` as unknown as DocumentNode<AnswersQuery, AnswersQueryVariables>;
export const FailuresDocument = gql`
    query Failures($first: Int!, $after: String) {
  admin {
    failures(first: $first, after: $after) {
      edges {
        node {
          ...Answer
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
}
    ${AnswerFragmentDoc}
${CostFragmentDoc}` as unknown as DocumentNode<FailuresQuery, FailuresQueryVariables>;
export const WebhooksDocument = gql`
    query Webhooks {
  admin {
    webhooks {
      name
      events
      isConfigured
      pendingCount
      deliveredCount
      failedCount
      oldestPendingAt
      disabledAt
    }
    webhookFailures {
      id
      webhook
      event
      attempts
      error
      createdAt
      nextAttemptAt
    }
  }
}
    ` as unknown as DocumentNode<WebhooksQuery, WebhooksQueryVariables>;
export const ToolsDocument = gql`
    query Tools {
  admin {
    toolServers {
      name
      connected
      problem
      toolCount
      skippedCount
      ownAccount
      connectedUserCount
    }
    toolUsage {
      name
      calls
      failed
    }
  }
}
    ` as unknown as DocumentNode<ToolsQuery, ToolsQueryVariables>;
export const AuditDocument = gql`
    query Audit($first: Int!, $after: String, $userId: ID, $action: String) {
  admin {
    auditDays
    auditLog(first: $first, after: $after, userId: $userId, action: $action) {
      edges {
        node {
          ...AuditLine
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
}
    ${AuditLineFragmentDoc}` as unknown as DocumentNode<AuditQuery, AuditQueryVariables>;
export const AssistantsDocument = gql`
    query Assistants {
  admin {
    assistants {
      id
      name
      description
      modelId
      tools
      memory
      isDefault
      problem
    }
  }
}
    ` as unknown as DocumentNode<AssistantsQuery, AssistantsQueryVariables>;
export const ServerSettingsDocument = gql`
    query ServerSettings {
  admin {
    settings {
      name
      value
      isSet
      isSecret
      isDefault
    }
  }
}
    ` as unknown as DocumentNode<ServerSettingsQuery, ServerSettingsQueryVariables>;
export const SetPlanDocument = gql`
    mutation SetPlan($id: ID!, $plan: String) {
  adminSetUserPlan(id: $id, plan: $plan) {
    __typename
    ... on Error {
      message
    }
  }
}
    ` as unknown as DocumentNode<SetPlanMutation, SetPlanMutationVariables>;
export const DisableUserDocument = gql`
    mutation DisableUser($id: ID!) {
  adminDisableUser(id: $id) {
    __typename
    ... on Error {
      message
    }
  }
}
    ` as unknown as DocumentNode<DisableUserMutation, DisableUserMutationVariables>;
export const EnableUserDocument = gql`
    mutation EnableUser($id: ID!) {
  adminEnableUser(id: $id) {
    __typename
    ... on Error {
      message
    }
  }
}
    ` as unknown as DocumentNode<EnableUserMutation, EnableUserMutationVariables>;
export const SignOutUserDocument = gql`
    mutation SignOutUser($id: ID!, $tokens: Boolean!) {
  adminSignOutUser(id: $id, tokens: $tokens) {
    __typename
    ... on AdminSignedOutUser {
      signInCount
      tokenCount
    }
    ... on Error {
      message
    }
  }
}
    ` as unknown as DocumentNode<SignOutUserMutation, SignOutUserMutationVariables>;
export const DeleteUserDocument = gql`
    mutation DeleteUser($id: ID!) {
  adminDeleteUser(id: $id) {
    __typename
    ... on Error {
      message
    }
  }
}
    ` as unknown as DocumentNode<DeleteUserMutation, DeleteUserMutationVariables>;
export const StopAnswerDocument = gql`
    mutation StopAnswer($id: ID!) {
  adminStopGeneration(id: $id) {
    __typename
    ... on Error {
      message
    }
  }
}
    ` as unknown as DocumentNode<StopAnswerMutation, StopAnswerMutationVariables>;
export const ReadConversationDocument = gql`
    mutation ReadConversation($id: ID!, $before: String) {
  adminReadConversation(id: $id) {
    __typename
    ... on AdminConversation {
      id
      title
      user {
        id
        name
      }
      messages(last: 50, before: $before) {
        edges {
          node {
            role
            text
            createdAt
          }
        }
        pageInfo {
          hasPreviousPage
          startCursor
        }
      }
    }
    ... on Error {
      message
    }
  }
}
    ` as unknown as DocumentNode<ReadConversationMutation, ReadConversationMutationVariables>;
export const RetryWebhooksDocument = gql`
    mutation RetryWebhooks($webhook: String, $eventId: ID) {
  adminRetryWebhooks(webhook: $webhook, eventId: $eventId) {
    __typename
    ... on AdminRetriedWebhooks {
      count
    }
    ... on Error {
      message
    }
  }
}
    ` as unknown as DocumentNode<RetryWebhooksMutation, RetryWebhooksMutationVariables>;