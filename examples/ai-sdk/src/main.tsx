import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { openChat } from "./tertulia";

const id = new URLSearchParams(location.search).get("c") ?? crypto.randomUUID();
history.replaceState(null, "", `?c=${id}`);
const root = createRoot(document.getElementById("root") as HTMLElement);

try {
  // Create the Chat here. useChat disconnects a Chat that it has created when its component unmounts.
  const { chat, stop } = await openChat({
    id,
    tools: [
      {
        name: "read_page",
        description: "Reads the title and the address of the page that the user sees.",
        inputSchema: { type: "object", properties: {} },
      },
    ],
    onToolCall({ toolCall }) {
      if (toolCall.toolName !== "read_page") return;
      const output = { title: document.title, address: location.href };
      void chat.addToolOutput({ tool: toolCall.toolName, toolCallId: toolCall.toolCallId, output });
    },
  });
  root.render(
    <StrictMode>
      <App chat={chat} stop={stop} />
    </StrictMode>,
  );
} catch (error) {
  root.render(<p role="alert">{error instanceof Error ? error.message : String(error)}</p>);
}
