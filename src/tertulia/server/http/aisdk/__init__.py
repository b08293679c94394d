"""The UI message stream of the AI SDK at `/ai-sdk`, for its stock `DefaultChatTransport`.

`request` is what the transport sends, `sending` decides what it means and starts the answer, `chunks` converts the
answer's events, `messages` converts stored messages, and `routes` joins them.
"""
