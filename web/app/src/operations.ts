/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type { TypedDocumentNode as DocumentNode } from '@graphql-typed-document-node/core';
import { gql } from 'urql';
export type ClientSetting =
  | 'INSTRUCTIONS'
  | 'MODEL'
  | 'OPTIONS'
  | 'TOOLS';

export type ClientToolInput = {
  readonly description: string;
  readonly inputSchema: unknown;
  readonly name: string;
};

export type ConversationFilter = {
  readonly archived?: boolean | null | undefined;
  readonly assistantId?: string | number | null | undefined;
  readonly metadata?: MetadataFilter | null | undefined;
  readonly pinned?: boolean | null | undefined;
  readonly temporary?: boolean;
  readonly titleContains?: string | null | undefined;
};

export type ConversationToolsInput = {
  readonly client?: ReadonlyArray<ClientToolInput> | null | undefined;
  readonly server?: ReadonlyArray<string> | null | undefined;
};

export type EditMessageInput = {
  readonly attachmentIds?: ReadonlyArray<string | number> | null | undefined;
  readonly context?: unknown;
  readonly idempotencyKey?: string | number | null | undefined;
  readonly messageId: string | number;
  readonly metadata?: unknown;
  readonly options?: GenerationOptionsInput | null | undefined;
  readonly text: string;
  readonly whenBusy?: WhenBusy;
};

export type Effort =
  | 'HIGH'
  | 'LOW'
  | 'MAX'
  | 'MEDIUM'
  | 'XHIGH';

export type ForkConversationInput = {
  readonly messageId: string | number;
  readonly title?: string | null | undefined;
};

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

export type GenerationOptionsInput = {
  readonly continueInterrupted?: boolean | null | undefined;
  readonly effort?: Effort | null | undefined;
  readonly maxTokens?: number | null | undefined;
  readonly model?: string | null | undefined;
  readonly outputSchema?: unknown;
  readonly stopSequences?: ReadonlyArray<string> | null | undefined;
  readonly taskBudget?: number | null | undefined;
  readonly thinking?: ThinkingInput | null | undefined;
  readonly toolChoice?: ToolChoiceInput | null | undefined;
};

export type GenerationStatus =
  | 'AWAITING_TOOL_RESULTS'
  | 'COMPLETED'
  | 'FAILED'
  | 'QUEUED'
  | 'RUNNING'
  | 'STOPPED';

export type LeftOutReason =
  | 'ATTACHMENT_REFUSED'
  | 'REFUSED'
  | 'SUMMARY_FILTERED'
  | 'SUMMARY_OF_ANOTHER_MODEL'
  | 'THINKING_FILTERED'
  | 'THINKING_OF_ANOTHER_PREFIX'
  | 'THINKING_REFUSED'
  | 'TOOL_REFUSED'
  | 'UNFINISHED';

export type MessageRole =
  | 'ASSISTANT'
  | 'USER';

export type MetadataFilter = {
  readonly contains: unknown;
};

export type RateMessageInput = {
  readonly comment?: string | null | undefined;
  readonly messageId: string | number;
  readonly rating?: Rating | null | undefined;
  readonly tags?: ReadonlyArray<string> | null | undefined;
};

export type Rating =
  | 'BAD'
  | 'GOOD';

export type RegenerateMessageInput = {
  readonly idempotencyKey?: string | number | null | undefined;
  readonly messageId: string | number;
  readonly options?: GenerationOptionsInput | null | undefined;
  readonly whenBusy?: WhenBusy;
};

export type StopReason =
  | 'COMPACTION'
  | 'END_TURN'
  | 'MAX_TOKENS'
  | 'MODEL_CONTEXT_WINDOW_EXCEEDED'
  | 'PAUSE_TURN'
  | 'REFUSAL'
  | 'STOP_SEQUENCE'
  | 'TOOL_USE';

export type ThinkingInput = {
  readonly budgetTokens?: number | null | undefined;
  readonly enabled: boolean;
};

export type ToolChoiceInput = {
  readonly mode?: ToolChoiceMode;
  readonly name?: string | null | undefined;
  readonly parallel?: boolean;
};

export type ToolChoiceMode =
  | 'ANY'
  | 'AUTO'
  | 'NONE'
  | 'TOOL';

export type UpdateConversationInput = {
  readonly archived?: boolean | null | undefined;
  readonly assistantId?: string | number | null | undefined;
  readonly id: string | number;
  readonly metadata?: unknown;
  readonly model?: string | null | undefined;
  readonly options?: GenerationOptionsInput | null | undefined;
  readonly pinned?: boolean | null | undefined;
  readonly systemPrompt?: string | null | undefined;
  readonly title?: string | null | undefined;
  readonly tools?: ConversationToolsInput | null | undefined;
};

export type UpdateMemoryInput = {
  readonly content: string;
  readonly expectedUpdatedAt?: string | null | undefined;
  readonly id: string | number;
};

export type WhenBusy =
  | 'INTERRUPT'
  | 'QUEUE'
  | 'REJECT'
  | 'STEER';

type Block_CompactionBlock_Fragment = { readonly __typename: 'CompactionBlock', readonly summary: string | null, readonly index: number };

type Block_DocumentBlock_Fragment = { readonly __typename: 'DocumentBlock', readonly index: number, readonly attachment: { readonly id: string, readonly filename: string, readonly mediaType: string, readonly sizeBytes: number, readonly url: string, readonly convertedUrl: string | null, readonly width: number | null, readonly height: number | null, readonly pages: number | null } };

type Block_ImageBlock_Fragment = { readonly __typename: 'ImageBlock', readonly index: number, readonly attachment: { readonly id: string, readonly filename: string, readonly mediaType: string, readonly sizeBytes: number, readonly url: string, readonly convertedUrl: string | null, readonly width: number | null, readonly height: number | null, readonly pages: number | null } };

type Block_JsonBlock_Fragment = { readonly __typename: 'JsonBlock', readonly text: string, readonly value: unknown, readonly problem: string | null, readonly index: number };

type Block_TextBlock_Fragment = { readonly __typename: 'TextBlock', readonly text: string, readonly models: ReadonlyArray<string>, readonly index: number, readonly citations: ReadonlyArray<{ readonly citedText: string, readonly place: string | null, readonly source: string, readonly title: string | null, readonly url: string | null }> };

type Block_ThinkingBlock_Fragment = { readonly __typename: 'ThinkingBlock', readonly text: string, readonly redacted: boolean, readonly index: number };

type Block_ToolResultBlock_Fragment = { readonly __typename: 'ToolResultBlock', readonly toolUseId: string, readonly output: unknown, readonly isError: boolean, readonly index: number };

type Block_ToolUseBlock_Fragment = { readonly __typename: 'ToolUseBlock', readonly toolUseId: string, readonly name: string, readonly input: unknown, readonly partialJson: string | null, readonly index: number };

