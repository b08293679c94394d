export { store, useStore, type Store } from "@tertulia/react";
