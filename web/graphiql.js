/* global React, ReactDOM, GraphiQL, graphqlWs */
"use strict";

const CREATE = `# A first visit, in four tabs: create, send, follow, stop. Ctrl+Enter runs a tab.

mutation Create {
  createConversation(input: { title: "My first conversation", systemPrompt: "Be brief." }) {
    ... on ConversationPayload {
      conversation {
        id # copy it into the next tab
        model { displayName simulated }
      }
    }
    ... on Error { message }
  }
}
`;

const SEND = `# Stores the message, starts Claude's answer and returns at once.
# Left out, conversationId makes a new conversation.

mutation Send($text: String!, $conversationId: ID) {
  sendMessage(input: { text: $text, conversationId: $conversationId }) {
    ... on SendMessagePayload {
      conversation { id }
      generation { id status } # copy the generation's id into the next tab
    }
    ... on ConversationBusy { generation { id } }
    ... on Error { message }
  }
}
`;

const FOLLOW = `# The token stream of one answer: before it begins, midway, or after its end.

subscription Follow($generationId: ID!) {
  generationEvents(generationId: $generationId) {
    __typename
    sequence
    ... on MessageSnapshot { message { text } }
    ... on TextDelta { index offset text }
    ... on ThinkingDelta { index offset text }
    ... on GenerationCompleted {
      generation { stopReason usage { inputTokens outputTokens } }
    }
    ... on GenerationFailed { error { code message retryable } }
  }
}
`;

const STOP = `# Stops an answer wherever it runs; what was written so far is kept.

mutation Stop($generationId: ID!) {
  stopGeneration(id: $generationId) {
    ... on GenerationPayload {
      generation { status message { text } }
    }
    ... on Error { message }
  }
}
`;

const READ = `# What is stored.

query Read {
  conversations(first: 5) {
    edges {
      node {
        id
        title
        activeGeneration { id }
        messages(last: 10) { edges { node { role text } } }
        usage { inputTokens outputTokens }
      }
    }
    pageInfo { hasNextPage endCursor }
  }
}
`;

const ASK_TWICE = JSON.stringify({ text: "Hello, Claude!", conversationId: null }, null, 2);
const WHICH = JSON.stringify({ generationId: "paste the generation's id" }, null, 2);

const address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/graphql`;
const fetcher = GraphiQL.createFetcher({
  url: "/graphql",
  wsClient: graphqlWs.createClient({ url: address, lazy: true }),
});
ReactDOM.render(
  React.createElement(GraphiQL, {
    fetcher,
    defaultEditorToolsVisibility: "variables",
    defaultTabs: [
      { query: CREATE },
      { query: SEND, variables: ASK_TWICE },
      { query: FOLLOW, variables: WHICH },
      { query: STOP, variables: WHICH },
      { query: READ },
    ],
  }),
  document.getElementById("graphiql"),
);