export type BlockFragment =
  | Block_CompactionBlock_Fragment
  | Block_DocumentBlock_Fragment
  | Block_ImageBlock_Fragment
  | Block_JsonBlock_Fragment
  | Block_TextBlock_Fragment
  | Block_ThinkingBlock_Fragment
  | Block_ToolResultBlock_Fragment
  | Block_ToolUseBlock_Fragment
;

export type FileFragment = { readonly id: string, readonly filename: string, readonly mediaType: string, readonly sizeBytes: number, readonly url: string, readonly convertedUrl: string | null, readonly width: number | null, readonly height: number | null, readonly pages: number | null };

export type CostFragment = { readonly inputTokens: number, readonly outputTokens: number, readonly cacheReadTokens: number, readonly cacheWriteTokens: number, readonly costUsd: string | null };

export type WorkFragment = { readonly id: string, readonly status: GenerationStatus, readonly continuations: number, readonly stopReason: StopReason | null, readonly startedAt: string | null, readonly firstTokenAt: string | null, readonly finishedAt: string | null, readonly refusal: { readonly category: string | null, readonly explanation: string | null } | null, readonly model: { readonly id: string, readonly displayName: string, readonly simulated: boolean }, readonly usage: { readonly inputTokens: number, readonly outputTokens: number, readonly cacheReadTokens: number, readonly cacheWriteTokens: number, readonly costUsd: string | null } | null, readonly error: { readonly code: GenerationErrorCode, readonly message: string, readonly retryable: boolean, readonly requestId: string | null, readonly retryAfterSeconds: number | null } | null };

export type TurnFragment = { readonly id: string, readonly role: MessageRole, readonly createdAt: string, readonly content: ReadonlyArray<
    | { readonly __typename: 'CompactionBlock', readonly summary: string | null, readonly index: number }
    | { readonly __typename: 'DocumentBlock', readonly index: number, readonly attachment: { readonly id: string, readonly filename: string, readonly mediaType: string, readonly sizeBytes: number, readonly url: string, readonly convertedUrl: string | null, readonly width: number | null, readonly height: number | null, readonly pages: number | null } }
    | { readonly __typename: 'ImageBlock', readonly index: number, readonly attachment: { readonly id: string, readonly filename: string, readonly mediaType: string, readonly sizeBytes: number, readonly url: string, readonly convertedUrl: string | null, readonly width: number | null, readonly height: number | null, readonly pages: number | null } }
    | { readonly __typename: 'JsonBlock', readonly text: string, readonly value: unknown, readonly problem: string | null, readonly index: number }
    | { readonly __typename: 'TextBlock', readonly text: string, readonly models: ReadonlyArray<string>, readonly index: number, readonly citations: ReadonlyArray<{ readonly citedText: string, readonly place: string | null, readonly source: string, readonly title: string | null, readonly url: string | null }> }
    | { readonly __typename: 'ThinkingBlock', readonly text: string, readonly redacted: boolean, readonly index: number }
    | { readonly __typename: 'ToolResultBlock', readonly toolUseId: string, readonly output: unknown, readonly isError: boolean, readonly index: number }
    | { readonly __typename: 'ToolUseBlock', readonly toolUseId: string, readonly name: string, readonly input: unknown, readonly partialJson: string | null, readonly index: number }
  >, readonly files: ReadonlyArray<{ readonly filename: string | null, readonly problem: string | null, readonly attachment: { readonly id: string, readonly filename: string, readonly mediaType: string, readonly sizeBytes: number, readonly url: string, readonly convertedUrl: string | null, readonly width: number | null, readonly height: number | null, readonly pages: number | null } | null }>, readonly leftOut: ReadonlyArray<{ readonly reason: LeftOutReason, readonly blocks: number }>, readonly rating: { readonly rating: Rating, readonly comment: string | null, readonly tags: ReadonlyArray<string> } | null, readonly siblings: ReadonlyArray<{ readonly id: string }>, readonly generation: { readonly id: string, readonly status: GenerationStatus, readonly continuations: number, readonly stopReason: StopReason | null, readonly startedAt: string | null, readonly firstTokenAt: string | null, readonly finishedAt: string | null, readonly refusal: { readonly category: string | null, readonly explanation: string | null } | null, readonly model: { readonly id: string, readonly displayName: string, readonly simulated: boolean }, readonly usage: { readonly inputTokens: number, readonly outputTokens: number, readonly cacheReadTokens: number, readonly cacheWriteTokens: number, readonly costUsd: string | null } | null, readonly error: { readonly code: GenerationErrorCode, readonly message: string, readonly retryable: boolean, readonly requestId: string | null, readonly retryAfterSeconds: number | null } | null } | null };

export type AssistantFragment = { readonly id: string, readonly name: string, readonly description: string | null, readonly starters: ReadonlyArray<string>, readonly isDefault: boolean, readonly tools: ReadonlyArray<string>, readonly clientsMaySet: ReadonlyArray<ClientSetting>, readonly model: { readonly id: string }, readonly models: ReadonlyArray<{ readonly id: string }> };

export type EntryFragment = { readonly id: string, readonly title: string | null, readonly updatedAt: string, readonly tags: ReadonlyArray<string>, readonly pinned: boolean, readonly archived: boolean, readonly temporary: boolean, readonly activeGeneration: { readonly id: string } | null };

export type SettingsFragment = { readonly clientInstructions: string | null, readonly clientsMaySet: ReadonlyArray<ClientSetting>, readonly id: string, readonly title: string | null, readonly updatedAt: string, readonly tags: ReadonlyArray<string>, readonly pinned: boolean, readonly archived: boolean, readonly temporary: boolean, readonly assistant: { readonly id: string, readonly name: string, readonly description: string | null, readonly starters: ReadonlyArray<string>, readonly isDefault: boolean, readonly tools: ReadonlyArray<string>, readonly clientsMaySet: ReadonlyArray<ClientSetting>, readonly model: { readonly id: string }, readonly models: ReadonlyArray<{ readonly id: string }> } | null, readonly model: { readonly id: string, readonly displayName: string, readonly simulated: boolean, readonly thinking: ReadonlyArray<string> | null, readonly efforts: ReadonlyArray<string> | null }, readonly options: { readonly maxTokens: number | null, readonly effort: Effort | null, readonly outputSchema: unknown, readonly continueInterrupted: boolean | null, readonly stopSequences: ReadonlyArray<string> | null, readonly taskBudget: number | null, readonly thinking: { readonly enabled: boolean, readonly budgetTokens: number | null } | null, readonly toolChoice: { readonly mode: ToolChoiceMode, readonly name: string | null, readonly parallel: boolean } | null }, readonly tools: { readonly server: ReadonlyArray<string> | null, readonly client: ReadonlyArray<{ readonly name: string, readonly description: string, readonly inputSchema: unknown }> }, readonly activeGeneration: { readonly id: string } | null };

export type StartQueryVariables = Exact<{ [key: string]: never; }>;


