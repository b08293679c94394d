#!/bin/sh
# A conversation with Claude through Tertulia, with curl and a POSIX shell: `sh conversation.sh ["MESSAGE"]`.
# Sends, follows over server-sent events, continues, stops, reads, and then uses the REST routes.
# TERTULIA_URL: the server's address. TERTULIA_TOKEN: a token, if the server requires one.
set -eu
url=${TERTULIA_URL:-http://127.0.0.1:8000}
exec 3>&1 # the tokens of an answer are written to 3

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

# Posts JSON. $1: the path; $2: the body; further arguments go to curl.
post() {
  path=$1 body=$2
  shift 2
  curl -sS -H 'content-type: application/json' ${TERTULIA_TOKEN:+-H "authorization: Bearer $TERTULIA_TOKEN"} \
    --data-raw "$body" "$@" "$url$path"
}

# Sends a GraphQL request. $1: a document without quotes; $2: its variables; further arguments go to curl.
graphql() {
  body="{\"query\": \"$(printf %s "$1" | tr '\n' ' ')\", \"variables\": $2}"
  shift 2
  post /graphql "$body" "$@"
}

# Prints a text as a JSON string.
quoted() {
  lines=$(printf '%s\n' "$1" | tr '\t\r' '  ' | sed 's/[\"]/\\&/g' | awk '{ printf "%s%s", end, $0; end = "\\n" }')
  printf '"%s"' "$lines"
}

# Prints a UUID.
key() {
  od -An -N16 -tx1 /dev/urandom | tr -d ' \n' | sed 's/\(.\{8\}\)\(.\{4\}\)\(.\{4\}\)\(.\{4\}\)/\1-\2-\3-\4-/'
}

# Sends a text ($1) to a conversation ($2; a new one if empty). Sets `generation` and `conversation`.
# After a lost connection curl repeats the request. With the same idempotency key, the message is stored once.
send() {
  input="{\"text\": $(quoted "$1"), \"idempotencyKey\": \"$(key)\"${2:+, \"conversationId\": \"$2\"}}"
  sent=$(graphql "$SEND" "{\"input\": $input}" --retry 5 --retry-connrefused)
  generation=$(printf '%s\n' "$sent" | sed -n 's/.*"generation":{"id":"\([^"]*\).*/\1/p')
  conversation=$(printf '%s\n' "$sent" | sed -n 's/.*"conversation":{"id":"\([^"]*\).*/\1/p')
  [ -n "$generation" ] || { printf '%s\n' "$sent" >&2; exit 1; }
}

# Opens the stream of an answer ($1) after an event number ($2).
events() {
  graphql "$FOLLOW" "{\"id\": \"$1\", \"after\": $2}" --fail --no-buffer -H 'accept: text/event-stream'
}

# Writes the tokens of a stream as they arrive. Prints the last event number, or `end`. $1: the number to resume after.
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

# Prints the decoded JSON string at the end of a line. Escapes of the form \uXXXX are not decoded.
# $1: the line after the string's first quote.
unquoted() {
  string=${1%'"'*}
  case $string in *'\"'*) string=$(printf '%s\n' "$string" | sed 's/\\"/"/g') ;; esac
  printf %b "$string"
}

# Follows an answer ($1) to its end. Reconnects after a lost connection; the server then sends exactly the missed events.
follow() {
  after=0 attempts=0
  while [ "$after" != end ]; do
    before=$after
    after=$(events "$1" "$before" | tokens "$before")
    [ "$after" = "$before" ] && attempts=$((attempts + 1)) || attempts=0
    [ "$attempts" -lt 8 ] || { echo "$url does not send events. Is the server running?" >&2; exit 1; }
    [ "$after" = end ] || sleep 1
  done
  echo
}

echo "== Send and follow"
send "${1:-Hello, my name is Ada}" ""
follow "$generation"

echo "== Continue: Claude receives all earlier messages"
send "What is my name?" "$conversation"
follow "$generation"

echo "== Stop: closing a stream does not stop the answer, stopGeneration does"
send "Write 300 words about the sea. /simulate long 300" "$conversation"
events "$generation" 0 2>/dev/null | sed '/"TextDelta"/q' >/dev/null
graphql "$STOP" "{\"id\": \"$generation\"}"

printf '\n%s\n' "== Read: the text of the stopped answer is kept"
graphql "$READ" "{\"id\": \"$conversation\"}"

printf '\n%s\n' "== Without GraphQL: one POST sends a message and returns the answer"
post /chat "{\"message\": \"What is my name?\", \"conversation_id\": \"$conversation\"}"

printf '\n%s\n' "== The same as a stream"
post /chat/stream "{\"message\": \"Goodbye\", \"conversation_id\": \"$conversation\"}" --no-buffer
