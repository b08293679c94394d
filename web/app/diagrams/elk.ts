/** The page bundles no ELK: diagrams with `layout: elk` are shown as source. */
export default class {
  constructor() {
    throw new Error("The layout `elk` is not available.");
  }
}