export type StartQuery = { readonly viewer: { readonly id: string, readonly name: string }, readonly models: ReadonlyArray<{ readonly id: string, readonly displayName: string, readonly default: boolean, readonly simulated: boolean, readonly takesImages: boolean | null, readonly takesDocuments: boolean | null, readonly thinking: ReadonlyArray<string> | null, readonly efforts: ReadonlyArray<string> | null }>, readonly tools: ReadonlyArray<{ readonly name: string, readonly description: string, readonly asksFirst: boolean, readonly source: string, readonly server: string | null }>, readonly assistants: ReadonlyArray<{ readonly id: string, readonly name: string, readonly description: string | null, readonly starters: ReadonlyArray<string>, readonly isDefault: boolean, readonly tools: ReadonlyArray<string>, readonly clientsMaySet: ReadonlyArray<ClientSetting>, readonly model: { readonly id: string }, readonly models: ReadonlyArray<{ readonly id: string }> }> };

export type ConversationsQueryVariables = Exact<{
  filter?: ConversationFilter | null | undefined;
  first: number;
  after?: string | null | undefined;
}>;


export type ConversationsQuery = { readonly conversations: { readonly edges: ReadonlyArray<{ readonly node: { readonly id: string, readonly title: string | null, readonly updatedAt: string, readonly tags: ReadonlyArray<string>, readonly pinned: boolean, readonly archived: boolean, readonly temporary: boolean, readonly activeGeneration: { readonly id: string } | null } }>, readonly pageInfo: { readonly hasNextPage: boolean, readonly endCursor: string | null } } };

export type TagsQueryVariables = Exact<{ [key: string]: never; }>;


export type TagsQuery = { readonly viewer: { readonly id: string, readonly tags: ReadonlyArray<{ readonly name: string, readonly count: number }> } };

export type SearchQueryVariables = Exact<{
  query: string;
}>;


export type SearchQuery = { readonly searchMessages: { readonly edges: ReadonlyArray<{ readonly cursor: string, readonly excerpt: string, readonly highlights: ReadonlyArray<{ readonly start: number, readonly end: number }>, readonly node: { readonly id: string, readonly role: MessageRole, readonly conversation: { readonly id: string, readonly title: string | null } } }> } };

export type ConversationQueryVariables = Exact<{
  id: string | number;
}>;


export type ConversationQuery = { readonly conversation: { readonly clientInstructions: string | null, readonly clientsMaySet: ReadonlyArray<ClientSetting>, readonly id: string, readonly title: string | null, readonly updatedAt: string, readonly tags: ReadonlyArray<string>, readonly pinned: boolean, readonly archived: boolean, readonly temporary: boolean, readonly usage: { readonly inputTokens: number, readonly outputTokens: number, readonly cacheReadTokens: number, readonly cacheWriteTokens: number, readonly costUsd: string | null }, readonly context: { readonly usedTokens: number, readonly limit: number | null, readonly compacts: boolean }, readonly messages: { readonly edges: ReadonlyArray<{ readonly node: { readonly id: string, readonly role: MessageRole, readonly createdAt: string, readonly content: ReadonlyArray<
            | { readonly __typename: 'CompactionBlock', readonly summary: string | null, readonly index: number }
            | { readonly __typename: 'DocumentBlock', readonly index: number, readonly attachment: { readonly id: string, readonly filename: string, readonly mediaType: string, readonly sizeBytes: number, readonly url: string, readonly convertedUrl: string | null, readonly width: number | null, readonly height: number | null, readonly pages: number | null } }
            | { readonly __typename: 'ImageBlock', readonly index: number, readonly attachment: { readonly id: string, readonly filename: string, readonly mediaType: string, readonly sizeBytes: number, readonly url: string, readonly convertedUrl: string | null, readonly width: number | null, readonly height: number | null, readonly pages: number | null } }
            | { readonly __typename: 'JsonBlock', readonly text: string, readonly value: unknown, readonly problem: string | null, readonly index: number }
            | { readonly __typename: 'TextBlock', readonly text: string, readonly models: ReadonlyArray<string>, readonly index: number, readonly citations: ReadonlyArray<{ readonly citedText: string, readonly place: string | null, readonly source: string, readonly title: string | null, readonly url: string | null }> }
            | { readonly __typename: 'ThinkingBlock', readonly text: string, readonly redacted: boolean, readonly index: number }
            | { readonly __typename: 'ToolResultBlock', readonly toolUseId: string, readonly output: unknown, readonly isError: boolean, readonly index: number }
            | { readonly __typename: 'ToolUseBlock', readonly toolUseId: string, readonly name: string, readonly input: unknown, readonly partialJson: string | null, readonly index: number }
          >, readonly files: ReadonlyArray<{ readonly filename: string | null, readonly problem: string | null, readonly attachment: { readonly id: string, readonly filename: string, readonly mediaType: string, readonly sizeBytes: number, readonly url: string, readonly convertedUrl: string | null, readonly width: number | null, readonly height: number | null, readonly pages: number | null } | null }>, readonly leftOut: ReadonlyArray<{ readonly reason: LeftOutReason, readonly blocks: number }>, readonly rating: { readonly rating: Rating, readonly comment: string | null, readonly tags: ReadonlyArray<string> } | null, readonly siblings: ReadonlyArray<{ readonly id: string }>, readonly generation: { readonly id: string, readonly status: GenerationStatus, readonly continuations: number, readonly stopReason: StopReason | null, readonly startedAt: string | null, readonly firstTokenAt: string | null, readonly finishedAt: string | null, readonly refusal: { readonly category: string | null, readonly explanation: string | null } | null, readonly model: { readonly id: string, readonly displayName: string, readonly simulated: boolean }, readonly usage: { readonly inputTokens: number, readonly outputTokens: number, readonly cacheReadTokens: number, readonly cacheWriteTokens: number, readonly costUsd: string | null } | null, readonly error: { readonly code: GenerationErrorCode, readonly message: string, readonly retryable: boolean, readonly requestId: string | null, readonly retryAfterSeconds: number | null } | null } | null } }>, readonly pageInfo: { readonly hasPreviousPage: boolean, readonly startCursor: string | null } }, readonly assistant: { readonly id: string, readonly name: string, readonly description: string | null, readonly starters: ReadonlyArray<string>, readonly isDefault: boolean, readonly tools: ReadonlyArray<string>, readonly clientsMaySet: ReadonlyArray<ClientSetting>, readonly model: { readonly id: string }, readonly models: ReadonlyArray<{ readonly id: string }> } | null, readonly model: { readonly id: string, readonly displayName: string, readonly simulated: boolean, readonly thinking: ReadonlyArray<string> | null, readonly efforts: ReadonlyArray<string> | null }, readonly options: { readonly maxTokens: number | null, readonly effort: Effort | null, readonly outputSchema: unknown, readonly continueInterrupted: boolean | null, readonly stopSequences: ReadonlyArray<string> | null, readonly taskBudget: number | null, readonly thinking: { readonly enabled: boolean, readonly budgetTokens: number | null } | null, readonly toolChoice: { readonly mode: ToolChoiceMode, readonly name: string | null, readonly parallel: boolean } | null }, readonly tools: { readonly server: ReadonlyArray<string> | null, readonly client: ReadonlyArray<{ readonly name: string, readonly description: string, readonly inputSchema: unknown }> }, readonly activeGeneration: { readonly id: string } | null } | null };

