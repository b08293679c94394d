/** GraphQL over HTTP: gives `data`, or throws an Error with the server's sentence. */
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
 * One subscription over graphql-transport-ws. It is begun again when the socket is lost, with the same variables, until
 * it completes: each time the server sends a snapshot first. Gives a function that ends it.
 */
export function subscribe(query, variables, { next, lost, failed }) {
  let socket;
  let over = false;
  let waited = 250;

  function end() {
    over = true;
    socket.close();
  }

  function connect() {
    const address = new URL("graphql", location.href.replace(/^http/, "ws"));
    socket = new WebSocket(address, "graphql-transport-ws");
    socket.onopen = () => socket.send(JSON.stringify({ type: "connection_init" }));
    socket.onmessage = ({ data }) => take(JSON.parse(data));
    socket.onclose = () => {
      if (over) return;
      lost();
      setTimeout(connect, waited);
      waited = Math.min(waited * 2, 5000);
    };
  }

  function take(message) {
    if (message.type === "connection_ack") {
      waited = 250;
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
