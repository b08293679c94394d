import type {
  ChangesSubscription, ChangesSubscriptionVariables, ConversationsQuery, ConversationsQueryVariables, EventsSubscription, EventsSubscriptionVariables,
  MessagesQuery, MessagesQueryVariables, RegenerateMutation, RegenerateMutationVariables, SendMutation, SendMutationVariables,
  StopMutation, StopMutationVariables, SubmitMutation, SubmitMutationVariables,
} from "./operations.ts";

/** The text of a GraphQL operation, with the types of its result and its variables. */
export type TypedText<Data, Variables> = string & { readonly types?: (variables: Variables) => Data };

const FILE = /* GraphQL */ `
fragment File on Attachment { id filename mediaType sizeBytes url convertedUrl width height pages }
`;

const BLOCK = /* GraphQL */ `
fragment Block on ContentBlock {
  __typename
  index
  ... on TextBlock { text models citations { citedText place source title url } }
  ... on ThinkingBlock { text redacted }
  ... on ToolUseBlock { toolUseId name input partialJson }
  ... on ToolResultBlock { toolUseId output isError }
  ... on JsonBlock { text value problem }
  ... on CompactionBlock { summary }
  ... on ImageBlock { attachment { ...File } }
  ... on DocumentBlock { attachment { ...File } }
}
`;

const ENTRY = /* GraphQL */ `
fragment Entry on Conversation { id title updatedAt tags pinned archived temporary activeGeneration { id } }
`;

const SENT = /* GraphQL */ `
fragment Sent on SendMessageResult {
  __typename
  ... on SendMessagePayload { conversation { id } userMessage { id } generation { id } }
  ... on RateLimited { message retryAfterSeconds }
  ... on BudgetExceeded { message resetsAt }
  ... on Error { message }
}
`;

export const EVENTS = (/* GraphQL */ `
subscription Events($generationId: ID!) {
  generationEvents(generationId: $generationId) {
    __typename
    sequence
    ... on MessageSnapshot { generation { id status continuations } message { id content { ...Block } } }
    ... on ContentBlockStarted { index block { ...Block } }
    ... on ContentBlockFinished { index block { ...Block } }
    ... on TextDelta { index offset text }
    ... on ThinkingDelta { index offset text }
    ... on ToolInputDelta { index offset partialJson }
    ... on ToolResultsRequired { expiresAt toolUses { ...Call } approvals { ...Call } }
    ... on GenerationContinued { attempt }
    ... on GenerationFailed { error { code message retryable } }
  }
}
fragment Call on ToolUseBlock { __typename index toolUseId name input }
${BLOCK}${FILE}`) as TypedText<EventsSubscription, EventsSubscriptionVariables>;

export const CHANGES = (/* GraphQL */ `
subscription Changes {
  conversationChanges { cursor kind conversationId conversation { ...Entry } }
}
${ENTRY}`) as TypedText<ChangesSubscription, ChangesSubscriptionVariables>;

export const CONVERSATIONS = (/* GraphQL */ `
query Conversations($filter: ConversationFilter, $first: Int!, $after: String) {
  conversations(filter: $filter, first: $first, after: $after) {
    edges { node { ...Entry } }
    pageInfo { hasNextPage endCursor }
  }
}
${ENTRY}`) as TypedText<ConversationsQuery, ConversationsQueryVariables>;

export const MESSAGES = (/* GraphQL */ `
query Messages($id: ID!, $last: Int!, $before: String) {
  conversation(id: $id) {
    ...Entry
    messages(last: $last, before: $before) { edges { node { ...Turn } } pageInfo { hasPreviousPage startCursor } }
  }
}
fragment Turn on Message {
  id
  role
  createdAt
  content { ...Block }
  generation { id status stopReason model { id displayName } error { code message retryable retryAfterSeconds } finishedAt }
}
${ENTRY}${BLOCK}${FILE}`) as TypedText<MessagesQuery, MessagesQueryVariables>;

export const SEND = (/* GraphQL */ `
mutation Send($input: SendMessageInput!) { sendMessage(input: $input) { ...Sent } }
${SENT}`) as TypedText<SendMutation, SendMutationVariables>;

export const REGENERATE = (/* GraphQL */ `
mutation Regenerate($input: RegenerateMessageInput!) { regenerateMessage(input: $input) { ...Sent } }
${SENT}`) as TypedText<RegenerateMutation, RegenerateMutationVariables>;

export const STOP = (/* GraphQL */ `
mutation Stop($id: ID!) {
  stopGeneration(id: $id) {
    __typename
    ... on GenerationPayload { generation { id status } }
    ... on Error { message }
  }
}
`) as TypedText<StopMutation, StopMutationVariables>;

export const SUBMIT = (/* GraphQL */ `
mutation Submit($input: SubmitToolResultsInput!) {
  submitToolResults(input: $input) {
    __typename
    ... on GenerationPayload { generation { id status } }
    ... on Error { message }
  }
}
`) as TypedText<SubmitMutation, SubmitMutationVariables>;