export type EarlierQueryVariables = Exact<{
  id: string | number;
  before: string;
}>;


export type EarlierQuery = { readonly conversation: { readonly id: string, readonly messages: { readonly edges: ReadonlyArray<{ readonly node: { readonly id: string, readonly role: MessageRole, readonly createdAt: string, readonly content: ReadonlyArray<
            | { readonly __typename: 'CompactionBlock', readonly summary: string | null, readonly index: number }
            | { readonly __typename: 'DocumentBlock', readonly index: number, readonly attachment: { readonly id: string, readonly filename: string, readonly mediaType: string, readonly sizeBytes: number, readonly url: string, readonly convertedUrl: string | null, readonly width: number | null, readonly height: number | null, readonly pages: number | null } }
            | { readonly __typename: 'ImageBlock', readonly index: number, readonly attachment: { readonly id: string, readonly filename: string, readonly mediaType: string, readonly sizeBytes: number, readonly url: string, readonly convertedUrl: string | null, readonly width: number | null, readonly height: number | null, readonly pages: number | null } }
            | { readonly __typename: 'JsonBlock', readonly text: string, readonly value: unknown, readonly problem: string | null, readonly index: number }
            | { readonly __typename: 'TextBlock', readonly text: string, readonly models: ReadonlyArray<string>, readonly index: number, readonly citations: ReadonlyArray<{ readonly citedText: string, readonly place: string | null, readonly source: string, readonly title: string | null, readonly url: string | null }> }
            | { readonly __typename: 'ThinkingBlock', readonly text: string, readonly redacted: boolean, readonly index: number }
            | { readonly __typename: 'ToolResultBlock', readonly toolUseId: string, readonly output: unknown, readonly isError: boolean, readonly index: number }
            | { readonly __typename: 'ToolUseBlock', readonly toolUseId: string, readonly name: string, readonly input: unknown, readonly partialJson: string | null, readonly index: number }
          >, readonly files: ReadonlyArray<{ readonly filename: string | null, readonly problem: string | null, readonly attachment: { readonly id: string, readonly filename: string, readonly mediaType: string, readonly sizeBytes: number, readonly url: string, readonly convertedUrl: string | null, readonly width: number | null, readonly height: number | null, readonly pages: number | null } | null }>, readonly leftOut: ReadonlyArray<{ readonly reason: LeftOutReason, readonly blocks: number }>, readonly rating: { readonly rating: Rating, readonly comment: string | null, readonly tags: ReadonlyArray<string> } | null, readonly siblings: ReadonlyArray<{ readonly id: string }>, readonly generation: { readonly id: string, readonly status: GenerationStatus, readonly continuations: number, readonly stopReason: StopReason | null, readonly startedAt: string | null, readonly firstTokenAt: string | null, readonly finishedAt: string | null, readonly refusal: { readonly category: string | null, readonly explanation: string | null } | null, readonly model: { readonly id: string, readonly displayName: string, readonly simulated: boolean }, readonly usage: { readonly inputTokens: number, readonly outputTokens: number, readonly cacheReadTokens: number, readonly cacheWriteTokens: number, readonly costUsd: string | null } | null, readonly error: { readonly code: GenerationErrorCode, readonly message: string, readonly retryable: boolean, readonly requestId: string | null, readonly retryAfterSeconds: number | null } | null } | null } }>, readonly pageInfo: { readonly hasPreviousPage: boolean, readonly startCursor: string | null } } } | null };

export type AccountQueryVariables = Exact<{ [key: string]: never; }>;


export type AccountQuery = { readonly viewer: { readonly id: string, readonly name: string, readonly roles: ReadonlyArray<string> } };

export type UsageQueryVariables = Exact<{
  since: string;
}>;


export type UsageQuery = { readonly viewer: { readonly id: string, readonly usage: { readonly inputTokens: number, readonly outputTokens: number, readonly cacheReadTokens: number, readonly cacheWriteTokens: number, readonly costUsd: string | null }, readonly usageByDay: ReadonlyArray<{ readonly day: string, readonly model: string, readonly usage: { readonly inputTokens: number, readonly outputTokens: number, readonly cacheReadTokens: number, readonly cacheWriteTokens: number, readonly costUsd: string | null } }>, readonly toolUsage: ReadonlyArray<{ readonly name: string, readonly calls: number, readonly failed: number }> } };

export type LimitsQueryVariables = Exact<{ [key: string]: never; }>;


export type LimitsQuery = { readonly viewer: { readonly id: string, readonly plan: { readonly name: string, readonly models: ReadonlyArray<string> | null } | null, readonly budget: { readonly limitUsd: string, readonly spentUsd: string, readonly reservedUsd: string, readonly resetsAt: string } | null, readonly limits: ReadonlyArray<{ readonly name: string, readonly maximum: number, readonly remaining: number, readonly windowSeconds: number | null, readonly resetsInSeconds: number | null }> } };

export type SignInFragment = { readonly id: string, readonly userAgent: string | null, readonly current: boolean, readonly createdAt: string, readonly lastUsedAt: string };

export type SignInsQueryVariables = Exact<{ [key: string]: never; }>;


export type SignInsQuery = { readonly viewer: { readonly id: string, readonly signIns: ReadonlyArray<{ readonly id: string, readonly userAgent: string | null, readonly current: boolean, readonly createdAt: string, readonly lastUsedAt: string }> } };

export type RevokeSignInMutationVariables = Exact<{
  id: string | number;
}>;


export type RevokeSignInMutation = { readonly revokeSignIn:
    | { readonly __typename: 'NotFound', readonly message: string }
    | { readonly __typename: 'RevokedSignIn' }
   };

export type TokenFragment = { readonly id: string, readonly label: string, readonly createdAt: string, readonly lastUsedAt: string | null, readonly expiresAt: string | null };

export type TokensQueryVariables = Exact<{ [key: string]: never; }>;


export type TokensQuery = { readonly viewer: { readonly id: string, readonly personalTokens: ReadonlyArray<{ readonly id: string, readonly label: string, readonly createdAt: string, readonly lastUsedAt: string | null, readonly expiresAt: string | null }> } };

export type CreateTokenMutationVariables = Exact<{
  label: string;
  expiresAt?: string | null | undefined;
}>;


export type CreateTokenMutation = { readonly createPersonalToken:
    | { readonly __typename: 'CreatePersonalTokenPayload', readonly token: string }
    | { readonly __typename: 'InvalidInput', readonly message: string }
    | { readonly __typename: 'RateLimited', readonly message: string, readonly retryAfterSeconds: number }
   };

