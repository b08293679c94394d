import type { Block, StreamEvent } from "@tertulia/stream";
import { useEffect, useRef, useState } from "react";
import { SUBMIT } from "./documents.ts";
import { payloadFailure, TertuliaError } from "./errors.ts";
import type { ToolResultInput } from "./operations.ts";
import { useTertulia } from "./provider.tsx";

/** Runs a client tool. Claude receives the returned value as JSON. If it throws, Claude receives the error's message. */
export type ClientTool = (input: unknown) => unknown;

/** A call that the answer waits for. */
export interface PendingCall {
  readonly toolUseId: string;
  readonly name: string;
  readonly input: unknown;
  /** Whether the call is of a tool of the server that requires approval. Other calls are of client tools. */
  readonly approvable: boolean;
  /** Whether the call already has a result, which is sent together with those of the other calls. */
  readonly answered: boolean;
  /** Whether a function of `tools` runs the call. */
  readonly running: boolean;
}

export interface ToolCalls {
  readonly calls: readonly PendingCall[];
  readonly approve: (toolUseId: string) => void;
  readonly deny: (toolUseId: string) => void;
  /** Set the result of a client tool. */
  readonly resolve: (toolUseId: string, output: unknown, isError?: boolean) => void;
  /** Why the results could not be sent. The calls can be answered again. */
  readonly error: TertuliaError | null;
}

interface Collected {
  readonly waits: StreamEvent | null;
  readonly results: readonly ToolResultInput[];
  readonly error: TertuliaError | null;
}

const NO_TOOLS: Readonly<Record<string, ClientTool>> = {};

/**
 * Answer the calls that an answer waits for: `live.state.waits` of `useAnswer`. The results are sent when all calls have one.
 * Calls of `tools` are run at once; approvals and calls of other client tools are left to the user interface.
 */
export function useToolCalls(generationId: string | null, waits: StreamEvent | null, tools = NO_TOOLS): ToolCalls {
  const client = useTertulia();
  const [collected, setCollected] = useState<Collected>({ waits: null, results: [], error: null });
  /** The results, also those that were added since the last rendering. */
  const now = useRef(collected);
  const uses = waits?.toolUses ?? [];
  if (now.current.waits !== waits) now.current = { waits, results: [], error: null };
  const approvable = new Set((waits?.approvals ?? []).map((call) => call.toolUseId));
  const change = (changes: Partial<Collected>) => {
    now.current = { ...now.current, ...changes };
    setCollected(now.current);
  };
  async function add(result: ToolResultInput): Promise<void> {
    if (generationId === null || now.current.waits !== waits) return;
    if (now.current.results.some(({ toolUseId }) => toolUseId === result.toolUseId)) return;
    const results = [...now.current.results, result];
    change({ results, error: null });
    if (results.length < uses.length) return;
    const error = await submit(client, generationId, results);
    if (error && now.current.waits === waits) change({ results: [], error });
  }
  useEffect(() => {
    for (const call of uses) {
      const tool = Object.hasOwn(tools, call.name ?? "") ? tools[call.name ?? ""] : undefined;
      if (tool && !approvable.has(call.toolUseId)) void runTool(tool, call).then(add);
    }
  }, [waits]);
  const { results, error } = now.current;
  return {
    calls: uses.map((call) => pending(call, approvable.has(call.toolUseId), results, tools)),
    approve: (toolUseId) => void add({ toolUseId, approved: true, isError: false }),
    deny: (toolUseId) => void add({ toolUseId, approved: false, isError: false }),
    resolve: (toolUseId, output, isError = false) => void add({ toolUseId, output, isError }),
    error,
  };
}

function pending({ toolUseId, name, input }: Block, approvable: boolean, results: readonly ToolResultInput[], tools: typeof NO_TOOLS): PendingCall {
  const answered = results.some((result) => result.toolUseId === toolUseId);
  const running = !answered && !approvable && Object.hasOwn(tools, name ?? "");
  return { toolUseId: toolUseId ?? "", name: name ?? "", input, approvable, answered, running };
}

async function runTool(tool: ClientTool, { toolUseId, input }: Block): Promise<ToolResultInput> {
  try {
    return { toolUseId: toolUseId ?? "", isError: false, output: (await tool(input)) ?? null };
  } catch (error) {
    return { toolUseId: toolUseId ?? "", isError: true, output: error instanceof Error ? error.message : String(error) };
  }
}

async function submit(client: ReturnType<typeof useTertulia>, generationId: string, results: readonly ToolResultInput[]): Promise<TertuliaError | null> {
  try {
    const failure = payloadFailure(await client.request(SUBMIT, { input: { generationId, results } }));
    return failure && new TertuliaError(failure);
  } catch (error) {
    if (error instanceof TertuliaError) return error;
    throw error;
  }
}
