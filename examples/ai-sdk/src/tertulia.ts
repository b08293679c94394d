/** A chat of the AI SDK that Tertulia serves at `/ai-sdk`. Copy this file. */

import { Chat } from "@ai-sdk/react";
import {
  DefaultChatTransport,
  lastAssistantMessageIsCompleteWithApprovalResponses,
  lastAssistantMessageIsCompleteWithToolCalls,
  type ChatInit,
  type UIMessage,
} from "ai";

/** The metadata of an answer: the first three fields at its start, all of them at its end. */
export interface AnswerMetadata {
  conversationId: string;
  generationId: string;
  status?: "queued" | "running" | "awaiting_tool_results" | "completed" | "stopped" | "failed";
  model?: string;
  stopReason?: string | null;
  usage?: { inputTokens: number; outputTokens: number; costUsd: string | null } | null;
  error?: { code: string; message: string } | null;
}
export type TertuliaMessage = UIMessage<AnswerMetadata, { compaction: { summary: string } }>;

/** A tool that the page runs. */
export interface ClientTool {
  name: string;
  description: string;
  inputSchema: object;
}

export interface TertuliaOptions extends Omit<ChatInit<TertuliaMessage>, "transport" | "messages" | "id"> {
  /** The `externalId` of a conversation, which the first message creates, or the id of an existing one. */
  id: string;
  /** The server's address; by default the page's origin. */
  url?: string;
  /** Returns headers such as `Authorization`. */
  headers?: () => Record<string, string>;
  /** The tools of a new conversation that this page runs. Answer their calls with `addToolOutput`. */
  tools?: ClientTool[];
}

/** Return the chat with its stored messages. */
export async function openChat({ id, url = "", headers = () => ({}), tools, ...options }: TertuliaOptions) {
  const address = `${url}/ai-sdk/${encodeURIComponent(id)}`;
  const stored = await fetch(`${address}/messages`, { headers: headers() });
  if (!stored.ok) throw new Error(await stored.text());
  const { messages } = (await stored.json()) as { messages: TertuliaMessage[] };
  const chat: Chat<TertuliaMessage> = new Chat({
    sendAutomaticallyWhen: isAnswered,
    ...options,
    id,
    messages,
    transport: new DefaultChatTransport<TertuliaMessage>({
      api: `${url}/ai-sdk`,
      headers,
      // A message that is sent after a lost connection replaces the answer that continued.
      body: { tools, whenBusy: "interrupt" },
      // The server has the history and its files: of the earlier messages it reads only the ids.
      prepareSendMessagesRequest: ({ body, id, messages, trigger, messageId }) => ({
        body: {
          ...body,
          id,
          messages: messages.map((one, at) => (at < messages.length - 1 ? { ...one, parts: [] } : one)),
          trigger,
          messageId,
        },
      }),
      // Name an answer of which this page has a part, because it may have ended in the meantime.
      prepareReconnectToStreamRequest: () => ({ api: `${address}/stream${unfinished(chat.lastMessage)}` }),
    }),
  });
  /** Stop the answer. The stream of the chat then ends with the text that was kept. */
  const stop = () => fetch(`${address}/stream`, { method: "DELETE", headers: headers() });
  return { chat, stop };
}

/** Return the server's message of an error: a refused request has a JSON body. */
export function messageOf(error: Error): string {
  try {
    const body = JSON.parse(error.message) as { error?: { message: string }; detail?: { msg: string }[] };
    return body.error?.message ?? body.detail?.[0]?.msg ?? error.message;
  } catch {
    return error.message;
  }
}

/** Whether all calls that the answer waits for have a result or a decision. */
function isAnswered(state: { messages: TertuliaMessage[] }): boolean {
  return (
    lastAssistantMessageIsCompleteWithToolCalls(state) || lastAssistantMessageIsCompleteWithApprovalResponses(state)
  );
}

function unfinished(message: TertuliaMessage | undefined): string {
  const hasEnded = ["completed", "stopped", "failed"].includes(message?.metadata?.status ?? "");
  return message?.role !== "assistant" || hasEnded ? "" : `?messageId=${message.id}`;
}
