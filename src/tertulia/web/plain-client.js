/** Sends a GraphQL request over HTTP. Returns `data`, or throws an Error with the server's message. */
export async function ask(query, variables = {}) {
  const response = await fetch("graphql", {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/graphql-response+json" },
    body: JSON.stringify({ query, variables }),
  });
  const result = await response.json();
  if (result.errors) throw new Error(result.errors.map((error) => error.message).join(" "));
  return result.data;
}

/**
 * Subscribes over graphql-transport-ws. After a lost connection it subscribes again with the same variables, until the
 * subscription completes. The server sends a snapshot first each time. Returns a function that ends the subscription.
 */
export function subscribe(query, variables, { next, lost, failed }) {
  let socket;
  let ended = false;
  let retryDelay = 250;

  function end() {
    ended = true;
    socket.close();
  }

  function connect() {
    const address = new URL("graphql", location.href.replace(/^http/, "ws"));
    socket = new WebSocket(address, "graphql-transport-ws");
    socket.onopen = () => socket.send(JSON.stringify({ type: "connection_init" }));
    socket.onmessage = ({ data }) => receive(JSON.parse(data));
    socket.onclose = () => {
      if (ended) return;
      lost();
      setTimeout(connect, retryDelay);
      retryDelay = Math.min(retryDelay * 2, 5000);
    };
  }

  function receive(message) {
    if (message.type === "connection_ack") {
      retryDelay = 250;
      socket.send(JSON.stringify({ type: "subscribe", id: "1", payload: { query, variables } }));
    } else if (message.type === "ping") {
      socket.send(JSON.stringify({ type: "pong" }));
    } else if (message.type === "next") {
      if (message.payload.data) next(message.payload.data);
      else failed(message.payload.errors[0].message);
    } else if (message.type === "error") {
      failed(message.payload[0].message);
      end();
    } else if (message.type === "complete") {
      end();
    }
  }

  connect();
  return end;
}