export type RevokeTokenMutationVariables = Exact<{
  id: string | number;
}>;


export type RevokeTokenMutation = { readonly revokePersonalToken:
    | { readonly __typename: 'NotFound', readonly message: string }
    | { readonly __typename: 'RevokedPersonalToken' }
   };

export type MemoryFragment = { readonly id: string, readonly path: string, readonly content: string, readonly updatedAt: string, readonly assistant: { readonly id: string, readonly name: string } | null };

export type MemoriesQueryVariables = Exact<{ [key: string]: never; }>;


export type MemoriesQuery = { readonly viewer: { readonly id: string, readonly memories: { readonly edges: ReadonlyArray<{ readonly node: { readonly id: string, readonly path: string, readonly content: string, readonly updatedAt: string, readonly assistant: { readonly id: string, readonly name: string } | null } }> } } };

export type UpdateMemoryMutationVariables = Exact<{
  input: UpdateMemoryInput;
}>;


export type UpdateMemoryMutation = { readonly updateMemory:
    | { readonly __typename: 'InvalidInput', readonly message: string }
    | { readonly __typename: 'MemoryPayload', readonly memory: { readonly id: string, readonly path: string, readonly content: string, readonly updatedAt: string, readonly assistant: { readonly id: string, readonly name: string } | null } }
    | { readonly __typename: 'NotFound', readonly message: string }
   };

export type DeleteMemoryMutationVariables = Exact<{
  id: string | number;
}>;


export type DeleteMemoryMutation = { readonly deleteMemory:
    | { readonly __typename: 'DeletedMemory', readonly deletedId: string }
    | { readonly __typename: 'NotFound', readonly message: string }
   };

type Sent_BudgetExceeded_Fragment = { readonly __typename: 'BudgetExceeded', readonly message: string, readonly resetsAt: string };

type Sent_ConversationBusy_Fragment = { readonly __typename: 'ConversationBusy', readonly message: string, readonly generation: { readonly id: string } };

type Sent_InvalidInput_Fragment = { readonly __typename: 'InvalidInput', readonly message: string };

type Sent_NotFound_Fragment = { readonly __typename: 'NotFound', readonly message: string };

type Sent_RateLimited_Fragment = { readonly __typename: 'RateLimited', readonly message: string, readonly retryAfterSeconds: number };

type Sent_SendMessagePayload_Fragment = { readonly __typename: 'SendMessagePayload', readonly conversation: { readonly id: string }, readonly userMessage: { readonly id: string }, readonly generation: { readonly id: string } };

type Sent_SendRefused_Fragment = { readonly __typename: 'SendRefused', readonly message: string };

export type SentFragment =
  | Sent_BudgetExceeded_Fragment
  | Sent_ConversationBusy_Fragment
  | Sent_InvalidInput_Fragment
  | Sent_NotFound_Fragment
  | Sent_RateLimited_Fragment
  | Sent_SendMessagePayload_Fragment
  | Sent_SendRefused_Fragment
;

export type EditMutationVariables = Exact<{
  input: EditMessageInput;
}>;


export type EditMutation = { readonly editMessage:
    | { readonly __typename: 'BudgetExceeded', readonly message: string, readonly resetsAt: string }
    | { readonly __typename: 'ConversationBusy', readonly message: string, readonly generation: { readonly id: string } }
    | { readonly __typename: 'InvalidInput', readonly message: string }
    | { readonly __typename: 'NotFound', readonly message: string }
    | { readonly __typename: 'RateLimited', readonly message: string, readonly retryAfterSeconds: number }
    | { readonly __typename: 'SendMessagePayload', readonly conversation: { readonly id: string }, readonly userMessage: { readonly id: string }, readonly generation: { readonly id: string } }
    | { readonly __typename: 'SendRefused', readonly message: string }
   };

export type RegenerateMutationVariables = Exact<{
  input: RegenerateMessageInput;
}>;


export type RegenerateMutation = { readonly regenerateMessage:
    | { readonly __typename: 'BudgetExceeded', readonly message: string, readonly resetsAt: string }
    | { readonly __typename: 'ConversationBusy', readonly message: string, readonly generation: { readonly id: string } }
    | { readonly __typename: 'InvalidInput', readonly message: string }
    | { readonly __typename: 'NotFound', readonly message: string }
    | { readonly __typename: 'RateLimited', readonly message: string, readonly retryAfterSeconds: number }
    | { readonly __typename: 'SendMessagePayload', readonly conversation: { readonly id: string }, readonly userMessage: { readonly id: string }, readonly generation: { readonly id: string } }
    | { readonly __typename: 'SendRefused', readonly message: string }
   };

export type RateMutationVariables = Exact<{
  input: RateMessageInput;
}>;


export type RateMutation = { readonly rateMessage:
    | { readonly __typename: 'InvalidInput', readonly message: string }
    | { readonly __typename: 'NotFound', readonly message: string }
    | { readonly __typename: 'RatedMessage', readonly answer: { readonly id: string, readonly rating: { readonly rating: Rating, readonly comment: string | null, readonly tags: ReadonlyArray<string> } | null } }
   };

export type ShareFragment = { readonly id: string, readonly createdAt: string, readonly expiresAt: string | null, readonly views: number, readonly includeThinking: boolean, readonly includeTools: boolean, readonly includeContext: boolean };

export type SharesQueryVariables = Exact<{
  id: string | number;
}>;


export type SharesQuery = { readonly conversation: { readonly id: string, readonly shares: { readonly edges: ReadonlyArray<{ readonly node: { readonly id: string, readonly createdAt: string, readonly expiresAt: string | null, readonly views: number, readonly includeThinking: boolean, readonly includeTools: boolean, readonly includeContext: boolean } }> } } | null };

export type ShareMutationVariables = Exact<{
  id: string | number;
  expiresAt?: string | null | undefined;
  includeThinking: boolean;
  includeTools: boolean;
  includeContext: boolean;
}>;


export type ShareMutation = { readonly shareConversation:
    | { readonly __typename: 'InvalidInput', readonly message: string }
    | { readonly __typename: 'NotFound', readonly message: string }
    | { readonly __typename: 'RateLimited', readonly message: string }
    | { readonly __typename: 'ShareConversationPayload', readonly url: string }
   };

export type RevokeShareMutationVariables = Exact<{
  id: string | number;
}>;


export type RevokeShareMutation = { readonly revokeShare:
    | { readonly __typename: 'NotFound', readonly message: string }
    | { readonly __typename: 'RevokedShare', readonly revokedId: string }
   };

export type ToolServerFragment = { readonly name: string, readonly problem: string | null, readonly ownAccount: boolean, readonly needsAuthorization: boolean, readonly authorizeUrl: string | null };

export type ToolServersQueryVariables = Exact<{ [key: string]: never; }>;


