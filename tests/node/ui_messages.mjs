// Validates chunks with the AI SDK's own schema, and builds messages from them with its own reader. Argument: a file with a
// list of messages, each a list of responses, each a list of chunks. Prints the messages, and what the schema refuses.
import { readFile } from "node:fs/promises";
import { readUIMessageStream, uiMessageChunkSchema } from "ai";

const schema = uiMessageChunkSchema();
const problems = [];

async function folded(responses) {
  let message;
  for (const chunks of responses) {
    for (const chunk of chunks) {
      const { success, error } = await schema.validate(chunk);
      if (!success) problems.push(`${JSON.stringify(chunk)}: ${error}`);
    }
    const stream = new ReadableStream({
      start(controller) {
        for (const chunk of chunks) controller.enqueue(structuredClone(chunk));
        controller.close();
      },
    });
    const onError = (error) => problems.push(String(error));
    for await (const next of readUIMessageStream({ message, stream, onError })) message = next;
  }
  return message;
}

const messages = [];
for (const responses of JSON.parse(await readFile(process.argv[2], "utf8"))) messages.push(await folded(responses));
console.log(JSON.stringify({ messages, problems }));
