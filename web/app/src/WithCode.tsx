import { createElement, Fragment, type ReactNode } from "react";
import { pieces, type MessageKey, type Values } from "./messages";

/** A text of the page that contains `<code>`. */
export function WithCode({ message, values }: { message: MessageKey; values?: Values }) {
  return createElement(Fragment, null, ...pieces<ReactNode>(message, { ...values, code: (content) => <code>{content}</code> }));
}
