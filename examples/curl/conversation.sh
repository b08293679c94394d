#!/bin/sh
# A conversation with Claude through Tertulia, with curl and a POSIX shell: `sh conversation.sh ["MESSAGE"]`.
# Sends, follows over server-sent events, goes on, stops, reads, and says the same by the REST routes.
# TERTULIA_URL: the server's address. TERTULIA_TOKEN: a token, where the server asks for one.
set -eu
url=${TERTULIA_URL:-http://127.0.0.1:8000}
exec 3>&1 # where the tokens of an answer go

SEND='mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
  ... on SendMessagePayload { generation { id } conversation { id } }
  ... on Error { message }
} }'
FOLLOW='subscription ($id: ID!, $after: Int) { generationEvents(generationId: $id, after: $after) {
  __typename sequence
  ... on MessageSnapshot { message { text } }
  ... on TextDelta { text }
  ... on GenerationFailed { error { message } }
} }'
STOP='mutation ($id: ID!) { stopGeneration(id: $id) {
  ... on GenerationPayload { generation { status message { text } } }
  ... on Error { message }
} }'
READ='query ($id: ID!) { conversation(id: $id) { messages(last: 10) { edges { node { role text } } } } }'

# Posts JSON. $1: the path; $2: the body; the rest goes to curl.
post() {
  path=$1 body=$2
  shift 2
  curl -sS -H 'content-type: application/json' ${TERTULIA_TOKEN:+-H "authorization: Bearer $TERTULIA_TOKEN"} \
    --data-raw "$body" "$@" "$url$path"
}

# Asks GraphQL. $1: a document, in which there are no quotes; $2: its variables; the rest goes to curl.
graphql() {
  body="{\"query\": \"$(printf %s "$1" | tr '\n' ' ')\", \"variables\": $2}"
  shift 2
  post /graphql "$body" "$@"
}

# Writes a text as a JSON string.
quoted() {
  lines=$(printf '%s\n' "$1" | tr '\t\r' '  ' | sed 's/[\"]/\\&/g' | awk '{ printf "%s%s", end, $0; end = "\\n" }')
  printf '"%s"' "$lines"
}

# Makes a UUID.
key() {
  od -An -N16 -tx1 /dev/urandom | tr -d ' \n' | sed 's/\(.\{8\}\)\(.\{4\}\)\(.\{4\}\)\(.\{4\}\)/\1-\2-\3-\4-/'
}

# Sends a text ($1) into a conversation ($2; a new one where that is empty). Sets `generation` and `conversation`.
# Behind a lost connection it is sent again; its key makes it count once.
send() {
  input="{\"text\": $(quoted "$1"), \"idempotencyKey\": \"$(key)\"${2:+, \"conversationId\": \"$2\"}}"
  sent=$(graphql "$SEND" "{\"input\": $input}" --retry 5 --retry-connrefused)
  generation=$(printf '%s\n' "$sent" | sed -n 's/.*"generation":{"id":"\([^"]*\).*/\1/p')
  conversation=$(printf '%s\n' "$sent" | sed -n 's/.*"conversation":{"id":"\([^"]*\).*/\1/p')
  [ -n "$generation" ] || { printf '%s\n' "$sent" >&2; exit 1; }
}

# Opens the stream of an answer ($1) behind a number ($2).
events() {
  graphql "$FOLLOW" "{\"id\": \"$1\", \"after\": $2}" --fail --no-buffer -H 'accept: text/event-stream'
}

# Writes the tokens of a stream as they come; gives the last number, or `end`. $1: the number that it goes on behind.
tokens() {
  last=$1
  while IFS= read -r line; do
    case $line in
      'data: {'*'"errors":'*) printf '%s\n' "${line#data: }" >&2; last=end ;;
      'data: {'*'"__typename":"GenerationFailed"'*) unquoted "\n${line##*'"message":"'}" >&3; last=end ;;
      'data: {'*'"__typename":"GenerationCompleted"'* | 'data: {'*'"__typename":"GenerationStopped"'*) last=end ;;
      'data: {'*'"sequence":'*)
        last=${line#*'"sequence":'} last=${last%%[!0-9]*}
        case $line in *'"text":"'*) unquoted "${line#*'"text":"'}" >&3 ;; esac
        ;;
    esac
  done
  printf '%s\n' "$last"
}

# Writes the JSON string that a line ends with as it reads, of its escapes all but \uXXXX. $1: from behind its first quote on.
unquoted() {
  string=${1%'"'*}
  case $string in *'\"'*) string=$(printf '%s\n' "$string" | sed 's/\\"/"/g') ;; esac
  printf %b "$string"
}

# Follows an answer ($1) to its end. A lost connection is opened again: the server gives what was missed, and nothing twice.
follow() {
  after=0 attempts=0
  while [ "$after" != end ]; do
    before=$after
    after=$(events "$1" "$before" | tokens "$before")
    [ "$after" = "$before" ] && attempts=$((attempts + 1)) || attempts=0
    [ "$attempts" -lt 8 ] || { echo "No answer comes from $url." >&2; exit 1; }
    [ "$after" = end ] || sleep 1
  done
  echo
}

echo "== Send, and follow"
send "${1:-Hello, my name is Ada}" ""
follow "$generation"

echo "== Go on: Claude has all that was said"
send "What is my name?" "$conversation"
follow "$generation"

echo "== Stop: leaving a stream stops nothing, stopGeneration does"
send "Write 300 words about the sea. /simulate long 300" "$conversation"
events "$generation" 0 2>/dev/null | sed '/"TextDelta"/q' >/dev/null
graphql "$STOP" "{\"id\": \"$generation\"}"

printf '\n%s\n' "== Read: what was written is kept"
graphql "$READ" "{\"id\": \"$conversation\"}"

printf '\n%s\n' "== Without GraphQL: one POST does a turn"
post /chat "{\"message\": \"What is my name?\", \"conversation_id\": \"$conversation\"}"

printf '\n%s\n' "== The same as a stream"
post /chat/stream "{\"message\": \"Goodbye\", \"conversation_id\": \"$conversation\"}" --no-buffer
