import { useSyncExternalStore } from "react";

/** A value outside of React that components can read. */
export interface Store<Value> {
  get(): Value;
  set(value: Value): void;
  /** Call `listener` after each change, until the returned function is called. */
  subscribe(listener: () => void): () => void;
}

/** Return a store with a first value. */
export function store<Value>(start: Value): Store<Value> {
  let value = start;
  const listeners = new Set<() => void>();
  return {
    get: () => value,
    set(next) {
      value = next;
      for (const listener of listeners) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** Return a store's value, and render again when it changes. */
export function useStore<Value>(of: Store<Value>): Value {
  return useSyncExternalStore(of.subscribe, of.get, of.get);
}
