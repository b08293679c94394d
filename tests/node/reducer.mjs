// Folds streams with the JavaScript reducer. Prints the state after each event as JSON, to compare with the Python reducer.
// Argument: a file with a list of streams, each a list of events.
import { readFileSync, writeFileSync } from "node:fs";
import { apply, ended, initial, text } from "../../web/packages/stream/index.js";

const streams = JSON.parse(readFileSync(process.argv[2], "utf8"));
const states = streams.map((events) => {
  let state = initial;
  return events.map((event) => {
    state = apply(state, event);
    return { ...state, text: text(state), ended: ended(state) };
  });
});
writeFileSync(1, JSON.stringify(states));
