import type { Block, Failure, StreamEvent, Status } from "@tertulia/stream";

export interface Message {
  role: "USER" | "ASSISTANT";
  content: Block[];
  generation: { id: string; status: Status; error: Failure | null } | null;
}

const BLOCK = /* GraphQL */ `
  fragment Block on ContentBlock {
    __typename
    index
    ... on TextBlock { text }
    ... on JsonBlock { text }
    ... on ThinkingBlock { text }
    ... on ToolUseBlock { name }
  }
`;
const MESSAGE = /* GraphQL */ `
  fragment Message on Message { role content { ...Block } generation { id status error { message } } }
  ${BLOCK}
`;

export const READ = /* GraphQL */ `
  query Read($id: ID!) {
    conversation(id: $id) { messages(last: 100) { edges { node { ...Message } } } }
  }
  ${MESSAGE}
`;
export interface Read {
  conversation: { messages: { edges: { node: Message }[] } } | null;
}

export const SEND = /* GraphQL */ `
  mutation Send($input: SendMessageInput!) {
    sendMessage(input: $input) {
      __typename
      ... on SendMessagePayload { conversation { id } userMessage { ...Message } generation { message { ...Message } } }
      ... on Error { message }
    }
  }
  ${MESSAGE}
`;
export interface Send {
  sendMessage:
    | {
        __typename: "SendMessagePayload";
        conversation: { id: string };
        userMessage: Message;
        generation: { message: Message };
      }
    | { __typename: "ConversationBusy" | "InvalidInput" | "NotFound" | "RateLimited" | "BudgetExceeded" | "SendRefused"; message: string };
}

export const STOP = /* GraphQL */ `
  mutation Stop($id: ID!) { stopGeneration(id: $id) { __typename } }
`;

export const FOLLOW = /* GraphQL */ `
  subscription Follow($id: ID!, $after: Int) {
    generationEvents(generationId: $id, after: $after) {
      __typename
      sequence
      ... on MessageSnapshot { message { content { ...Block } } generation { status } }
      ... on ContentBlockStarted { index block { ...Block } }
      ... on TextDelta { index offset text }
      ... on ThinkingDelta { index offset text }
      ... on ContentBlockFinished { index block { ...Block } }
      ... on GenerationFailed { error { message } }
    }
  }
  ${BLOCK}
`;
export interface Follow {
  generationEvents: StreamEvent;
}
