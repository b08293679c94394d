/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type { TypedDocumentNode as DocumentNode } from '@apollo/client';
import { gql } from '@apollo/client';
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

type Block_CompactionBlock_Fragment = { readonly __typename: 'CompactionBlock', readonly index: number };

type Block_DocumentBlock_Fragment = { readonly __typename: 'DocumentBlock', readonly index: number };

type Block_ImageBlock_Fragment = { readonly __typename: 'ImageBlock', readonly index: number };

type Block_JsonBlock_Fragment = { readonly __typename: 'JsonBlock', readonly text: string, readonly index: number };

type Block_TextBlock_Fragment = { readonly __typename: 'TextBlock', readonly text: string, readonly index: number };

type Block_ThinkingBlock_Fragment = { readonly __typename: 'ThinkingBlock', readonly text: string, readonly index: number };

type Block_ToolResultBlock_Fragment = { readonly __typename: 'ToolResultBlock', readonly index: number };

type Block_ToolUseBlock_Fragment = { readonly __typename: 'ToolUseBlock', readonly name: string, readonly index: number };

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

export type ContentFragment = { readonly id: string, readonly content: ReadonlyArray<
    | Block_CompactionBlock_Fragment
    | Block_DocumentBlock_Fragment
    | Block_ImageBlock_Fragment
    | Block_JsonBlock_Fragment
    | Block_TextBlock_Fragment
    | Block_ThinkingBlock_Fragment
    | Block_ToolResultBlock_Fragment
    | Block_ToolUseBlock_Fragment
  > };

export type MessagesFragment = { readonly edges: ReadonlyArray<{ readonly cursor: string, readonly node: (
      { readonly role: MessageRole, readonly generation: { readonly id: string, readonly status: GenerationStatus, readonly error: { readonly message: string } | null } | null }
      & ContentFragment
    ) }>, readonly pageInfo: { readonly hasPreviousPage: boolean, readonly startCursor: string | null } };

export type ConversationFragment = { readonly id: string, readonly activeGeneration: { readonly id: string } | null, readonly messages: MessagesFragment };

export type EndedFragment = { readonly id: string, readonly status: GenerationStatus, readonly error: { readonly message: string } | null, readonly message: ContentFragment, readonly conversation: { readonly id: string, readonly activeGeneration: { readonly id: string } | null } };

export type ConversationQueryVariables = Exact<{
  id: string;
}>;


export type ConversationQuery = { readonly conversation: ConversationFragment | null };

export type EarlierQueryVariables = Exact<{
  id: string;
  before?: string | null | undefined;
}>;


export type EarlierQuery = { readonly conversation: { readonly id: string, readonly messages: MessagesFragment } | null };

export type SendMutationVariables = Exact<{
  text: string;
  conversationId?: string | null | undefined;
  idempotencyKey: string;
}>;


export type SendMutation = { readonly sendMessage:
    | { readonly __typename: 'BudgetExceeded', readonly message: string }
    | { readonly __typename: 'ConversationBusy', readonly message: string, readonly generation: { readonly id: string, readonly conversation: ConversationFragment } }
    | { readonly __typename: 'InvalidInput', readonly message: string }
    | { readonly __typename: 'NotFound', readonly message: string }
    | { readonly __typename: 'RateLimited', readonly message: string }
    | { readonly __typename: 'SendMessagePayload', readonly conversation: ConversationFragment }
    | { readonly __typename: 'SendRefused', readonly message: string }
   };

export type StopMutationVariables = Exact<{
  generationId: string;
}>;


export type StopMutation = { readonly stopGeneration:
    | { readonly __typename: 'GenerationPayload', readonly generation: EndedFragment }
    | { readonly __typename: 'NotFound', readonly message: string }
   };

export type FollowSubscriptionVariables = Exact<{
  generationId: string;
}>;


export type FollowSubscription = { readonly generationEvents:
    | { readonly __typename: 'ContentBlockFinished', readonly index: number, readonly sequence: number, readonly block:
        | Block_CompactionBlock_Fragment
        | Block_DocumentBlock_Fragment
        | Block_ImageBlock_Fragment
        | Block_JsonBlock_Fragment
        | Block_TextBlock_Fragment
        | Block_ThinkingBlock_Fragment
        | Block_ToolResultBlock_Fragment
        | Block_ToolUseBlock_Fragment
       }
    | { readonly __typename: 'ContentBlockStarted', readonly index: number, readonly sequence: number, readonly block:
        | Block_CompactionBlock_Fragment
        | Block_DocumentBlock_Fragment
        | Block_ImageBlock_Fragment
        | Block_JsonBlock_Fragment
        | Block_TextBlock_Fragment
        | Block_ThinkingBlock_Fragment
        | Block_ToolResultBlock_Fragment
        | Block_ToolUseBlock_Fragment
       }
    | { readonly __typename: 'GenerationCompleted', readonly sequence: number, readonly generation: EndedFragment }
    | { readonly __typename: 'GenerationContinued', readonly sequence: number }
    | { readonly __typename: 'GenerationFailed', readonly sequence: number, readonly generation: EndedFragment, readonly error: { readonly message: string } }
    | { readonly __typename: 'GenerationStarted', readonly sequence: number }
    | { readonly __typename: 'GenerationSteered', readonly sequence: number }
    | { readonly __typename: 'GenerationStopped', readonly sequence: number, readonly generation: EndedFragment }
    | { readonly __typename: 'MessageSnapshot', readonly sequence: number, readonly message: ContentFragment, readonly generation: { readonly id: string, readonly status: GenerationStatus } }
    | { readonly __typename: 'TextDelta', readonly index: number, readonly offset: number, readonly text: string, readonly sequence: number }
    | { readonly __typename: 'ThinkingDelta', readonly index: number, readonly offset: number, readonly text: string, readonly sequence: number }
    | { readonly __typename: 'ToolInputDelta', readonly sequence: number }
    | { readonly __typename: 'ToolResultsRequired', readonly sequence: number }
   };

