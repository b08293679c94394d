import { App } from "./Hooks";
import { Chat } from "./Element";

/** A page of the server, whose client components are the examples of the packages' READMEs. */
export default function Page() {
  return <main><h1>Shop</h1><App /><Chat /></main>;
}
