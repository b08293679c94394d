"""The GraphQL operations of `tertulia chat`."""

from gql import gql

CONVERSATION_FIELDS = "id title model { id displayName simulated } assistant { id name }"
SENT = f"""
    ... on SendMessagePayload {{
      conversation {{ {CONVERSATION_FIELDS} }}
      generation {{ id message {{ id }} }}
    }}
    ... on ConversationBusy {{ generation {{ id }} }}
    ... on RateLimited {{ retryAfterSeconds }}
    ... on BudgetExceeded {{ resetsAt }}
    ... on Error {{ __typename message }}
"""
WELCOME = gql("""
    query Welcome {
      viewer { name }
      models { id displayName default simulated efforts }
      assistants { id name description isDefault model { id displayName simulated } }
    }
""")
CONVERSATIONS = gql("""
    query Conversations($first: Int!, $filter: ConversationFilter) {
      conversations(first: $first, filter: $filter) { edges { node { id title updatedAt } } }
    }
""")
CONVERSATION = gql(f"""
    query Conversation($id: ID!, $last: Int!) {{
      conversation(id: $id) {{
        {CONVERSATION_FIELDS}
        activeGeneration {{ id message {{ id }} }}
        messages(last: $last) {{
          edges {{ node {{ id role text generation {{ id status error {{ message }} }} }} }}
        }}
      }}
    }}
""")
USAGE = gql("""
    query Usage($id: ID!) {
      conversation(id: $id) {
        usage { inputTokens outputTokens cacheReadTokens cacheWriteTokens costUsd }
        context { usedTokens limit }
      }
    }
""")
SEND = gql(f"mutation Send($input: SendMessageInput!) {{ sent: sendMessage(input: $input) {{ {SENT} }} }}")
REGENERATE = gql(
    f"mutation Regenerate($input: RegenerateMessageInput!) {{ sent: regenerateMessage(input: $input) {{ {SENT} }} }}"
)
UPDATE = gql(f"""
    mutation Update($input: UpdateConversationInput!) {{
      updateConversation(input: $input) {{
        ... on ConversationPayload {{ conversation {{ {CONVERSATION_FIELDS} }} }}
        ... on Error {{ message }}
      }}
    }}
""")
DELETE = gql("mutation Delete($id: ID!) { deleteConversation(id: $id) { ... on Error { message } } }")
STOP = gql("mutation Stop($id: ID!) { stopGeneration(id: $id) { ... on Error { message } } }")
SUBMIT = gql("""
    mutation Submit($input: SubmitToolResultsInput!) {
      submitToolResults(input: $input) { __typename ... on Error { message } }
    }
""")
FOLLOW = gql("""
    subscription Follow($id: ID!, $after: Int) {
      generationEvents(generationId: $id, after: $after) {
        __typename
        sequence
        ... on MessageSnapshot {
          message { content {
            __typename index
            ... on TextBlock { text } ... on JsonBlock { text } ... on ThinkingBlock { text }
          } }
        }
        ... on ContentBlockStarted { index block { __typename } }
        ... on TextDelta { index offset text }
        ... on ThinkingDelta { index offset text }
        ... on ContentBlockFinished { index block {
          __typename
          ... on TextBlock { citations { title url source place } }
          ... on ToolUseBlock { name input partialJson }
          ... on ToolResultBlock { output isError }
        } }
        ... on ToolResultsRequired { toolUses { toolUseId name input } approvals { toolUseId } }
        ... on GenerationFailed { error { message retryable retryAfterSeconds } }
        ... on GenerationCompleted { generation {
          stopReason
          model { displayName }
          usage { inputTokens outputTokens cacheReadTokens cacheWriteTokens costUsd }
          refusal { category explanation }
          message { files { filename problem attachment { url } } }
        } }
      }
    }
""")
