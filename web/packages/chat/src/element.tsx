import { createClient, stopGeneration, type TertuliaClient } from "@tertulia/react";
import { createRoot, type Root } from "react-dom/client";
import type { ClientTool, TertuliaChatElement, Texts, TokenSource } from "../index.d.ts";
import { Chat, type ChatControls } from "./Chat.tsx";
import css from "./style.css?inline";
import { ENGLISH } from "./texts.ts";
import { tokenSource } from "./token.ts";

/** Servers have no elements. */
const Base = globalThis.HTMLElement ?? (class {} as typeof HTMLElement);

/** The attributes of a client. Another value needs another client. */
const CONNECTION = ["url", "token-url"];

/** The properties that were set before the element was defined, such as by a framework. */
const PROPERTIES = ["url", "token", "tokenUrl", "conversation", "assistant", "theme", "settings", "tools", "texts"] as const;

export class TertuliaChat extends Base implements TertuliaChatElement {
  static readonly observedAttributes = [...CONNECTION, "conversation", "assistant"];

  #token: TokenSource = null;
  #settings: Readonly<Record<string, unknown>> = {};
  #tools: Readonly<Record<string, ClientTool>> = {};
  #texts: Partial<Texts> = {};
  #root: Root | null = null;
  #client: TertuliaClient | null = null;
  #controls: ChatControls | null = null;

  get url(): string { return this.getAttribute("url") ?? "/"; }
  set url(value: string) { this.#reflect("url", value); }
  get tokenUrl(): string | null { return this.getAttribute("token-url"); }
  set tokenUrl(value: string | null) { this.#reflect("token-url", value); }
  get conversation(): string | null { return this.getAttribute("conversation") || null; }
  set conversation(value: string | null) { this.#reflect("conversation", value); }
  get assistant(): string | null { return this.getAttribute("assistant") || null; }
  set assistant(value: string | null) { this.#reflect("assistant", value); }
  get theme(): "light" | "dark" | null {
    const value = this.getAttribute("theme");
    return value === "light" || value === "dark" ? value : null;
  }
  set theme(value: "light" | "dark" | null) { this.#reflect("theme", value); }
  get token(): TokenSource { return this.#token; }
  set token(value: TokenSource) {
    if (value === this.#token) return;
    this.#token = value;
    this.#reconnect();
  }
  get settings(): Readonly<Record<string, unknown>> { return this.#settings; }
  set settings(value: Readonly<Record<string, unknown>>) {
    this.#settings = value;
    this.#render();
  }
  get tools(): Readonly<Record<string, ClientTool>> { return this.#tools; }
  set tools(value: Readonly<Record<string, ClientTool>>) {
    this.#tools = value;
    this.#render();
  }
  get texts(): Partial<Texts> { return this.#texts; }
  set texts(value: Partial<Texts>) {
    this.#texts = value;
    this.#render();
  }

  connectedCallback(): void {
    for (const name of PROPERTIES) this.#upgrade(name);
    if (!this.shadowRoot) {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(css);
      // Unlike a style element, this works with a Content-Security-Policy that forbids inline styles.
      this.attachShadow({ mode: "open", delegatesFocus: true }).adoptedStyleSheets = [sheet];
    }
    this.#root = createRoot(this.shadowRoot as ShadowRoot);
    this.#reconnect();
  }

  disconnectedCallback(): void {
    this.#root?.unmount();
    this.#root = null;
    this.#client?.close();
    this.#client = null;
  }

  attributeChangedCallback(name: string, before: string | null, after: string | null): void {
    if (before === after) return;
    if (CONNECTION.includes(name)) this.#reconnect();
    else this.#render();
  }

  async send(text: string): Promise<void> {
    await this.#controls?.send({ text, files: [] });
  }

  async stop(): Promise<void> {
    const answering = this.#controls?.answering;
    if (answering && this.#client) await stopGeneration(this.#client, answering);
  }

  #reflect(name: string, value: string | null): void {
    if (value === null) this.removeAttribute(name);
    else this.setAttribute(name, value);
  }

  /** Let the setter receive a value that was assigned before the element was defined. */
  #upgrade(name: (typeof PROPERTIES)[number]): void {
    if (!Object.hasOwn(this, name)) return;
    const value: unknown = this[name];
    delete (this as Record<string, unknown>)[name];
    Object.assign(this, { [name]: value });
  }

  #reconnect(): void {
    if (!this.#root) return;
    this.#client?.close();
    this.#client = createClient({ url: this.url, ...tokenSource(this.#token, this.tokenUrl) });
    this.#render();
  }

  #render(): void {
    if (!this.#root || !this.#client) return;
    this.#root.render(
      <Chat
        client={this.#client}
        conversation={this.conversation}
        settings={{ ...(this.assistant && { assistantId: this.assistant }), ...this.#settings }}
        tools={this.#tools}
        texts={{ ...ENGLISH, ...this.#texts }}
        onControls={(controls) => { this.#controls = controls; }}
        onEvent={this.#dispatch}
      />,
    );
  }

  #dispatch = (name: string, detail: object): void => {
    if (name === "tertulia-sent" && "conversationId" in detail) this.conversation = String(detail.conversationId);
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  };
}
