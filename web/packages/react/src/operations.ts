/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
export type ClientToolInput = {
  readonly description: string;
  readonly inputSchema: unknown;
  readonly name: string;
};

export type ConversationChangeKind =
  | 'CREATED'
  | 'DELETED'
  | 'GENERATION_ENDED'
  | 'GENERATION_STARTED'
  | 'UPDATED';

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

export type Effort =
  | 'HIGH'
  | 'LOW'
  | 'MAX'
  | 'MEDIUM'
  | 'XHIGH';

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

export type MessageRole =
  | 'ASSISTANT'
  | 'USER';

export type MetadataFilter = {
  readonly contains: unknown;
};

export type RegenerateMessageInput = {
  readonly idempotencyKey?: string | number | null | undefined;
  readonly messageId: string | number;
  readonly options?: GenerationOptionsInput | null | undefined;
  readonly whenBusy?: WhenBusy;
};

export type SendMessageInput = {
  readonly assistantId?: string | number | null | undefined;
  readonly attachmentIds?: ReadonlyArray<string | number> | null | undefined;
  readonly context?: unknown;
  readonly conversationId?: string | number | null | undefined;
  readonly conversationMetadata?: unknown;
  readonly externalId?: string | null | undefined;
  readonly idempotencyKey?: string | number | null | undefined;
  readonly metadata?: unknown;
  readonly options?: GenerationOptionsInput | null | undefined;
  readonly parentId?: string | number | null | undefined;
  readonly temporary?: boolean;
  readonly text: string;
  readonly tools?: ConversationToolsInput | null | undefined;
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

export type SubmitToolResultsInput = {
  readonly generationId: string | number;
  readonly results: ReadonlyArray<ToolResultInput>;
};

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

export type ToolResultInput = {
  readonly approved?: boolean | null | undefined;
  readonly isError?: boolean;
  readonly output?: unknown;
  readonly toolUseId: string | number;
};

export type WhenBusy =
  | 'INTERRUPT'
  | 'QUEUE'
  | 'REJECT'
  | 'STEER';

export type FileFragment = { readonly id: string, readonly filename: string, readonly mediaType: string, readonly sizeBytes: number, readonly url: string, readonly convertedUrl: string | null, readonly width: number | null, readonly height: number | null, readonly pages: number | null };

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

export type EntryFragment = { readonly id: string, readonly title: string | null, readonly updatedAt: string, readonly tags: ReadonlyArray<string>, readonly pinned: boolean, readonly archived: boolean, readonly temporary: boolean, readonly activeGeneration: { readonly id: string } | null };

type Sent_BudgetExceeded_Fragment = { readonly __typename: 'BudgetExceeded', readonly message: string, readonly resetsAt: string };

type Sent_ConversationBusy_Fragment = { readonly __typename: 'ConversationBusy', readonly message: string };

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

export type EventsSubscriptionVariables = Exact<{
  generationId: string | number;
}>;


export type EventsSubscription = { readonly generationEvents:
    | { readonly __typename: 'ContentBlockFinished', readonly index: number, readonly sequence: number, readonly block:
        | { readonly __typename: 'CompactionBlock', readonly summary: string | null, readonly index: number }
        | { readonly __typename: 'DocumentBlock', readonly index: number, readonly attachment: { readonly id: string, readonly filename: string, readonly mediaType: string, readonly sizeBytes: number, readonly url: string, readonly convertedUrl: string | null, readonly width: number | null, readonly height: number | null, readonly pages: number | null } }
        | { readonly __typename: 'ImageBlock', readonly index: number, readonly attachment: { readonly id: string, readonly filename: string, readonly mediaType: string, readonly sizeBytes: number, readonly url: string, readonly convertedUrl: string | null, readonly width: number | null, readonly height: number | null, readonly pages: number | null } }
        | { readonly __typename: 'JsonBlock', readonly text: string, readonly value: unknown, readonly problem: string | null, readonly index: number }
        | { readonly __typename: 'TextBlock', readonly text: string, readonly models: ReadonlyArray<string>, readonly index: number, readonly citations: ReadonlyArray<{ readonly citedText: string, readonly place: string | null, readonly source: string, readonly title: string | null, readonly url: string | null }> }
        | { readonly __typename: 'ThinkingBlock', readonly text: string, readonly redacted: boolean, readonly index: number }
        | { readonly __typename: 'ToolResultBlock', readonly toolUseId: string, readonly output: unknown, readonly isError: boolean, readonly index: number }
        | { readonly __typename: 'ToolUseBlock', readonly toolUseId: string, readonly name: string, readonly input: unknown, readonly partialJson: string | null, readonly index: number }
       }
    | { readonly __typename: 'ContentBlockStarted', readonly index: number, readonly sequence: number, readonly block:
        | { readonly __typename: 'CompactionBlock', readonly summary: string | null, readonly index: number }
        | { readonly __typename: 'DocumentBlock', readonly index: number, readonly attachment: { readonly id: string, readonly filename: string, readonly mediaType: string, readonly sizeBytes: number, readonly url: string, readonly convertedUrl: string | null, readonly width: number | null, readonly height: number | null, readonly pages: number | null } }
        | { readonly __typename: 'ImageBlock', readonly index: number, readonly attachment: { readonly id: string, readonly filename: string, readonly mediaType: string, readonly sizeBytes: number, readonly url: string, readonly convertedUrl: string | null, readonly width: number | null, readonly height: number | null, readonly pages: number | null } }
        | { readonly __typename: 'JsonBlock', readonly text: string, readonly value: unknown, readonly problem: string | null, readonly index: number }
        | { readonly __typename: 'TextBlock', readonly text: string, readonly models: ReadonlyArray<string>, readonly index: number, readonly citations: ReadonlyArray<{ readonly citedText: string, readonly place: string | null, readonly source: string, readonly title: string | null, readonly url: string | null }> }
        | { readonly __typename: 'ThinkingBlock', readonly text: string, readonly redacted: boolean, readonly index: number }
        | { readonly __typename: 'ToolResultBlock', readonly toolUseId: string, readonly output: unknown, readonly isError: boolean, readonly index: number }
        | { readonly __typename: 'ToolUseBlock', readonly toolUseId: string, readonly name: string, readonly input: unknown, readonly partialJson: string | null, readonly index: number }
       }
    | { readonly __typename: 'GenerationCompleted', readonly sequence: number }
    | { readonly __typename: 'GenerationContinued', readonly attempt: number, readonly sequence: number }
    | { readonly __typename: 'GenerationFailed', readonly sequence: number, readonly error: { readonly code: GenerationErrorCode, readonly message: string, readonly retryable: boolean } }
    | { readonly __typename: 'GenerationStarted', readonly sequence: number }
    | { readonly __typename: 'GenerationSteered', readonly sequence: number }
    | { readonly __typename: 'GenerationStopped', readonly sequence: number }
    | { readonly __typename: 'MessageSnapshot', readonly sequence: number, readonly generation: { readonly id: string, readonly status: GenerationStatus, readonly continuations: number }, readonly message: { readonly id: string, readonly content: ReadonlyArray<
          | { readonly __typename: 'CompactionBlock', readonly summary: string | null, readonly index: number }
          | { readonly __typename: 'DocumentBlock', readonly index: number, readonly attachment: { readonly id: string, readonly filename: string, readonly mediaType: string, readonly sizeBytes: number, readonly url: string, readonly convertedUrl: string | null, readonly width: number | null, readonly height: number | null, readonly pages: number | null } }
          | { readonly __typename: 'ImageBlock', readonly index: number, readonly attachment: { readonly id: string, readonly filename: string, readonly mediaType: string, readonly sizeBytes: number, readonly url: string, readonly convertedUrl: string | null, readonly width: number | null, readonly height: number | null, readonly pages: number | null } }
          | { readonly __typename: 'JsonBlock', readonly text: string, readonly value: unknown, readonly problem: string | null, readonly index: number }
          | { readonly __typename: 'TextBlock', readonly text: string, readonly models: ReadonlyArray<string>, readonly index: number, readonly citations: ReadonlyArray<{ readonly citedText: string, readonly place: string | null, readonly source: string, readonly title: string | null, readonly url: string | null }> }
          | { readonly __typename: 'ThinkingBlock', readonly text: string, readonly redacted: boolean, readonly index: number }
          | { readonly __typename: 'ToolResultBlock', readonly toolUseId: string, readonly output: unknown, readonly isError: boolean, readonly index: number }
          | { readonly __typename: 'ToolUseBlock', readonly toolUseId: string, readonly name: string, readonly input: unknown, readonly partialJson: string | null, readonly index: number }
        > } }
    | { readonly __typename: 'TextDelta', readonly index: number, readonly offset: number, readonly text: string, readonly sequence: number }
    | { readonly __typename: 'ThinkingDelta', readonly index: number, readonly offset: number, readonly text: string, readonly sequence: number }
    | { readonly __typename: 'ToolInputDelta', readonly index: number, readonly offset: number, readonly partialJson: string, readonly sequence: number }
    | { readonly __typename: 'ToolResultsRequired', readonly expiresAt: string, readonly sequence: number, readonly toolUses: ReadonlyArray<{ readonly __typename: 'ToolUseBlock', readonly index: number, readonly toolUseId: string, readonly name: string, readonly input: unknown }>, readonly approvals: ReadonlyArray<{ readonly __typename: 'ToolUseBlock', readonly index: number, readonly toolUseId: string, readonly name: string, readonly input: unknown }> }
   };

export type CallFragment = { readonly __typename: 'ToolUseBlock', readonly index: number, readonly toolUseId: string, readonly name: string, readonly input: unknown };

export type ChangesSubscriptionVariables = Exact<{ [key: string]: never; }>;


export type ChangesSubscription = { readonly conversationChanges: { readonly cursor: string, readonly kind: ConversationChangeKind, readonly conversationId: string, readonly conversation: { readonly id: string, readonly title: string | null, readonly updatedAt: string, readonly tags: ReadonlyArray<string>, readonly pinned: boolean, readonly archived: boolean, readonly temporary: boolean, readonly activeGeneration: { readonly id: string } | null } | null } };

export type ConversationsQueryVariables = Exact<{
  filter?: ConversationFilter | null | undefined;
  first: number;
  after?: string | null | undefined;
}>;


export type ConversationsQuery = { readonly conversations: { readonly edges: ReadonlyArray<{ readonly node: { readonly id: string, readonly title: string | null, readonly updatedAt: string, readonly tags: ReadonlyArray<string>, readonly pinned: boolean, readonly archived: boolean, readonly temporary: boolean, readonly activeGeneration: { readonly id: string } | null } }>, readonly pageInfo: { readonly hasNextPage: boolean, readonly endCursor: string | null } } };

export type MessagesQueryVariables = Exact<{
  id: string | number;
  last: number;
  before?: string | null | undefined;
}>;


export type MessagesQuery = { readonly conversation: { readonly id: string, readonly title: string | null, readonly updatedAt: string, readonly tags: ReadonlyArray<string>, readonly pinned: boolean, readonly archived: boolean, readonly temporary: boolean, readonly messages: { readonly edges: ReadonlyArray<{ readonly node: { readonly id: string, readonly role: MessageRole, readonly createdAt: string, readonly content: ReadonlyArray<
            | { readonly __typename: 'CompactionBlock', readonly summary: string | null, readonly index: number }
            | { readonly __typename: 'DocumentBlock', readonly index: number, readonly attachment: { readonly id: string, readonly filename: string, readonly mediaType: string, readonly sizeBytes: number, readonly url: string, readonly convertedUrl: string | null, readonly width: number | null, readonly height: number | null, readonly pages: number | null } }
            | { readonly __typename: 'ImageBlock', readonly index: number, readonly attachment: { readonly id: string, readonly filename: string, readonly mediaType: string, readonly sizeBytes: number, readonly url: string, readonly convertedUrl: string | null, readonly width: number | null, readonly height: number | null, readonly pages: number | null } }
            | { readonly __typename: 'JsonBlock', readonly text: string, readonly value: unknown, readonly problem: string | null, readonly index: number }
            | { readonly __typename: 'TextBlock', readonly text: string, readonly models: ReadonlyArray<string>, readonly index: number, readonly citations: ReadonlyArray<{ readonly citedText: string, readonly place: string | null, readonly source: string, readonly title: string | null, readonly url: string | null }> }
            | { readonly __typename: 'ThinkingBlock', readonly text: string, readonly redacted: boolean, readonly index: number }
            | { readonly __typename: 'ToolResultBlock', readonly toolUseId: string, readonly output: unknown, readonly isError: boolean, readonly index: number }
            | { readonly __typename: 'ToolUseBlock', readonly toolUseId: string, readonly name: string, readonly input: unknown, readonly partialJson: string | null, readonly index: number }
          >, readonly generation: { readonly id: string, readonly status: GenerationStatus, readonly stopReason: StopReason | null, readonly finishedAt: string | null, readonly model: { readonly id: string, readonly displayName: string }, readonly error: { readonly code: GenerationErrorCode, readonly message: string, readonly retryable: boolean, readonly retryAfterSeconds: number | null } | null } | null } }>, readonly pageInfo: { readonly hasPreviousPage: boolean, readonly startCursor: string | null } }, readonly activeGeneration: { readonly id: string } | null } | null };

export type TurnFragment = { readonly id: string, readonly role: MessageRole, readonly createdAt: string, readonly content: ReadonlyArray<
    | { readonly __typename: 'CompactionBlock', readonly summary: string | null, readonly index: number }
    | { readonly __typename: 'DocumentBlock', readonly index: number, readonly attachment: { readonly id: string, readonly filename: string, readonly mediaType: string, readonly sizeBytes: number, readonly url: string, readonly convertedUrl: string | null, readonly width: number | null, readonly height: number | null, readonly pages: number | null } }
    | { readonly __typename: 'ImageBlock', readonly index: number, readonly attachment: { readonly id: string, readonly filename: string, readonly mediaType: string, readonly sizeBytes: number, readonly url: string, readonly convertedUrl: string | null, readonly width: number | null, readonly height: number | null, readonly pages: number | null } }
    | { readonly __typename: 'JsonBlock', readonly text: string, readonly value: unknown, readonly problem: string | null, readonly index: number }
    | { readonly __typename: 'TextBlock', readonly text: string, readonly models: ReadonlyArray<string>, readonly index: number, readonly citations: ReadonlyArray<{ readonly citedText: string, readonly place: string | null, readonly source: string, readonly title: string | null, readonly url: string | null }> }
    | { readonly __typename: 'ThinkingBlock', readonly text: string, readonly redacted: boolean, readonly index: number }
    | { readonly __typename: 'ToolResultBlock', readonly toolUseId: string, readonly output: unknown, readonly isError: boolean, readonly index: number }
    | { readonly __typename: 'ToolUseBlock', readonly toolUseId: string, readonly name: string, readonly input: unknown, readonly partialJson: string | null, readonly index: number }
  >, readonly generation: { readonly id: string, readonly status: GenerationStatus, readonly stopReason: StopReason | null, readonly finishedAt: string | null, readonly model: { readonly id: string, readonly displayName: string }, readonly error: { readonly code: GenerationErrorCode, readonly message: string, readonly retryable: boolean, readonly retryAfterSeconds: number | null } | null } | null };

export type SendMutationVariables = Exact<{
  input: SendMessageInput;
}>;


export type SendMutation = { readonly sendMessage:
    | { readonly __typename: 'BudgetExceeded', readonly message: string, readonly resetsAt: string }
    | { readonly __typename: 'ConversationBusy', readonly message: string }
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
    | { readonly __typename: 'ConversationBusy', readonly message: string }
    | { readonly __typename: 'InvalidInput', readonly message: string }
    | { readonly __typename: 'NotFound', readonly message: string }
    | { readonly __typename: 'RateLimited', readonly message: string, readonly retryAfterSeconds: number }
    | { readonly __typename: 'SendMessagePayload', readonly conversation: { readonly id: string }, readonly userMessage: { readonly id: string }, readonly generation: { readonly id: string } }
    | { readonly __typename: 'SendRefused', readonly message: string }
   };

export type StopMutationVariables = Exact<{
  id: string | number;
}>;


export type StopMutation = { readonly stopGeneration:
    | { readonly __typename: 'GenerationPayload', readonly generation: { readonly id: string, readonly status: GenerationStatus } }
    | { readonly __typename: 'NotFound', readonly message: string }
   };

export type SubmitMutationVariables = Exact<{
  input: SubmitToolResultsInput;
}>;


export type SubmitMutation = { readonly submitToolResults:
    | { readonly __typename: 'GenerationPayload', readonly generation: { readonly id: string, readonly status: GenerationStatus } }
    | { readonly __typename: 'InvalidInput', readonly message: string }
    | { readonly __typename: 'NotFound', readonly message: string }
   };
