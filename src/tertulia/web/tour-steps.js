// The steps of GraphiQL's tour. A step has an operation, which stands in a tab of that name, and says what it needs of
// the steps before: ids are filled in, so that nobody copies them.

const SEND = `# Stores the message, starts Claude's answer and returns at once. Ctrl+Enter runs it.
# Without conversationId a new conversation is made; with it, Claude has all of its branch before it.

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

const FOLLOW = `# The token stream of one answer: before it begins, midway, or after its end.
# A snapshot replaces; a delta sets its block to what stands before offset, plus text.

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

const STOP = `# Stops an answer wherever it runs; what was written so far is kept. Stopping twice is no error.

mutation Stop($generationId: ID!) {
  stopGeneration(id: $generationId) {
    ... on GenerationPayload {
      generation { id status message { text } }
    }
    ... on Error { message }
  }
}
`;

const EDIT = `# Another version of a message of yours, on a branch of its own; the old one stays.

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

const REGENERATE = `# Another answer beside an existing one. options may ask another model.

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

const READ = `# One conversation: its active branch, and how many versions each message has.
# What is not yours does not exist for you: null.

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

const SEARCH = `# Your conversations, the last active first, a page at a time; and full-text search over all messages:
# all words in any order, "a phrase", begin*

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

const TOOLS = `# What Claude may call here, which MCP servers it comes from, and how often it was called.

query Tools {
  tools { name description asksFirst source server }
  toolServers { name connected problem }
  viewer { toolUsage { name calls failed } }
}
`;

const USAGE = `# What was used and what it cost, in tokens and US dollars; what is left; how full the model's window is.

query Usage($conversationId: ID!) {
  viewer {
    name
    usage { inputTokens outputTokens cacheReadTokens cacheWriteTokens costUsd }
    usageByDay { day model usage { costUsd } }
    budget { limitUsd spentUsd reservedUsd resetsAt }
    limits { name limit remaining resetsInSeconds }
  }
  conversation(id: $conversationId) {
    usage { inputTokens outputTokens costUsd }
    context { usedTokens limit compacts }
  }
}
`;

const of = (...names) => (known) => Object.fromEntries(names.map((name) => [name, known[name] ?? null]));

export const STEPS = [
  {
    title: "Send a message",
    text:
      "A mutation stores your message, starts Claude's answer and returns at once. It gives the ids that " +
      "the next steps need; they are filled in for you.",
    note:
      'Does this server ask you to sign in? Write {"Authorization": "Bearer …"} under Headers, below the ' +
      'operation. Sockets and the next tabs get it too.',
    tab: "Send",
    query: SEND,
    variables: () => ({ text: "Hello, my name is Ada", conversationId: null }),
    done: "Claude has begun to answer. Next: follow it.",
  },
  {
    title: "Follow the stream",
    text:
      "A subscription brings the answer as it is written, from any point on and to any number of readers. " +
      "Who leaves and comes back misses nothing.",
    tab: "Follow",
    query: FOLLOW,
    needs: "generationId",
    variables: of("generationId"),
    done: "That was the last event; what it wrote is stored.",
  },
  {
    title: "Go on",
    text:
      "With conversationId the conversation goes on. This answer is a long one: run it, and take the next " +
      "step at once.",
    tab: "Send",
    query: SEND,
    needs: "conversationId",
    variables: (known) => ({
      text: known.simulated === false ? "Tell me a story of a thousand words." : "/simulate long 300",
      ...of("conversationId")(known),
    }),
    done: "It is being written now, though nobody listens. Next: stop it.",
  },
  {
    title: "Stop",
    text:
      "Stopping works from anywhere, and keeps what was written. An answer belongs to its conversation: " +
      "closing a tab stops nothing.",
    tab: "Stop",
    query: STOP,
    needs: "generationId",
    variables: of("generationId"),
    done: "STOPPED, with the text so far; COMPLETED where it was faster than you.",
  },
  {
    title: "Branch: ask otherwise",
    text:
      "Messages never change. Editing yours makes another version beside it, with an answer of its own; " +
      "this branch is the active one then.",
    tab: "Edit",
    query: EDIT,
    needs: "messageId",
    variables: (known) => ({ ...of("messageId")(known), text: "What is my name?" }),
    done: "Two siblings now: the old message and the new one.",
  },
  {
    title: "Branch: answer again",
    text:
      "Regenerating asks for another answer beside an existing one, of another model if you like. " +
      "selectBranch goes back to any version.",
    tab: "Regenerate",
    query: REGENERATE,
    needs: "answerId",
    variables: (known) => ({ ...of("answerId")(known), options: null }),
    done: "The new answer is on its way, beside the old one.",
  },
  {
    title: "Read it later",
    text:
      "Everything is stored: read the active branch a page at a time. A refreshed page follows " +
      "activeGeneration.",
    tab: "Read",
    query: READ,
    needs: "conversationId",
    variables: of("conversationId"),
    done: "The branch as it is shown, with its versions.",
  },
  {
    title: "List and search",
    text:
      "Lists are pages with cursors that never shift. Search finds words in all of your messages, and says " +
      "where they stand.",
    tab: "Search",
    query: SEARCH,
    variables: () => ({ words: "name" }),
    done: "Highlights count UTF-16 code units, as JavaScript's strings do.",
  },
  {
    title: "Tools",
    text:
      "Claude calls Python functions, MCP servers, tools of its own, and yours: calls and results are " +
      "blocks of the answer. One that needs you ends in ToolResultsRequired, and submitToolResults goes on.",
    tab: "Tools",
    query: TOOLS,
    variables: () => ({}),
    done: "TERTULIA_TOOLS and TERTULIA_MCP_CONFIG say what a server offers.",
  },
  {
    title: "Usage and cost",
    text:
      "Tokens as Claude's API billed them, the cost to the last fraction of a cent, and what is left of " +
      "budget and limits.",
    tab: "Usage",
    query: USAGE,
    needs: "conversationId",
    variables: of("conversationId"),
    done: "That is all. The book on the left describes every type, field and argument: units, limits, errors.",
  },
];

/** The tabs of a first visit: each operation once. */
export const TABS = STEPS.filter((step, place) => STEPS.findIndex((one) => one.tab === step.tab) === place).map(
  (step) => ({ query: step.query, variables: JSON.stringify(step.variables({}), null, 2) }),
);

/** Gives the name of a document's first operation. */
export function operationOf(document) {
  return /^\s*(?:query|mutation|subscription)\s+(\w+)/m.exec(document ?? "")?.[1];
}
