/**
 * The stock agent of AG-UI for a Tertulia server, with the parts that AG-UI leaves to the transport: runs continue after a
 * lost connection, `connectAgent` restores a thread, and `abortRun` stops the answer.
 */

import { HttpAgent, type HttpAgentConfig } from "@ag-ui/client";
import type { RunAgentInput } from "@ag-ui/core";

type Fetch = NonNullable<HttpAgentConfig["fetch"]>;

export interface TertuliaAgentConfig extends Omit<HttpAgentConfig, "url"> {
  /** The server's address; by default the page's origin. */
  url?: string;
}

export class TertuliaAgent extends HttpAgent {
  private request: Fetch;
  /** The id of the last event of the run: the answer's id and a position in it. Empty before the first event. */
  private lastId = "";
  private isStopping = false;

  constructor({ url = "", ...config }: TertuliaAgentConfig = {}) {
    super({ ...config, url: `${url}/ag-ui` });
    this.request = this.fetch;
    this.fetch = (to, init) => this.follow(to, init);
  }

  /** Stop the answer. The text that was written until then is kept, and the run ends as `cancelled`. */
  override abortRun(): void {
    this.isStopping = true;
    this.stop();
  }

  override clone(): TertuliaAgent {
    const copy = super.clone() as TertuliaAgent;
    copy.request = this.request;
    copy.lastId = "";
    copy.isStopping = false;
    copy.fetch = (to, init) => copy.follow(to, init);
    return copy;
  }

  /** For `connectAgent`: a run without messages restores the thread, and follows its running answer. */
  protected override connect(input: RunAgentInput) {
    return this.run({ ...input, messages: [] });
  }

  /** Return the response to a run, whose body continues with those of other responses if the connection is lost. */
  private async follow(url: string, init: RequestInit): Promise<Response> {
    this.lastId = "";
    this.isStopping = false;
    const leaving = new AbortController();
    const signal = init.signal ? AbortSignal.any([init.signal, leaving.signal]) : leaving.signal;
    const first = await this.request(url, { ...init, signal });
    if (!first.ok || !first.body) return first;
    const frames = this.frames(first.body, url, { ...init, signal });
    const body = new ReadableStream<string>({
      async pull(controller) {
        const { done, value } = await frames.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      // The answer continues without this client.
      cancel: () => leaving.abort(),
    });
    return new Response(body.pipeThrough(new TextEncoderStream()), { status: first.status, headers: first.headers });
  }

  private async *frames(first: ReadableStream<Uint8Array>, url: string, init: RequestInit): AsyncGenerator<string, void> {
    for (let body: ReadableStream<Uint8Array> | null = first; body; body = await this.continued(url, init)) {
      try {
        for await (const frame of framesOf(body)) {
          const isFirst = !this.lastId;
          this.lastId = /^id: (.*)$/m.exec(frame)?.[1] ?? this.lastId;
          if (isFirst && this.isStopping) this.stop();
          yield frame;
        }
      } catch (error) {
        if (init.signal?.aborted || !this.lastId) throw error;
      }
      if (!this.lastId || this.lastId.endsWith(":end")) return;
    }
  }

  /** Request the events after the last one until the server responds. Returns null if there are none. */
  private async continued(url: string, init: RequestInit): Promise<ReadableStream<Uint8Array> | null> {
    const headers = { ...(init.headers as Record<string, string>), "Last-Event-ID": this.lastId };
    for (let seconds = 0.5; ; seconds = Math.min(2 * seconds, 10)) {
      const response = await this.request(url, { ...init, headers }).catch((error: unknown) => {
        if (init.signal?.aborted) throw error;
      });
      if (response?.ok) return response.body;
      if (response && response.status < 500 && response.status !== 429) throw new Error(await response.text());
      await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
    }
  }

  private stop(): void {
    const [id] = this.lastId.split(":");
    if (!id) return;
    void this.request(`${this.url}/${id}`, { method: "DELETE", headers: this.headers }).catch(console.error);
  }
}

/** Yield the server-sent events of a body, each with the blank line at its end. */
async function* framesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let rest = "";
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const frames = (rest + read.value).split("\n\n");
    rest = frames.pop() ?? "";
    for (const frame of frames) yield `${frame}\n\n`;
  }
}
