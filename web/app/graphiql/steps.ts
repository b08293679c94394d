// The steps of GraphiQL's tour. The operation of a step is in the tab that has its name. `needs` names the id that an
// earlier step must have returned; known ids are filled into the variables.

import type { Ids } from "./tourState";

type Variables = Record<string, unknown>;

export interface Step {
  title: string;
  text: string;
  note?: string;
  /** The name of the operation. */
  tab: string;
  query: string;
  needs?: keyof Ids;
  variables: (ids: Ids) => Variables;
  /** What the panel says when the operation has succeeded. */
  done: string;
}

const SEND = `# Stores the message, starts Claude's answer, and returns at once. Ctrl+Enter runs the operation.
# Without conversationId this creates a conversation. With it, Claude receives the messages of the active branch.

mutation Send($text: String!, $conversationId: ID) {
  sendMessage(input: { text: $text, conversationId: $conversationId }) {
    ... on SendMessagePayload {
      conversation { id model { displayName simulated } }
      userMessage { id }
      generation { id status message { id } }
    }
    ... on ConversationBusy { generation { id } }
    ... on Error { message }
  }
}
`;

const FOLLOW = `# Streams one answer. You can subscribe before it begins, while it is written, or after it has ended.
# A snapshot replaces the text. A delta sets its block to the text before offset, plus its own text.

subscription Follow($generationId: ID!) {
  generationEvents(generationId: $generationId) {
    __typename
    sequence
    ... on MessageSnapshot { message { content { index ... on TextBlock { text } } } }
    ... on TextDelta { index offset text }
    ... on ThinkingDelta { index offset text }
    ... on GenerationCompleted { generation { stopReason usage { inputTokens outputTokens } } }
    ... on GenerationStopped { generation { status } }
    ... on GenerationFailed { error { code message retryable } }
  }
}
`;

const STOP = `# Stops an answer on whichever server it runs, and keeps the text so far. Stopping twice is not an error.

mutation Stop($generationId: ID!) {
  stopGeneration(id: $generationId) {
    ... on GenerationPayload {
      generation { id status message { text } }
    }
    ... on Error { message }
  }
}
`;

const EDIT = `# Creates another version of your message, on a new branch. The old version stays.

mutation Edit($messageId: ID!, $text: String!) {
  editMessage(input: { messageId: $messageId, text: $text }) {
    ... on SendMessagePayload {
      conversation { id }
      userMessage { id siblings { id text } }
      generation { id status message { id } }
    }
    ... on ConversationBusy { generation { id } }
    ... on Error { message }
  }
}
`;

const REGENERATE = `# Creates another answer to the same message. options can select another model.

mutation Regenerate($answerId: ID!, $options: GenerationOptionsInput) {
  regenerateMessage(input: { messageId: $answerId, options: $options }) {
    ... on SendMessagePayload {
      conversation { id }
      userMessage { id }
      generation { id status message { id siblings { id } } }
    }
    ... on ConversationBusy { generation { id } }
    ... on Error { message }
  }
}
`;

const READ = `# Reads the active branch of a conversation, and the versions of each message.
# Another user's conversation is null, as if it did not exist.

query Read($conversationId: ID!) {
  conversation(id: $conversationId) {
    title
    activeGeneration { id }
    messages(last: 20) {
      edges { node { role text siblings { id } } }
      pageInfo { hasPreviousPage startCursor }
    }
  }
}
`;

const SEARCH = `# Lists your conversations page by page, the most recently active first, and searches all your messages.
# A message matches when it contains all words, in any order. "a phrase" and begin* work too.

query Search($words: String!) {
  conversations(first: 5) {
    edges { node { id title updatedAt pinned } }
    pageInfo { hasNextPage endCursor }
  }
  searchMessages(query: $words, first: 5) {
    edges { excerpt highlights { start end } node { role } }
  }
}
`;

const TOOLS = `# Lists the tools that Claude may call, the MCP servers they come from, and how often they were called.

query Tools {
  tools { name description asksFirst source server }
  toolServers { name connected problem }
  viewer { toolUsage { name calls failed } }
}
`;

const USAGE = `# Returns used tokens, their cost in US dollars, what remains of budget and limits, and the use of the context window.

query Usage($conversationId: ID!) {
  viewer {
    name
    usage { inputTokens outputTokens cacheReadTokens cacheWriteTokens costUsd }
    usageByDay { day model usage { costUsd } }
    budget { limitUsd spentUsd reservedUsd resetsAt }
    limits { name maximum remaining resetsInSeconds }
  }
  conversation(id: $conversationId) {
    usage { inputTokens outputTokens costUsd }
    context { usedTokens limit compacts }
  }
}
`;

