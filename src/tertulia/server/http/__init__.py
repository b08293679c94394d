"""HTTP and WebSocket endpoints: GraphQL, REST, uploads, exports, pages, and the middleware before them."""