export type ToolServersQuery = { readonly toolServers: ReadonlyArray<{ readonly name: string, readonly problem: string | null, readonly ownAccount: boolean, readonly needsAuthorization: boolean, readonly authorizeUrl: string | null }> };

export type ConnectToolServerMutationVariables = Exact<{
  confirmation: string;
}>;


export type ConnectToolServerMutation = { readonly connectToolServer:
    | { readonly __typename: 'InvalidInput', readonly message: string }
    | { readonly __typename: 'ToolServerPayload', readonly toolServer: { readonly name: string, readonly problem: string | null, readonly ownAccount: boolean, readonly needsAuthorization: boolean, readonly authorizeUrl: string | null } }
   };

export type DisconnectToolServerMutationVariables = Exact<{
  name: string;
}>;


export type DisconnectToolServerMutation = { readonly disconnectToolServer:
    | { readonly __typename: 'InvalidInput', readonly message: string }
    | { readonly __typename: 'ToolServerPayload', readonly toolServer: { readonly name: string, readonly problem: string | null, readonly ownAccount: boolean, readonly needsAuthorization: boolean, readonly authorizeUrl: string | null } }
   };

export type SelectBranchMutationVariables = Exact<{
  messageId: string | number;
}>;


export type SelectBranchMutation = { readonly selectBranch:
    | { readonly __typename: 'ConversationPayload', readonly conversation: { readonly id: string } }
    | { readonly __typename: 'NotFound', readonly message: string }
   };

export type ForkMutationVariables = Exact<{
  input: ForkConversationInput;
}>;


export type ForkMutation = { readonly forkConversation:
    | { readonly __typename: 'ConversationPayload', readonly conversation: { readonly id: string } }
    | { readonly __typename: 'InvalidInput', readonly message: string }
    | { readonly __typename: 'NotFound', readonly message: string }
   };

export type UpdateMutationVariables = Exact<{
  input: UpdateConversationInput;
}>;


export type UpdateMutation = { readonly updateConversation:
    | { readonly __typename: 'ConversationPayload', readonly conversation: { readonly clientInstructions: string | null, readonly clientsMaySet: ReadonlyArray<ClientSetting>, readonly id: string, readonly title: string | null, readonly updatedAt: string, readonly tags: ReadonlyArray<string>, readonly pinned: boolean, readonly archived: boolean, readonly temporary: boolean, readonly assistant: { readonly id: string, readonly name: string, readonly description: string | null, readonly starters: ReadonlyArray<string>, readonly isDefault: boolean, readonly tools: ReadonlyArray<string>, readonly clientsMaySet: ReadonlyArray<ClientSetting>, readonly model: { readonly id: string }, readonly models: ReadonlyArray<{ readonly id: string }> } | null, readonly model: { readonly id: string, readonly displayName: string, readonly simulated: boolean, readonly thinking: ReadonlyArray<string> | null, readonly efforts: ReadonlyArray<string> | null }, readonly options: { readonly maxTokens: number | null, readonly effort: Effort | null, readonly outputSchema: unknown, readonly continueInterrupted: boolean | null, readonly stopSequences: ReadonlyArray<string> | null, readonly taskBudget: number | null, readonly thinking: { readonly enabled: boolean, readonly budgetTokens: number | null } | null, readonly toolChoice: { readonly mode: ToolChoiceMode, readonly name: string | null, readonly parallel: boolean } | null }, readonly tools: { readonly server: ReadonlyArray<string> | null, readonly client: ReadonlyArray<{ readonly name: string, readonly description: string, readonly inputSchema: unknown }> }, readonly activeGeneration: { readonly id: string } | null } }
    | { readonly __typename: 'InvalidInput', readonly message: string }
    | { readonly __typename: 'NotFound', readonly message: string }
   };

export type DeleteMutationVariables = Exact<{
  id: string | number;
}>;


export type DeleteMutation = { readonly deleteConversation:
    | { readonly __typename: 'DeletedConversation', readonly deletedId: string }
    | { readonly __typename: 'NotFound', readonly message: string }
   };

export type StopMutationVariables = Exact<{
  id: string | number;
}>;


export type StopMutation = { readonly stopGeneration:
    | { readonly __typename: 'GenerationPayload', readonly generation: { readonly id: string, readonly status: GenerationStatus } }
    | { readonly __typename: 'NotFound', readonly message: string }
   };

export const FileFragmentDoc = gql`
    fragment File on Attachment {
  id
  filename
  mediaType
  sizeBytes
  url
  convertedUrl
  width
  height
  pages
}
    ` as unknown as DocumentNode<FileFragment, unknown>;
export const BlockFragmentDoc = gql`
    fragment Block on ContentBlock {
  __typename
  index
  ... on TextBlock {
    text
    models
    citations {
      citedText
      place
      source
      title
      url
    }
  }
  ... on ThinkingBlock {
    text
    redacted
  }
  ... on ToolUseBlock {
    toolUseId
    name
    input
    partialJson
  }
  ... on ToolResultBlock {
    toolUseId
    output
    isError
  }
  ... on JsonBlock {
    text
    value
    problem
  }
  ... on CompactionBlock {
    summary
  }
  ... on ImageBlock {
    attachment {
      ...File
    }
  }
  ... on DocumentBlock {
    attachment {
      ...File
    }
  }
}
    ` as unknown as DocumentNode<BlockFragment, unknown>;
export const CostFragmentDoc = gql`
    fragment Cost on Usage {
  inputTokens
  outputTokens
  cacheReadTokens
  cacheWriteTokens
  costUsd
}
    ` as unknown as DocumentNode<CostFragment, unknown>;
export const WorkFragmentDoc = gql`
    fragment Work on Generation {
  id
  status
  continuations
  stopReason
  refusal {
    category
    explanation
  }
  model {
    id
    displayName
    simulated
  }
  usage {
    ...Cost
  }
  error {
    code
    message
    retryable
    requestId
    retryAfterSeconds
  }
  startedAt
  firstTokenAt
  finishedAt
}
    ` as unknown as DocumentNode<WorkFragment, unknown>;
export const TurnFragmentDoc = gql`
    fragment Turn on Message {
  id
  role
  createdAt
  content {
    ...Block
  }
  files {
    filename
    problem
    attachment {
      ...File
    }
  }
  leftOut {
    reason
    blocks
  }
  rating {
    rating
    comment
    tags
  }
  siblings {
    id
  }
  generation {
    ...Work
  }
}
    ` as unknown as DocumentNode<TurnFragment, unknown>;
export const EntryFragmentDoc = gql`
    fragment Entry on Conversation {
  id
  title
  updatedAt
  tags
  pinned
  archived
  temporary
  activeGeneration {
    id
  }
}
    ` as unknown as DocumentNode<EntryFragment, unknown>;
export const AssistantFragmentDoc = gql`
    fragment Assistant on Assistant {
  id
  name
  description
  starters
  isDefault
  model {
    id
  }
  models {
    id
  }
  tools
  clientsMaySet
}
    ` as unknown as DocumentNode<AssistantFragment, unknown>;
