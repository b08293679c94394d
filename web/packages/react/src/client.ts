import { CHANGES, type TypedText } from "./documents.ts";
import { requestFailure, TertuliaError, UNREACHABLE, type ResultError } from "./errors.ts";
import type { ChangesSubscription } from "./operations.ts";
import { createSocket, type Socket } from "./socket.ts";
import { uploadFile, type Attachment, type UploadOptions } from "./upload.ts";

/** A change to one of the viewer's conversations. */
export type Change = ChangesSubscription["conversationChanges"];

/** The result of a query or a mutation. */
export interface Result {
  readonly data?: unknown;
  readonly errors?: readonly ResultError[] | undefined;
  /** The seconds of the header `Retry-After`. */
  readonly retryAfterSeconds?: number;
}

/** Executes a query or a mutation. Rejects if the server did not respond. */
export type Execute = (text: string, variables: Record<string, unknown>) => Promise<Result>;

export interface ClientOptions {
  /** The address of the server, such as `https://chat.example.com`, or a path of the page's own server, such as `/ai`. Default: `/`. */
  readonly url?: string;
  /** The token of the user, or a function that returns a valid one before each request and connection. Default: none. */
  readonly token?: string | null | (() => string | null | Promise<string | null>);
  /** Called when the server has refused the token. The next call of `token` should return another one. */
  readonly onRefused?: () => void;
  readonly fetch?: typeof fetch;
  readonly WebSocket?: typeof WebSocket;
  /** Executes queries and mutations instead of `fetch`, such as a GraphQL client with a cache. */
  readonly execute?: Execute;
}

/** Receives the results of a subscription. */
export interface Observer<Data> {
  next(data: Data): void;
  error?(error: TertuliaError): void;
  complete?(): void;
}

/** A connection of one user with a server. */
export interface TertuliaClient {
  /** Execute a query or a mutation. Rejects with a `TertuliaError`. */
  request<Data, Variables extends object>(text: TypedText<Data, Variables>, variables: Variables): Promise<Data>;
  /** Subscribe until the returned function is called. */
  subscribe<Data, Variables extends object>(text: TypedText<Data, Variables>, variables: Variables, observer: Observer<Data>): () => void;
  /** Call `listener` after each change to a conversation. All listeners share one subscription. */
  onChange(listener: (change: Change) => void): () => void;
  /** Upload a file for a message. Rejects with a `TertuliaError`. */
  upload(file: File, options?: UploadOptions): Promise<Attachment>;
  /** Fetch a file of the viewer by its `url`. Rejects with a `TertuliaError`. */
  fetchFile(url: string): Promise<Blob>;
  readonly socket: Socket;
  close(): void;
}

/** Return a client. It sends nothing before it is used, so a module that is also loaded on a server can create one. */
export function createClient(options: ClientOptions = {}): TertuliaClient {
  const { url = "/", onRefused, token = null } = options;
  const request = options.fetch ?? ((...values: Parameters<typeof fetch>) => fetch(...values));
  const base = () => new URL(url.endsWith("/") ? url : `${url}/`, globalThis.document?.baseURI);
  const at = (route: string) => new URL(route, base()).href;
  const headers = async (): Promise<Record<string, string>> => {
    const value = typeof token === "function" ? await token() : token;
    return value ? { Authorization: `Bearer ${value}` } : {};
  };
  /** Send a request, and send it again once if the server refuses the token. */
  const send = async (address: string, init: RequestInit): Promise<Response> => {
    const once = async () => request(address, { ...init, headers: { ...init.headers, ...(await headers()) } });
    try {
      const response = await once();
      if (response.status !== 401 || typeof token !== "function") return response;
      onRefused?.();
      return await once();
    } catch (error) {
      throw error instanceof DOMException && error.name === "AbortError" ? error : new TertuliaError(UNREACHABLE);
    }
  };
  const execute = options.execute ?? ((text, variables) => executeByFetch(send, at("graphql"), text, variables));
  const socket = createSocket({ url: () => at("graphql"), params: headers, onRefused, WebSocket: options.WebSocket });
  const subscribe: TertuliaClient["subscribe"] = (text, variables, observer) =>
    socket.subscribe({ query: text, variables: { ...variables } as Record<string, unknown> }, {
      next({ data, errors = [] }) {
        if (errors.length > 0) observer.error?.(new TertuliaError(requestFailure(errors)));
        // The generated types describe the server's schema.
        else observer.next(data as never);
      },
      error: (reason) => observer.error?.(new TertuliaError(Array.isArray(reason) ? requestFailure(reason as ResultError[]) : UNREACHABLE)),
      complete: () => observer.complete?.(),
    });
  return {
    request: async (text, variables) => resultData(await execute(text, { ...variables } as Record<string, unknown>).catch(unreachable)),
    subscribe,
    onChange: shared((listener) => subscribe(CHANGES, {}, { next: ({ conversationChanges }) => listener(conversationChanges) })),
    upload: (file, chosen) => uploadFile(file, (init) => send(at("attachments"), init), chosen),
    async fetchFile(path) {
      const response = await send(new URL(path, base()).href, {});
      if (!response.ok) throw new TertuliaError({ ...UNREACHABLE, code: response.status === 404 ? "NOT_FOUND" : "REFUSED", message: "The server refused the file." });
      return response.blob();
    },
    socket,
    close: socket.close,
  };
}

async function executeByFetch(send: (address: string, init: RequestInit) => Promise<Response>, address: string, query: string, variables: object): Promise<Result> {
  const sent = { "content-type": "application/json", accept: "application/graphql-response+json, application/json" };
  const response = await send(address, { method: "POST", headers: sent, body: JSON.stringify({ query, variables }) });
  const result = (await response.json().catch(() => null)) as Result | null;
  // The error page of a proxy is not a response of the server.
  if (!result || (!result.data && !result.errors)) throw new TertuliaError(UNREACHABLE);
  return { ...result, retryAfterSeconds: Number(response.headers.get("retry-after") ?? 0) };
}

function unreachable(error: unknown): never {
  throw error instanceof TertuliaError ? error : new TertuliaError(UNREACHABLE);
}

function resultData<Data>({ data, errors, retryAfterSeconds }: Result): Data {
  if (errors?.length) throw new TertuliaError(requestFailure(errors, retryAfterSeconds));
  return data as Data;
}

/** Return a function that adds a listener to one subscription, which lasts as long as it has listeners. */
function shared<Value>(begin: (listener: (value: Value) => void) => () => void): (listener: (value: Value) => void) => () => void {
  const listeners = new Set<(value: Value) => void>();
  let end: (() => void) | null = null;
  return (listener) => {
    // The same function may be added twice.
    const added = (value: Value) => listener(value);
    listeners.add(added);
    end ??= begin((value) => { for (const each of [...listeners]) each(value); });
    return () => {
      listeners.delete(added);
      if (listeners.size > 0) return;
      end?.();
      end = null;
    };
  };
}