const of =
  (...names: (keyof Ids)[]) =>
  (ids: Ids): Variables =>
    Object.fromEntries(names.map((name) => [name, ids[name] ?? null]));

export const STEPS: readonly Step[] = [
  {
    title: "Send a message",
    text:
      "This mutation stores your message, starts Claude's answer, and returns at once. The next steps need the ids " +
      "that it returns. They are filled in for you.",
    note:
      'Does this server require a sign-in? Write {"Authorization": "Bearer …"} under Headers, below the ' +
      "operation. It also applies to subscriptions and to the next tabs.",
    tab: "Send",
    query: SEND,
    variables: () => ({ text: "Hello, my name is Ada", conversationId: null }),
    done: "Claude has begun to answer. Next, follow the answer.",
  },
  {
    title: "Follow the stream",
    text:
      "This subscription streams the answer while it is written, from any point, to any number of clients. " +
      "A client that disconnects and returns misses nothing.",
    tab: "Follow",
    query: FOLLOW,
    needs: "generationId",
    variables: of("generationId"),
    done: "That was the last event. The answer is stored.",
  },
  {
    title: "Continue the conversation",
    text:
      "With conversationId you continue a conversation. This answer is long: run the mutation, then go to the next " +
      "step at once.",
    tab: "Send",
    query: SEND,
    needs: "conversationId",
    variables: (ids) => ({
      text: ids.simulated === false ? "Tell me a story of a thousand words." : "/simulate long 300",
      ...of("conversationId")(ids),
    }),
    done: "The answer is being written, although no client follows it. Next, stop it.",
  },
  {
    title: "Stop the answer",
    text:
      "You can stop an answer from any device, and the text so far is kept. Closing a tab does not stop an answer, " +
      "because the answer belongs to its conversation.",
    tab: "Stop",
    query: STOP,
    needs: "generationId",
    variables: of("generationId"),
    done: "The status is STOPPED, or COMPLETED if the answer had already ended.",
  },
  {
    title: "Edit a message",
    text:
      "Messages never change. An edit creates another version with its own answer, on a new branch. The new branch " +
      "becomes the active one.",
    tab: "Edit",
    query: EDIT,
    needs: "messageId",
    variables: (ids) => ({ ...of("messageId")(ids), text: "What is my name?" }),
    done: "The message now has two siblings: the old version and the new one.",
  },
  {
    title: "Regenerate an answer",
    text:
      "This creates another answer to the same message, from another model if you choose one. " +
      "selectBranch returns to any version.",
    tab: "Regenerate",
    query: REGENERATE,
    needs: "answerId",
    variables: (ids) => ({ ...of("answerId")(ids), options: null }),
    done: "The new answer is being written. The old one is kept.",
  },
  {
    title: "Read it later",
    text:
      "Everything is stored, and the active branch can be read page by page. After a refresh, a page follows " +
      "activeGeneration.",
    tab: "Read",
    query: READ,
    needs: "conversationId",
    variables: of("conversationId"),
    done: "These are the messages of the active branch, with their versions.",
  },
  {
    title: "List and search",
    text:
      "Lists have pages with stable cursors. The search finds words in all your messages, and returns the positions " +
      "of the matches.",
    tab: "Search",
    query: SEARCH,
    variables: () => ({ words: "name" }),
    done: "The positions of highlights count UTF-16 code units, as JavaScript strings do.",
  },
  {
    title: "Tools",
    text:
      "Claude can call Python functions, MCP servers, its own tools, and tools of your client. Calls and results are " +
      "blocks of the answer. If a call needs the client, ToolResultsRequired is sent, and submitToolResults continues " +
      "the answer.",
    tab: "Tools",
    query: TOOLS,
    variables: () => ({}),
    done: "The settings TERTULIA_TOOLS and TERTULIA_MCP_CONFIG define the tools of a server.",
  },
  {
    title: "Usage and cost",
    text:
      "The tokens that Claude's API has billed, their cost to a fraction of a cent, and what remains of the " +
      "budget and the limits.",
    tab: "Usage",
    query: USAGE,
    needs: "conversationId",
    variables: of("conversationId"),
    done: "This was the last step. The documentation on the left describes all types, fields and arguments.",
  },
];

/** The tabs that GraphiQL opens the first time: each operation once. */
export const TABS = STEPS.filter((step, index) => STEPS.findIndex((other) => other.tab === step.tab) === index).map(
  (step) => ({ query: step.query, variables: JSON.stringify(step.variables({}), null, 2) }),
);

/** Returns the name of a document's first operation. */
export function operationOf(document: string | null | undefined): string | undefined {
  return /^\s*(?:query|mutation|subscription)\s+(\w+)/m.exec(document ?? "")?.[1];
}
