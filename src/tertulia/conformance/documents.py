"""The GraphQL operations of the suite. They select only what the requirements need."""

BLOCK = """
  __typename index
  ... on TextBlock { text }
  ... on ThinkingBlock { text }
"""
EVENT = f"""
  __typename sequence
  ... on MessageSnapshot {{ reason message {{ text content {{ {BLOCK} }} }} }}
  ... on ContentBlockStarted {{ index block {{ {BLOCK} }} }}
  ... on TextDelta {{ index offset text }}
  ... on ThinkingDelta {{ index offset text }}
  ... on ContentBlockFinished {{ index block {{ {BLOCK} }} }}
"""
FOLLOW = f"""
subscription ($id: ID!, $after: Int) {{ generationEvents(generationId: $id, after: $after) {{ {EVENT} }} }}
"""
EVENTS = f"""
query ($id: ID!, $after: Int) {{ generation(id: $id) {{ events(after: $after, first: 100) {{
  edges {{ node {{ {EVENT} }} }} pageInfo {{ hasNextPage endCursor }}
}} }} }}
"""
FOLLOW_TOOLS = """
subscription ($id: ID!, $after: Int) { generationEvents(generationId: $id, after: $after) {
  __typename sequence
  ... on ToolResultsRequired { toolUses { toolUseId name input } }
  ... on GenerationFailed { error { code message } }
} }
"""
SEND = """
mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
  __typename
  ... on SendMessagePayload {
    conversation { id } userMessage { id text } generation { id status message { id } }
  }
  ... on ConversationBusy { generation { id } }
  ... on RateLimited { retryAfterSeconds }
  ... on InvalidInput { field }
  ... on Error { message }
} }
"""
STOP = """
mutation ($id: ID!) { stopGeneration(id: $id) {
  __typename
  ... on GenerationPayload { generation { id status message { text } } }
  ... on Error { message }
} }
"""
SUBMIT = """
mutation ($input: SubmitToolResultsInput!) { submitToolResults(input: $input) {
  __typename
  ... on GenerationPayload { generation { id status } }
  ... on Error { message }
} }
"""
GENERATION = """
query ($id: ID!) { generation(id: $id) { id status message { id text } } }
"""
MESSAGES = """
query ($id: ID!) { conversation(id: $id) { messages(first: 100) { edges { node { id role text } } } } }
"""
CHANGES = """
subscription ($after: String) { conversationChanges(after: $after) { cursor kind conversationId } }
"""
CREATE = """
mutation { createConversation(input: {}) {
  __typename ... on ConversationPayload { conversation { id } } ... on Error { message }
} }
"""
DELETE = """
mutation ($id: ID!) { deleteConversation(id: $id) { __typename } }
"""
