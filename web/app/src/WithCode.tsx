import { codePieces, type MessageKey, type Values } from "./messages";

/** A text of the page that contains `<code>`. */
export function WithCode({ message, values }: { message: MessageKey; values?: Values }) {
  return codePieces(message, values).map((piece, position) => (position % 2 ? <code key={position}>{piece}</code> : piece));
}