export const SettingsFragmentDoc = gql`
    fragment Settings on Conversation {
  ...Entry
  clientInstructions
  assistant {
    ...Assistant
  }
  clientsMaySet
  model {
    id
    displayName
    simulated
    thinking
    efforts
  }
  options {
    maxTokens
    effort
    thinking {
      enabled
      budgetTokens
    }
    outputSchema
    toolChoice {
      mode
      name
      parallel
    }
    continueInterrupted
    stopSequences
    taskBudget
  }
  tools {
    server
    client {
      name
      description
      inputSchema
    }
  }
}
    ` as unknown as DocumentNode<SettingsFragment, unknown>;
export const SignInFragmentDoc = gql`
    fragment SignIn on SignIn {
  id
  userAgent
  current
  createdAt
  lastUsedAt
}
    ` as unknown as DocumentNode<SignInFragment, unknown>;
export const TokenFragmentDoc = gql`
    fragment Token on PersonalToken {
  id
  label
  createdAt
  lastUsedAt
  expiresAt
}
    ` as unknown as DocumentNode<TokenFragment, unknown>;
export const MemoryFragmentDoc = gql`
    fragment Memory on Memory {
  id
  assistant {
    id
    name
  }
  path
  content
  updatedAt
}
    ` as unknown as DocumentNode<MemoryFragment, unknown>;
export const SentFragmentDoc = gql`
    fragment Sent on SendMessageResult {
  __typename
  ... on SendMessagePayload {
    conversation {
      id
    }
    userMessage {
      id
    }
    generation {
      id
    }
  }
  ... on ConversationBusy {
    message
    generation {
      id
    }
  }
  ... on RateLimited {
    message
    retryAfterSeconds
  }
  ... on BudgetExceeded {
    message
    resetsAt
  }
  ... on Error {
    message
  }
}
    ` as unknown as DocumentNode<SentFragment, unknown>;
export const ShareFragmentDoc = gql`
    fragment Share on Share {
  id
  createdAt
  expiresAt
  views
  includeThinking
  includeTools
  includeContext
}
    ` as unknown as DocumentNode<ShareFragment, unknown>;
export const ToolServerFragmentDoc = gql`
    fragment ToolServer on ToolServer {
  name
  problem
  ownAccount
  needsAuthorization
  authorizeUrl
}
    ` as unknown as DocumentNode<ToolServerFragment, unknown>;
export const StartDocument = gql`
    query Start {
  viewer {
    id
    name
  }
  models {
    id
    displayName
    default
    simulated
    takesImages
    takesDocuments
    thinking
    efforts
  }
  tools {
    name
    description
    asksFirst
    source
    server
  }
  assistants {
    ...Assistant
  }
}
    ${AssistantFragmentDoc}` as unknown as DocumentNode<StartQuery, StartQueryVariables>;
export const ConversationsDocument = gql`
    query Conversations($filter: ConversationFilter, $first: Int!, $after: String) {
  conversations(filter: $filter, first: $first, after: $after) {
    edges {
      node {
        ...Entry
      }
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}
    ${EntryFragmentDoc}` as unknown as DocumentNode<ConversationsQuery, ConversationsQueryVariables>;
export const TagsDocument = gql`
    query Tags {
  viewer {
    id
    tags {
      name
      count
    }
  }
}
    ` as unknown as DocumentNode<TagsQuery, TagsQueryVariables>;
export const SearchDocument = gql`
    query Search($query: String!) {
  searchMessages(query: $query, first: 20) {
    edges {
      cursor
      excerpt
      highlights {
        start
        end
      }
      node {
        id
        role
        conversation {
          id
          title
        }
      }
    }
  }
}
    ` as unknown as DocumentNode<SearchQuery, SearchQueryVariables>;
export const ConversationDocument = gql`
    query Conversation($id: ID!) {
  conversation(id: $id) {
    ...Settings
    usage {
      ...Cost
    }
    context {
      usedTokens
      limit
      compacts
    }
    messages(last: 40) {
      edges {
        node {
          ...Turn
        }
      }
      pageInfo {
        hasPreviousPage
        startCursor
      }
    }
  }
}
    ${SettingsFragmentDoc}
${EntryFragmentDoc}
${AssistantFragmentDoc}
${CostFragmentDoc}
${TurnFragmentDoc}
${BlockFragmentDoc}
${FileFragmentDoc}
${WorkFragmentDoc}` as unknown as DocumentNode<ConversationQuery, ConversationQueryVariables>;
export const EarlierDocument = gql`
    query Earlier($id: ID!, $before: String!) {
  conversation(id: $id) {
    id
    messages(last: 40, before: $before) {
      edges {
        node {
          ...Turn
        }
      }
      pageInfo {
        hasPreviousPage
        startCursor
      }
    }
  }
}
    ${TurnFragmentDoc}
${BlockFragmentDoc}
${FileFragmentDoc}
${WorkFragmentDoc}
${CostFragmentDoc}` as unknown as DocumentNode<EarlierQuery, EarlierQueryVariables>;
export const AccountDocument = gql`
    query Account {
  viewer {
    id
    name
    roles
  }
}
    ` as unknown as DocumentNode<AccountQuery, AccountQueryVariables>;
export const UsageDocument = gql`
    query Usage($since: DateTime!) {
  viewer {
    id
    usage {
      ...Cost
    }
    usageByDay(since: $since) {
      day
      model
      usage {
        ...Cost
      }
    }
    toolUsage {
      name
      calls
      failed
    }
  }
}
    ${CostFragmentDoc}` as unknown as DocumentNode<UsageQuery, UsageQueryVariables>;
export const LimitsDocument = gql`
    query Limits {
  viewer {
    id
    plan {
      name
      models
    }
    budget {
      limitUsd
      spentUsd
      reservedUsd
      resetsAt
    }
    limits {
      name
      maximum
      remaining
      windowSeconds
      resetsInSeconds
    }
  }
}
    ` as unknown as DocumentNode<LimitsQuery, LimitsQueryVariables>;
export const SignInsDocument = gql`
    query SignIns {
  viewer {
    id
    signIns {
      ...SignIn
    }
  }
}
    ${SignInFragmentDoc}` as unknown as DocumentNode<SignInsQuery, SignInsQueryVariables>;
export const RevokeSignInDocument = gql`
    mutation RevokeSignIn($id: ID!) {
  revokeSignIn(id: $id) {
    __typename
    ... on Error {
      message
    }
  }
}
    ` as unknown as DocumentNode<RevokeSignInMutation, RevokeSignInMutationVariables>;
export const TokensDocument = gql`
    query Tokens {
  viewer {
    id
    personalTokens {
      ...Token
    }
  }
}
    ${TokenFragmentDoc}` as unknown as DocumentNode<TokensQuery, TokensQueryVariables>;
