/** Where a token comes from: the token, or a function that returns a valid one before each request and connection. */
export type TokenSource = string | null | (() => string | null | Promise<string | null>);

/** Runs a client tool. Claude receives the returned value as JSON. If it throws, Claude receives the error's message. */
export type ClientTool = (input: unknown) => unknown;

/** The texts of the element. `{name}` in them is replaced. */
export interface Texts {
  readonly label: string;
  readonly placeholder: string;
  readonly send: string;
  readonly stop: string;
  readonly attach: string;
  readonly remove: string;
  readonly uploading: string;
  readonly you: string;
  readonly assistant: string;
  readonly thinking: string;
  readonly tool: string;
  readonly toolFailed: string;
  readonly approval: string;
  readonly unavailable: string;
  readonly allow: string;
  readonly deny: string;
  readonly continue: string;
  readonly retry: string;
  readonly edit: string;
  readonly earlier: string;
  readonly latest: string;
  readonly stopped: string;
  readonly failed: string;
  readonly waiting: string;
  readonly reconnecting: string;
  readonly unreachable: string;
}

/** The element `<tertulia-chat>`: one conversation, with a field for messages. */
export interface TertuliaChatElement extends HTMLElement {
  /** The address of the server. Attribute `url`. Default: the page's own server. */
  url: string;
  /** The user's token. It has no attribute, because attributes are visible to all scripts and in copies of the page. */
  token: TokenSource;
  /** An address of the application that returns the user's token, as text or as JSON with `token`. Attribute `token-url`. */
  tokenUrl: string | null;
  /** The id of the conversation; null for a new one. It changes when the first message creates one. Attribute `conversation`. */
  conversation: string | null;
  /** The id of the assistant that answers in a new conversation. Attribute `assistant`. */
  assistant: string | null;
  /** The colors; null follows the browser. Attribute `theme`. */
  theme: "light" | "dark" | null;
  /** More fields of `SendMessageInput`, such as `context`, `metadata`, or the tools of a new conversation. */
  settings: Readonly<Record<string, unknown>>;
  /** The client tools by their names. They are declared in `settings.tools.client`. */
  tools: Readonly<Record<string, ClientTool>>;
  /** Texts that replace the English ones. */
  texts: Partial<Texts>;
  /** Send a message. */
  send(text: string): Promise<void>;
  /** Stop the answer that is being written. */
  stop(): Promise<void>;
}

export interface SentDetail {
  readonly conversationId: string;
  readonly messageId: string;
  readonly generationId: string;
}

export interface AnswerDetail {
  readonly conversationId: string;
  readonly generationId: string;
  readonly status: "COMPLETED" | "STOPPED" | "FAILED";
  readonly text: string;
}

export interface ErrorDetail {
  /** Such as `UNREACHABLE`, `UNAUTHENTICATED` or `RATE_LIMITED`. */
  readonly code: string;
  readonly message: string;
}

/** The class of the element. Importing the module defines the element. */
export declare const TertuliaChat: { new (): TertuliaChatElement };

declare global {
  interface HTMLElementTagNameMap {
    "tertulia-chat": TertuliaChatElement;
  }
  interface HTMLElementEventMap {
    /** The server has stored a message. */
    "tertulia-sent": CustomEvent<SentDetail>;
    /** An answer has ended. */
    "tertulia-answer": CustomEvent<AnswerDetail>;
    /** A request has failed, or a message was refused. */
    "tertulia-error": CustomEvent<ErrorDetail>;
  }
}
