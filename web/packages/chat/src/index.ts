import { TertuliaChat } from "./element.tsx";

export { TertuliaChat };

// A module that is also loaded on a server can import this one. There, no element is defined.
if (globalThis.customElements && !customElements.get("tertulia-chat")) customElements.define("tertulia-chat", TertuliaChat);
