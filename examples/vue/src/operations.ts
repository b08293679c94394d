/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type { TypedDocumentNode as DocumentNode } from '@urql/vue';
import { gql } from '@urql/vue';
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

export type MessageFragment = { readonly id: string, readonly role: MessageRole, readonly content: ReadonlyArray<
    | Block_CompactionBlock_Fragment
    | Block_DocumentBlock_Fragment
    | Block_ImageBlock_Fragment
    | Block_JsonBlock_Fragment
    | Block_TextBlock_Fragment
    | Block_ThinkingBlock_Fragment
    | Block_ToolResultBlock_Fragment
    | Block_ToolUseBlock_Fragment
  >, readonly generation: { readonly id: string, readonly status: GenerationStatus, readonly error: { readonly message: string } | null } | null };

export type ConversationQueryVariables = Exact<{
  id: string;
}>;


export type ConversationQuery = { readonly conversation: { readonly id: string, readonly activeGeneration: { readonly id: string } | null, readonly messages: { readonly edges: ReadonlyArray<{ readonly node: MessageFragment }> } } | null };

export type SendMutationVariables = Exact<{
  text: string;
  conversationId?: string | null | undefined;
  idempotencyKey: string;
}>;


export type SendMutation = { readonly sendMessage:
    | { readonly __typename: 'BudgetExceeded', readonly message: string }
    | { readonly __typename: 'ConversationBusy', readonly message: string, readonly generation: { readonly id: string, readonly conversation: { readonly id: string } } }
    | { readonly __typename: 'InvalidInput', readonly message: string }
    | { readonly __typename: 'NotFound', readonly message: string }
    | { readonly __typename: 'RateLimited', readonly message: string }
    | { readonly __typename: 'SendMessagePayload', readonly conversation: { readonly id: string } }
    | { readonly __typename: 'SendRefused', readonly message: string }
   };

export type StopMutationVariables = Exact<{
  generationId: string;
}>;


export type StopMutation = { readonly stopGeneration:
    | { readonly __typename: 'GenerationPayload', readonly generation: { readonly id: string, readonly status: GenerationStatus } }
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
    | { readonly __typename: 'GenerationCompleted', readonly sequence: number }
    | { readonly __typename: 'GenerationContinued', readonly sequence: number }
    | { readonly __typename: 'GenerationFailed', readonly sequence: number, readonly error: { readonly message: string } }
    | { readonly __typename: 'GenerationStarted', readonly sequence: number }
    | { readonly __typename: 'GenerationSteered', readonly sequence: number }
    | { readonly __typename: 'GenerationStopped', readonly sequence: number }
    | { readonly __typename: 'MessageSnapshot', readonly sequence: number, readonly message: { readonly content: ReadonlyArray<
          | Block_CompactionBlock_Fragment
          | Block_DocumentBlock_Fragment
          | Block_ImageBlock_Fragment
          | Block_JsonBlock_Fragment
          | Block_TextBlock_Fragment
          | Block_ThinkingBlock_Fragment
          | Block_ToolResultBlock_Fragment
          | Block_ToolUseBlock_Fragment
        > }, readonly generation: { readonly status: GenerationStatus } }
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
export const MessageFragmentDoc = gql`
    fragment Message on Message {
  id
  role
  content {
    ...Block
  }
  generation {
    id
    status
    error {
      message
    }
  }
}
    ` as unknown as DocumentNode<MessageFragment, unknown>;
export const ConversationDocument = gql`
    query Conversation($id: ID!) {
  conversation(id: $id) {
    id
    activeGeneration {
      id
    }
    messages(last: 100) {
      edges {
        node {
          ...Message
        }
      }
    }
  }
}
    ${MessageFragmentDoc}
${BlockFragmentDoc}` as unknown as DocumentNode<ConversationQuery, ConversationQueryVariables>;
export const SendDocument = gql`
    mutation Send($text: String!, $conversationId: ID, $idempotencyKey: ID!) {
  sendMessage(
    input: {text: $text, conversationId: $conversationId, idempotencyKey: $idempotencyKey}
  ) {
    __typename
    ... on SendMessagePayload {
      conversation {
        id
      }
    }
    ... on ConversationBusy {
      generation {
        id
        conversation {
          id
        }
      }
    }
    ... on Error {
      message
    }
  }
}
    ` as unknown as DocumentNode<SendMutation, SendMutationVariables>;
export const StopDocument = gql`
    mutation Stop($generationId: ID!) {
  stopGeneration(id: $generationId) {
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
export const FollowDocument = gql`
    subscription Follow($generationId: ID!) {
  generationEvents(generationId: $generationId) {
    __typename
    sequence
    ... on MessageSnapshot {
      message {
        content {
          ...Block
        }
      }
      generation {
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
    ... on GenerationFailed {
      error {
        message
      }
    }
  }
}
    ${BlockFragmentDoc}` as unknown as DocumentNode<FollowSubscription, FollowSubscriptionVariables>;