export const BlockFragmentDoc = gql`
    fragment Block on ContentBlock {
  __typename
  index
  ... on TextBlock {
    text
  }
  ... on JsonBlock {
    text
  }
  ... on ThinkingBlock {
    text
  }
  ... on ToolUseBlock {
    name
  }
}
    ` as unknown as DocumentNode<BlockFragment, unknown>;
export const ContentFragmentDoc = gql`
    fragment Content on Message {
  id
  content {
    ...Block
  }
}
    ` as unknown as DocumentNode<ContentFragment, unknown>;
export const MessagesFragmentDoc = gql`
    fragment Messages on MessageConnection {
  edges {
    cursor
    node {
      ...Content
      role
      generation {
        id
        status
        error {
          message
        }
      }
    }
  }
  pageInfo {
    hasPreviousPage
    startCursor
  }
}
    ` as unknown as DocumentNode<MessagesFragment, unknown>;
export const ConversationFragmentDoc = gql`
    fragment Conversation on Conversation {
  id
  activeGeneration {
    id
  }
  messages(last: 50) {
    ...Messages
  }
}
    ` as unknown as DocumentNode<ConversationFragment, unknown>;
export const EndedFragmentDoc = gql`
    fragment Ended on Generation {
  id
  status
  error {
    message
  }
  message {
    ...Content
  }
  conversation {
    id
    activeGeneration {
      id
    }
  }
}
    ` as unknown as DocumentNode<EndedFragment, unknown>;
export const ConversationDocument = gql`
    query Conversation($id: ID!) {
  conversation(id: $id) {
    ...Conversation
  }
}
    ${ConversationFragmentDoc}
${MessagesFragmentDoc}
${ContentFragmentDoc}
${BlockFragmentDoc}` as unknown as DocumentNode<ConversationQuery, ConversationQueryVariables>;
export const EarlierDocument = gql`
    query Earlier($id: ID!, $before: String) {
  conversation(id: $id) {
    id
    messages(last: 50, before: $before) {
      ...Messages
    }
  }
}
    ${MessagesFragmentDoc}
${ContentFragmentDoc}
${BlockFragmentDoc}` as unknown as DocumentNode<EarlierQuery, EarlierQueryVariables>;
export const SendDocument = gql`
    mutation Send($text: String!, $conversationId: ID, $idempotencyKey: ID!) {
  sendMessage(
    input: {text: $text, conversationId: $conversationId, idempotencyKey: $idempotencyKey}
  ) {
    __typename
    ... on SendMessagePayload {
      conversation {
        ...Conversation
      }
    }
    ... on ConversationBusy {
      generation {
        id
        conversation {
          ...Conversation
        }
      }
    }
    ... on Error {
      message
    }
  }
}
    ${ConversationFragmentDoc}
${MessagesFragmentDoc}
${ContentFragmentDoc}
${BlockFragmentDoc}` as unknown as DocumentNode<SendMutation, SendMutationVariables>;
export const StopDocument = gql`
    mutation Stop($generationId: ID!) {
  stopGeneration(id: $generationId) {
    __typename
    ... on GenerationPayload {
      generation {
        ...Ended
      }
    }
    ... on Error {
      message
    }
  }
}
    ${EndedFragmentDoc}
${ContentFragmentDoc}
${BlockFragmentDoc}` as unknown as DocumentNode<StopMutation, StopMutationVariables>;
export const FollowDocument = gql`
    subscription Follow($generationId: ID!) {
  generationEvents(generationId: $generationId) {
    __typename
    sequence
    ... on MessageSnapshot {
      message {
        ...Content
      }
      generation {
        id
        status
      }
    }
    ... on ContentBlockStarted {
      index
      block {
        ...Block
      }
    }
    ... on TextDelta {
      index
      offset
      text
    }
    ... on ThinkingDelta {
      index
      offset
      text
    }
    ... on ContentBlockFinished {
      index
      block {
        ...Block
      }
    }
    ... on GenerationCompleted {
      generation {
        ...Ended
      }
    }
    ... on GenerationStopped {
      generation {
        ...Ended
      }
    }
    ... on GenerationFailed {
      generation {
        ...Ended
      }
      error {
        message
      }
    }
  }
}
    ${ContentFragmentDoc}
${BlockFragmentDoc}
${EndedFragmentDoc}` as unknown as DocumentNode<FollowSubscription, FollowSubscriptionVariables>;