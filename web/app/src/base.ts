/** The path of the chat page: `/`, or the prefix under which an application or a proxy serves Tertulia. */
export const BASE = new URL(document.documentElement.dataset.base ?? ".", document.baseURI).pathname;

/** Return the path of one of the server's routes, such as `at("graphql")`. */
export const at = (route: string): string => BASE + route;
