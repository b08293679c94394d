import { Chat } from "@ai-sdk/react";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import type { TertuliaMessage } from "./chunks";
import { TertuliaTransport } from "./transport";

const transport = new TertuliaTransport({
  conversationId: new URLSearchParams(location.search).get("c") ?? undefined,
  onConversation: (id) => history.replaceState(null, "", `?c=${id}`),
  tools: [
    {
      name: "read_page",
      description: "Reads the title and the address of the page that the user sees.",
      inputSchema: { type: "object", properties: {} },
    },
  ],
});
const root = createRoot(document.getElementById("root") as HTMLElement);

try {
  // Create the Chat here. useChat stops a Chat that it has created, and so the answer, when its component unmounts.
  const chat: Chat<TertuliaMessage> = new Chat({
    transport,
    messages: await transport.history(),
    sendAutomaticallyWhen: transport.isAnswered,
    onToolCall({ toolCall }) {
      if (toolCall.toolName !== "read_page") return;
      const output = { title: document.title, address: location.href };
      void chat.addToolOutput({ tool: toolCall.toolName, toolCallId: toolCall.toolCallId, output });
    },
  });
  root.render(
    <StrictMode>
      <App chat={chat} history={() => transport.history()} />
    </StrictMode>,
  );
} catch (error) {
  root.render(<p role="alert">{error instanceof Error ? error.message : String(error)}</p>);
}
