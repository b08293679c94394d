"""The GraphQL documents of the simulated people, like those of a page."""

BLOCK = "{ __typename index ... on TextBlock { text } ... on ThinkingBlock { text } }"
FOLLOW = f"""subscription ($id: ID!, $after: Int) {{ events: generationEvents(generationId: $id, after: $after) {{
  __typename
  sequence
  ... on MessageSnapshot {{ reason message {{ content {BLOCK} }} }}
  ... on ContentBlockStarted {{ index block {BLOCK} }}
  ... on TextDelta {{ index offset text }}
  ... on ThinkingDelta {{ index offset text }}
  ... on ContentBlockFinished {{ index block {BLOCK} }}
  ... on GenerationCompleted {{ generation {{ status stopReason usage {{ outputTokens costUsd }} }} }}
  ... on GenerationFailed {{ error {{ code message }} }}
}} }}"""
_SENT = """{
  ... on SendMessagePayload { conversation { id } userMessage { id } generation { id message { id } } }
  ... on Error { __typename message }
}"""
SEND = f"""mutation ($text: String!, $conversation: ID, $key: ID) {{
  sent: sendMessage(input: {{ text: $text, conversationId: $conversation, idempotencyKey: $key }}) {_SENT}
}}"""
EDIT = f"mutation ($id: ID!, $text: String!) {{ sent: editMessage(input: {{ messageId: $id, text: $text }}) {_SENT} }}"
REGENERATE = f"mutation ($id: ID!) {{ sent: regenerateMessage(input: {{ messageId: $id }}) {_SENT} }}"
STOP = """mutation ($id: ID!) { stopped: stopGeneration(id: $id) {
  ... on GenerationPayload { generation { status message { text } } }
  ... on Error { __typename message }
} }"""
ANSWER = "query ($id: ID!) { answer: generation(id: $id) { status message { text } usage { outputTokens costUsd } } }"
LIST = """query { conversations(first: 20) {
  edges { node { id title updatedAt lastMessage { id text } activeGeneration { id } } }
  pageInfo { hasNextPage endCursor }
} }"""
SEARCH = """query ($words: String!) { searchMessages(query: $words, first: 10) {
  edges { excerpt highlights { start end } node { id conversation { id } } }
} }"""
READ = """query ($id: ID!) { conversation(id: $id) {
  title activeGeneration { id } usage { costUsd }
  messages(last: 20) { edges { node { id role text siblings { id } } } pageInfo { hasPreviousPage startCursor } }
} }"""
