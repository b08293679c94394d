"""AG-UI 1.0 at `/ag-ui`: a run is an answer of a conversation.

`run_input` is the request, `start` decides what a run does, `projection` converts the answer's events, `messages` the
stored messages, and `stream` joins them to the response.
"""
