"use client";

export {
  createClient, type Change, type ClientOptions, type Execute, type Observer, type Result, type TertuliaClient,
} from "./client.ts";
export type { TypedText } from "./documents.ts";
export { payloadFailure, requestFailure, TertuliaError, type Failure, type ResultError } from "./errors.ts";
export { withChange, withPage, type Entry, type Listed, type ListFilter } from "./listing.ts";
export {
  createOutbox, newKey, type Draft, type MessageSettings, type Outbox, type OutboxOptions, type Outgoing, type Sent,
} from "./outbox.ts";
export { TertuliaProvider, useDisconnected, useReconnects, useTertulia, type TertuliaProviderProps } from "./provider.tsx";
export type { Socket } from "./socket.ts";
export { store, useStore, type Store } from "./store.ts";
export { ACCEPTED_TYPES, type Attachment, type UploadOptions } from "./upload.ts";
export { stopGeneration, useAnswer, type Answer, type Live } from "./useAnswer.ts";
export { useConversation, type Conversation, type Message } from "./useConversation.ts";
export { useConversationChanges, useConversations, type Conversations } from "./useConversations.ts";
export { useOutgoing, useSend, type Sending } from "./useSend.ts";
export { useToolCalls, type ClientTool, type PendingCall, type ToolCalls } from "./useToolCalls.ts";
export { useUpload, type Uploads } from "./useUpload.ts";