export const CreateTokenDocument = gql`
    mutation CreateToken($label: String!, $expiresAt: DateTime) {
  createPersonalToken(label: $label, expiresAt: $expiresAt) {
    __typename
    ... on CreatePersonalTokenPayload {
      token
    }
    ... on Error {
      message
    }
    ... on RateLimited {
      retryAfterSeconds
    }
  }
}
    ` as unknown as DocumentNode<CreateTokenMutation, CreateTokenMutationVariables>;
export const RevokeTokenDocument = gql`
    mutation RevokeToken($id: ID!) {
  revokePersonalToken(id: $id) {
    __typename
    ... on Error {
      message
    }
  }
}
    ` as unknown as DocumentNode<RevokeTokenMutation, RevokeTokenMutationVariables>;
export const MemoriesDocument = gql`
    query Memories {
  viewer {
    id
    memories(first: 100) {
      edges {
        node {
          ...Memory
        }
      }
    }
  }
}
    ${MemoryFragmentDoc}` as unknown as DocumentNode<MemoriesQuery, MemoriesQueryVariables>;
export const UpdateMemoryDocument = gql`
    mutation UpdateMemory($input: UpdateMemoryInput!) {
  updateMemory(input: $input) {
    __typename
    ... on MemoryPayload {
      memory {
        ...Memory
      }
    }
    ... on Error {
      message
    }
  }
}
    ${MemoryFragmentDoc}` as unknown as DocumentNode<UpdateMemoryMutation, UpdateMemoryMutationVariables>;
export const DeleteMemoryDocument = gql`
    mutation DeleteMemory($id: ID!) {
  deleteMemory(id: $id) {
    __typename
    ... on DeletedMemory {
      deletedId
    }
    ... on Error {
      message
    }
  }
}
    ` as unknown as DocumentNode<DeleteMemoryMutation, DeleteMemoryMutationVariables>;
export const EditDocument = gql`
    mutation Edit($input: EditMessageInput!) {
  editMessage(input: $input) {
    ...Sent
  }
}
    ${SentFragmentDoc}` as unknown as DocumentNode<EditMutation, EditMutationVariables>;
export const RegenerateDocument = gql`
    mutation Regenerate($input: RegenerateMessageInput!) {
  regenerateMessage(input: $input) {
    ...Sent
  }
}
    ${SentFragmentDoc}` as unknown as DocumentNode<RegenerateMutation, RegenerateMutationVariables>;
export const RateDocument = gql`
    mutation Rate($input: RateMessageInput!) {
  rateMessage(input: $input) {
    __typename
    ... on RatedMessage {
      answer {
        id
        rating {
          rating
          comment
          tags
        }
      }
    }
    ... on Error {
      message
    }
  }
}
    ` as unknown as DocumentNode<RateMutation, RateMutationVariables>;
export const SharesDocument = gql`
    query Shares($id: ID!) {
  conversation(id: $id) {
    id
    shares(first: 100) {
      edges {
        node {
          ...Share
        }
      }
    }
  }
}
    ${ShareFragmentDoc}` as unknown as DocumentNode<SharesQuery, SharesQueryVariables>;
export const ShareDocument = gql`
    mutation Share($id: ID!, $expiresAt: DateTime, $includeThinking: Boolean!, $includeTools: Boolean!, $includeContext: Boolean!) {
  shareConversation(
    id: $id
    expiresAt: $expiresAt
    includeThinking: $includeThinking
    includeTools: $includeTools
    includeContext: $includeContext
  ) {
    __typename
    ... on ShareConversationPayload {
      url
    }
    ... on Error {
      message
    }
  }
}
    ` as unknown as DocumentNode<ShareMutation, ShareMutationVariables>;
export const RevokeShareDocument = gql`
    mutation RevokeShare($id: ID!) {
  revokeShare(id: $id) {
    __typename
    ... on RevokedShare {
      revokedId
    }
    ... on Error {
      message
    }
  }
}
    ` as unknown as DocumentNode<RevokeShareMutation, RevokeShareMutationVariables>;
export const ToolServersDocument = gql`
    query ToolServers {
  toolServers {
    ...ToolServer
  }
}
    ${ToolServerFragmentDoc}` as unknown as DocumentNode<ToolServersQuery, ToolServersQueryVariables>;
export const ConnectToolServerDocument = gql`
    mutation ConnectToolServer($confirmation: String!) {
  connectToolServer(confirmation: $confirmation) {
    __typename
    ... on ToolServerPayload {
      toolServer {
        ...ToolServer
      }
    }
    ... on Error {
      message
    }
  }
}
    ${ToolServerFragmentDoc}` as unknown as DocumentNode<ConnectToolServerMutation, ConnectToolServerMutationVariables>;
export const DisconnectToolServerDocument = gql`
    mutation DisconnectToolServer($name: String!) {
  disconnectToolServer(name: $name) {
    __typename
    ... on ToolServerPayload {
      toolServer {
        ...ToolServer
      }
    }
    ... on Error {
      message
    }
  }
}
    ${ToolServerFragmentDoc}` as unknown as DocumentNode<DisconnectToolServerMutation, DisconnectToolServerMutationVariables>;
export const SelectBranchDocument = gql`
    mutation SelectBranch($messageId: ID!) {
  selectBranch(messageId: $messageId) {
    __typename
    ... on ConversationPayload {
      conversation {
        id
      }
    }
    ... on Error {
      message
    }
  }
}
    ` as unknown as DocumentNode<SelectBranchMutation, SelectBranchMutationVariables>;
export const ForkDocument = gql`
    mutation Fork($input: ForkConversationInput!) {
  forkConversation(input: $input) {
    __typename
    ... on ConversationPayload {
      conversation {
        id
      }
    }
    ... on Error {
      message
    }
  }
}
    ` as unknown as DocumentNode<ForkMutation, ForkMutationVariables>;
export const UpdateDocument = gql`
    mutation Update($input: UpdateConversationInput!) {
  updateConversation(input: $input) {
    __typename
    ... on ConversationPayload {
      conversation {
        ...Settings
      }
    }
    ... on Error {
      message
    }
  }
}
    ${SettingsFragmentDoc}
${EntryFragmentDoc}
${AssistantFragmentDoc}` as unknown as DocumentNode<UpdateMutation, UpdateMutationVariables>;
export const DeleteDocument = gql`
    mutation Delete($id: ID!) {
  deleteConversation(id: $id) {
    __typename
    ... on DeletedConversation {
      deletedId
    }
    ... on Error {
      message
    }
  }
}
    ` as unknown as DocumentNode<DeleteMutation, DeleteMutationVariables>;
export const StopDocument = gql`
    mutation Stop($id: ID!) {
  stopGeneration(id: $id) {
    __typename
    ... on GenerationPayload {
      generation {
        id
        status
      }
    }
    ... on Error {
      message
    }
  }
}
    ` as unknown as DocumentNode<StopMutation, StopMutationVariables>;