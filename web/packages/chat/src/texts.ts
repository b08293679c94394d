import type { Texts } from "../index.d.ts";

export const ENGLISH: Texts = {
  label: "Message",
  placeholder: "Write a message",
  send: "Send",
  stop: "Stop",
  attach: "Attach files",
  remove: "Remove {name}",
  uploading: "Uploading…",
  you: "You",
  assistant: "Assistant",
  thinking: "Thinking",
  tool: "Tool: {name}",
  toolFailed: "The tool {name} failed",
  approval: "Allow the tool {name}?",
  unavailable: "The tool {name} is not available here.",
  allow: "Allow",
  deny: "Deny",
  continue: "Continue",
  retry: "Retry",
  edit: "Edit",
  earlier: "Earlier messages",
  latest: "Latest message",
  stopped: "Stopped.",
  failed: "The answer failed.",
  waiting: "Waiting for the connection",
  reconnecting: "Reconnecting…",
  unreachable: "The server cannot be reached.",
};

export function named(text: string, name: string): string {
  return text.replace("{name}", name);
}
